package ra

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/ra/revocation"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// asksRevocation says whether a template wants to know of certificates that sign renewals
// whether they are revoked. Signers of the endpoint know that by themselves.
func asksRevocation(s *reload.Snapshot, t *reload.Template) bool {
	return s.Signers == nil && reload.Renews(t.Policy) && t.Policy.Renewal().Revoked == v1alpha1.RevokedRefuse
}

// staleness is for how long after its end what a source said counts for a template.
func staleness(t *reload.Template) time.Duration {
	if stale := t.Policy.Renewal().StaleRevocation; stale != nil {
		return stale.Duration
	}
	return 0
}

// leastStaleness is that of the template that is served the worst while no source can tell.
func leastStaleness(s *reload.Snapshot) time.Duration {
	least := time.Duration(-1)
	for i := range s.Templates {
		if t := &s.Templates[i]; asksRevocation(s, t) && (least < 0 || staleness(t) < least) {
			least = staleness(t)
		}
	}
	return max(least, 0)
}

// watchRevocation has the sources asked that the RA's own certificates name, if they are of
// the CA whose certificates renew themselves: mostly those are the devices' sources too. What
// devices have is learned as they come.
func watchRevocation(c *revocation.Checker, s *reload.Snapshot) {
	if !slices.ContainsFunc(s.Templates, func(t reload.Template) bool { return asksRevocation(s, &t) }) {
		c.Keep(nil, 0)
		return
	}
	c.Keep(s.RenewalCAs, leastStaleness(s))
	for i := range s.Keyring.Generations {
		for _, own := range s.Keyring.Generations[i].Certificates {
			watchOf(c, own.Certificate, s.RenewalCAs)
		}
	}
}

// watchIssued learns the sources of what was issued just now.
func (b *backend) watchIssued(e *enrolment) {
	if asksRevocation(e.snapshot, e.template) {
		watchOf(b.revocation, e.record.Certificates[0], e.snapshot.RenewalCAs)
	}
}

func watchOf(c *revocation.Checker, certificate *x509.Certificate, cas []*x509.Certificate) {
	i := slices.IndexFunc(cas, func(ca *x509.Certificate) bool { return certificate.CheckSignatureFrom(ca) == nil })
	if i >= 0 {
		c.Watch(certificate, cas[i])
	}
}

// silentSources are those that cannot tell what is revoked, for the status, in a stable order.
func silentSources(c *revocation.Checker) []raconfig.Away {
	var out []raconfig.Away
	for _, silence := range c.Silences() {
		a := raconfig.Away{
			Dependency: raconfig.DependencyRevocation, Tolerated: silence.Tolerated,
			Since: silence.Since.UTC().Truncate(time.Second), Last: silence.Last.UTC().Truncate(time.Second), Failures: silence.Count,
		}
		a.Reason, a.HTTPStatus = whySilent(silence.Err)
		if from := (*revocation.SourceError)(nil); errors.As(silence.Err, &from) {
			a.Name = from.Host
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b raconfig.Away) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

func whySilent(err error) (raconfig.AwayReason, int) {
	var (
		status *revocation.StatusError
		dns    *net.DNSError
		called *url.Error
		timed  net.Error
		tlsBad *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &status):
		return raconfig.AwayStatus, status.Status
	case errors.Is(err, revocation.ErrStale):
		return raconfig.AwayStale, 0
	case errors.As(err, &dns):
		return raconfig.AwayNameUnknown, 0
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timed) && timed.Timeout():
		return raconfig.AwayTimeout, 0
	case errors.As(err, &tlsBad):
		return raconfig.AwayTLS, 0
	case errors.As(err, &called):
		return raconfig.AwayUnreachable, 0
	}
	return raconfig.AwayUnverifiable, 0
}
