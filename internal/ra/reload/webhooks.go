package reload

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/ra/clientprobe"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// hookMaker makes the webhooks of a challenge, and takes down which client credentials
// they show, and which services to ask about them.
type hookMaker struct {
	sources
	roots   *x509.CertPool
	timeout time.Duration
	made    outside
}

func (s sources) webhook(c *raconfig.Webhook) (*outside, error) {
	roots, err := s.roots(c.CABundle)
	if err != nil {
		return nil, err
	}
	m := &hookMaker{sources: s, roots: roots, timeout: time.Duration(c.TimeoutSeconds) * time.Second}
	o := challenge.WebhookOptions{Name: s.entry.Name}
	if o.Ask, err = m.hook(c.Hook, ""); err != nil {
		return nil, err
	}
	if c.Notification != nil {
		o.NotificationRequired = c.Notification.Required
		if o.Notify, err = m.hook(c.Notification.Hook, raconfig.NotificationPrefix); err != nil {
			return nil, fmt.Errorf("notification: %w", err)
		}
	}
	m.made.verifier = challenge.NewWebhook(o)
	return &m.made, nil
}

// hook makes one webhook of the files whose names begin with prefix.
func (m *hookMaker) hook(c raconfig.Hook, prefix string) (*webhook.Hook, error) {
	if err := outbound.CheckURL(c.URL); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	h := &webhook.Hook{
		URL: c.URL, ID: cmp.Or(c.ID, m.entry.Name), Provisioner: m.endpoint.Name,
		ProbeBy: c.ClientProbe, Timeout: m.timeout, Now: m.now,
	}
	o := outbound.Options{Timeout: m.timeout, MaxAnswer: webhook.MaxAnswer, Roots: m.roots, Proxy: m.proxy.ForRequest}
	for _, way := range c.Authentication {
		authenticate, known := authentications[way]
		if !known {
			return nil, fmt.Errorf("authentication %s is not known", way)
		}
		if err := authenticate(m.credentials(c, prefix), h, &o); err != nil {
			return nil, fmt.Errorf("authentication %s: %w", way, err)
		}
	}
	h.Client = outbound.New(o)
	m.toAsk(c, prefix, h, o)
	return h, nil
}

func (m *hookMaker) credentials(c raconfig.Hook, prefix string) credentials {
	own := credentials{files: m.files, prefix: prefix}
	if name := c.ClientCredential; name != "" {
		own.client = func() (*ClientCredential, error) { return m.client(name) }
	}
	return own
}

// client is the same for all webhooks of the challenge that show it.
func (m *hookMaker) client(name string) (*ClientCredential, error) {
	if have := m.made.client(name); have != nil {
		return have, nil
	}
	found, err := newClientCredential(name, m.active[name].ActiveGeneration, within(m.clients, name), m.now)
	if err != nil {
		return nil, fmt.Errorf("RACredential %s: %w", name, err)
	}
	m.made.clients = append(m.made.clients, found)
	return found, nil
}

// toAsk takes down that a service is to be asked whether it lets a client credential pass.
func (m *hookMaker) toAsk(c raconfig.Hook, prefix string, h *webhook.Hook, o outbound.Options) {
	credential := m.made.client(c.ClientCredential)
	if credential == nil || c.ClientProbe == v1alpha1.ClientProbeNone {
		return
	}
	m.made.services = append(m.made.services, clientprobe.Service{
		Credential:   credential.Name,
		Challenge:    m.entry.Name,
		Notification: prefix != "",
		MadeFrom:     m.sumOf(m.files),
		Certificates: credential.probed,
		Call: func(ctx context.Context, certificate *tls.Certificate) (*outbound.Answer, error) {
			o := o
			if o.ClientCertificate = nil; certificate != nil {
				o.ClientCertificate = func() (*tls.Certificate, error) { return certificate, nil }
			}
			client := outbound.New(o)
			defer client.Close() // each certificate needs a handshake of its own
			return h.Probe(ctx, client, webhook.ForCertificate)
		},
	})
}
