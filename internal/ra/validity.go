package ra

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
)

const (
	// minValidity is what a template can grant at least. A certificate that is valid for
	// less serves nobody: the device would have to come again at once.
	minValidity = time.Hour
	// retryAtNewCA is when devices are to ask again whose CA is about to end: somebody
	// has to renew it first.
	retryAtNewCA = 10 * time.Minute
)

// checkCredential tells devices to come again while the RA's own certificates have
// expired. Devices refuse an answer signed with one of those, so a certificate issued
// now would be lost; GetCACert goes on to show them.
func (b *backend) checkCredential(_ context.Context, e *enrolment) (*scep.Reply, error) {
	if err := credentialEnded(e.snapshot.Identity.Active, b.now()); err != nil {
		return nil, &scep.UnavailableError{RetryAfter: retryAfter, Err: err}
	}
	return nil, nil
}

// credentialEnded names the certificate of the generation that has expired.
func credentialEnded(g *scep.Generation, now time.Time) error {
	for _, c := range []struct {
		role string
		*scep.Credential
	}{{"signing", g.Signing}, {"encryption", g.Encryption}} {
		if end := c.Certificate.NotAfter; now.After(end) {
			return fmt.Errorf("the RA's %s certificate ended at %s: see the RACredential; the next one is taken without a restart", c.role, end.Format(time.RFC3339))
		}
	}
	return nil
}

var errCAEnds = errors.New("the CA's certificate ends within an hour: renew the CA")

// capValidity keeps what is asked for within the CA's own validity, which issuers need
// not do by themselves. Direct issuance does, and needs the template's validity for
// its slots of time.
func (e *enrolment) capValidity(now time.Time) error {
	chain := e.snapshot.Identity.CAsFor(scep.RAAndIssuer)
	if len(chain) == 0 {
		return nil // the issuer does not show its CA
	}
	left := chain[0].NotAfter.Sub(now).Truncate(time.Second)
	if left < minValidity {
		return &scep.UnavailableError{RetryAfter: retryAtNewCA, Err: errCAEnds}
	}
	if e.snapshot.Config.Issuance.Mode != v1alpha1.IssuanceDirect {
		e.grant.Duration = min(e.grant.Duration, left)
	}
	return nil
}
