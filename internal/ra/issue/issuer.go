// Package issue gets certificates made: by a cert-manager CertificateRequest for
// each enrolment, which is the lock and the record of it at once (CertManager), or
// with a CA key at hand and without any record (Direct). Replicas share nothing else.
package issue

import (
	"bytes"
	"context"
	"crypto/x509"

	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/policy"
)

// Issuer gets certificates made, and knows again what it was asked for. Its errors
// are *refusal.Error or *scep.UnavailableError, where they are not internal ones.
type Issuer interface {
	// Recall finds what is known of a request and not to be tried again; nil if nothing.
	Recall(ctx context.Context, r Request) (*Record, error)
	// Record takes an order, or finds that it was taken.
	Record(ctx context.Context, o Order) (*Record, error)
	// Await waits until the certificate is there, at most as long as a device is made to wait.
	Await(ctx context.Context, r *Record) *Record
	// Collect finds what a poll asks for: the newest record of the transaction that
	// the same key signed; nil if there is none.
	Collect(ctx context.Context, transactionID string, signer *x509.Certificate) (*Record, error)
}

// Request identifies an enrolment.
type Request struct {
	TransactionID string
	CSR           *x509.CertificateRequest
	// Signer of the message.
	Signer *x509.Certificate
	// SelfSigned is true where Signer proves nothing but a key. A device that
	// retries may then have made another one.
	SelfSigned bool
	// Template is the endpoint's name of the template that the request matched. The
	// same request for another template is another request.
	Template string
}

// Order is a request that was authenticated and judged.
type Order struct {
	Request
	Grant *policy.Grant
	// Admission of the challenge that let the request in; nil if a certificate did.
	Admission *challenge.Admission
	// Client that sent the request, for the rules of a template that is applied again.
	Client policy.Client
	// Claim of a one-time challenge, where one was made for the order.
	Claim *Claim
	// Canary is set where it is a canary that asks; nothing let it in but its key.
	Canary *Canary
}

// SelfSigned says whether a certificate is signed with its own key.
func SelfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) &&
		c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}
