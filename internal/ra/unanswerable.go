package ra

import (
	"context"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

var (
	errSignerKey = refusal.New(refusal.SignerKeyUnfit, "the key that signs the request cannot decrypt the answer: sign with an RSA key; "+
		"other keys need a one-time challenge password, and this endpoint has none")
	errNoGetCert = refusal.New(refusal.QueryNotAnswered, "GetCert is not answered: a certificate is given to the device that enrolled, "+
		"which can repeat its request")
	errNoGetCRL = refusal.New(refusal.QueryNotAnswered, "GetCRL is not answered: see the CRL distribution point of the certificate")
)

// checkAnswerable refuses devices whose answer could only be encrypted with their
// challenge password (RFC 8894, section 3.1). All challenges here are static: many
// know them, and who records the answer can guess them at leisure.
func (b *backend) checkAnswerable(_ context.Context, e *enrolment) (*scep.Reply, error) {
	if e.request.NeedsPassword() {
		return nil, errSignerKey
	}
	return nil, nil
}

// refuseAll is the step that answers messages this server has nothing to say to.
func refuseAll(err *refusal.Error) step {
	return func(*backend, context.Context, *enrolment) (*scep.Reply, error) { return nil, err }
}
