package reload

import (
	"cmp"
	"crypto/x509"
	"net/url"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// wayOut is how services are called that go by the same rules.
type wayOut struct {
	roots *x509.CertPool
	proxy *raconfig.Proxy
}

// need is a service at a URL; nothing where that cannot be called, or is by a proxy with
// a password of the environment, which is not for probes.
func (w wayOut) need(what raconfig.Dependency, name, address string) []raconfig.Need {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil
	}
	proxy, err := w.proxy.For(u)
	if err != nil || proxy != nil && proxy.User != nil {
		return nil
	}
	return []raconfig.Need{{Dependency: what, Name: name, URL: &url.URL{Scheme: u.Scheme, Host: u.Host}, Roots: w.roots, Proxy: proxy}}
}

// needs are the services that a challenge asks.
func (s sources) needs() []raconfig.Need {
	switch {
	case s.entry.Webhook != nil:
		return s.webhookNeeds(s.entry.Webhook)
	case s.entry.Intune != nil:
		return s.intuneNeeds(s.entry.Intune)
	}
	return nil
}

func (s sources) webhookNeeds(c *raconfig.Webhook) []raconfig.Need {
	roots, err := s.roots(c.CABundle)
	if err != nil {
		return nil // nothing is called either
	}
	way := wayOut{roots, s.proxy}
	out := way.need(raconfig.DependencyChallenge, s.entry.Name, c.URL)
	if c.Notification != nil {
		out = append(out, way.need(raconfig.DependencyNotification, s.entry.Name, c.Notification.URL)...)
	}
	return out
}

func (s sources) intuneNeeds(c *raconfig.Intune) []raconfig.Need {
	roots, err := s.roots(c.CABundle)
	if err != nil {
		return nil // nothing is called either
	}
	way, urls := wayOut{roots, s.proxy}, intune.URLs(c.URLs).Or(intune.PublicCloud)
	return append(way.need(raconfig.DependencyChallenge, s.entry.Name, urls.Authority),
		way.need(raconfig.DependencyChallenge, s.entry.Name, urls.Graph)...)
}

// needs are all services of a configuration, the challenges' first.
func (p *parts) needs(c *configPart) []raconfig.Need {
	var out []raconfig.Need
	for _, entry := range c.config.Challenges {
		out = append(out, p.outside[entry.Name].needs...)
	}
	if signer := c.config.Issuance.Signer; signer != nil {
		out = append(out, raconfig.Need{
			Dependency: raconfig.DependencySigner, URL: &url.URL{Scheme: "tcp", Host: signer.Address}, Own: true,
		})
	}
	out = append(out, p.recording.needs()...)
	return append(out, p.revocationNeeds(c)...)
}

func (r Recording) needs() []raconfig.Need {
	var out []raconfig.Need
	if r.Sink != nil && r.Sink.Err == nil {
		out = append(out, wayOut{r.Sink.Roots, r.Sink.Proxy}.need(raconfig.DependencyAuditSink, "", r.Sink.URL)...)
	}
	if r.Tracing != nil {
		out = append(out, wayOut{r.Tracing.Roots, r.Tracing.Proxy}.need(raconfig.DependencyTracing, "", r.Tracing.URL)...)
	}
	return out
}

// maxRevocationNeeds bounds how many sources of revocation are tried.
const maxRevocationNeeds = 4

// revocationNeeds are the sources that the RA's own certificates name, where renewals ask
// for revocation: devices' certificates are of the same CA. Signers know by themselves.
func (p *parts) revocationNeeds(c *configPart) []raconfig.Need {
	if c.config.Issuance.Signer != nil || !asksForRevocation(c.templates) {
		return nil
	}
	active := p.keyring.Find(c.config.ActiveGeneration)
	if active == nil {
		return nil
	}
	var out []raconfig.Need
	seen := map[string]bool{}
	for _, held := range active.Certificates {
		for _, address := range append(held.Certificate.CRLDistributionPoints, held.Certificate.OCSPServer...) {
			for _, one := range (wayOut{proxy: c.config.Proxy}).need(raconfig.DependencyRevocation, "", address) {
				if !seen[one.URL.String()] && len(out) < maxRevocationNeeds {
					out = append(out, one)
				}
				seen[one.URL.String()] = true
			}
		}
	}
	return out
}

func asksForRevocation(templates []Template) bool {
	for _, t := range templates {
		if cmp.Or(t.Policy.Renewal().Revoked, v1alpha1.RevokedIgnore) == v1alpha1.RevokedRefuse {
			return true
		}
	}
	return false
}
