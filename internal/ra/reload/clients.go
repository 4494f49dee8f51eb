package reload

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/clientprobe"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// ClientCredential is an RACredential of purpose PolicyModule, as it is shown to
// services: the generation that the configuration names. While that is not held, or has
// ended, the newest one that is valid takes its place: it cannot do worse than nothing.
type ClientCredential struct {
	// Name of the RACredential.
	Name    string
	active  string
	keyring *raconfig.Keyring
	now     func() time.Time
}

var (
	errNoClient      = errors.New("it holds no client certificate: its purpose must be PolicyModule")
	errClientExpired = errors.New("no client certificate is valid at present: see the RACredential")
)

// newClientCredential reads the files of a keyring.
func newClientCredential(name, active string, files map[string][]byte, now func() time.Time) (*ClientCredential, error) {
	if len(files) == 0 {
		return nil, errNoKeyring
	}
	keyring, err := raconfig.DecodeKeyring(files)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	for i := range keyring.Generations {
		if keyring.Generations[i].ByRole(v1alpha1.RoleClient) != nil {
			return &ClientCredential{name, active, keyring, now}, nil
		}
	}
	return nil, errNoClient
}

// Held are the generations whose keys are loaded, the newest first.
func (c *ClientCredential) Held() []string { return c.keyring.IDs() }

// Shown is the generation that services see at present; "" if none is valid.
func (c *ClientCredential) Shown() string {
	if g := c.shown(); g != nil {
		return g.ID
	}
	return ""
}

func (c *ClientCredential) shown() *raconfig.Generation {
	if g := c.keyring.Find(c.active); g != nil && c.valid(g) {
		return g
	}
	for i := range c.keyring.Generations {
		if g := &c.keyring.Generations[i]; c.valid(g) {
			return g
		}
	}
	return nil
}

func (c *ClientCredential) valid(g *raconfig.Generation) bool {
	client, now := g.ByRole(v1alpha1.RoleClient), c.now()
	return client != nil && !now.Before(client.Certificate.NotBefore) && !now.After(client.Certificate.NotAfter)
}

// warning says that another generation is shown than the one that the configuration names.
func (c *ClientCredential) warning() (string, bool) {
	shown := c.Shown()
	if c.active == "" || shown == "" || shown == c.active {
		return "", false
	}
	return fmt.Sprintf("clients/%s: generation %s is not held or has ended, so generation %s is shown to services until it comes", c.Name, c.active, shown), true
}

// current implements the ClientCertificate of outbound.Options.
func (c *ClientCredential) current() (*tls.Certificate, error) {
	if g := c.shown(); g != nil {
		return tlsCertificate(g), nil
	}
	return nil, errClientExpired
}

func tlsCertificate(g *raconfig.Generation) *tls.Certificate {
	client := g.ByRole(v1alpha1.RoleClient)
	out := &tls.Certificate{Certificate: [][]byte{client.Certificate.Raw}, PrivateKey: client.Key, Leaf: client.Certificate}
	for _, above := range client.Chain {
		out.Certificate = append(out.Certificate, above.Raw)
	}
	return out
}

// probed are the certificates that services are asked about: the one that is shown, and
// those that came after it.
func (c *ClientCredential) probed() []clientprobe.Certificate {
	var out []clientprobe.Certificate
	shown := c.Shown()
	for i := range c.keyring.Generations {
		g := &c.keyring.Generations[i]
		if c.valid(g) {
			out = append(out, clientprobe.Certificate{Generation: g.ID, Shown: g.ID == shown, TLS: tlsCertificate(g)})
		}
		if g.ID == shown {
			break
		}
	}
	return out
}

// clients are the client credentials of a configuration's challenges, each once, and the
// services to ask about them.
func (p *parts) clients(c *configPart) (clients []*ClientCredential, services []clientprobe.Service) {
	for _, entry := range c.config.Challenges {
		made := p.outside[entry.Name]
		services = append(services, made.services...)
		for _, one := range made.clients {
			if !slices.ContainsFunc(clients, func(have *ClientCredential) bool { return have.Name == one.Name }) {
				clients = append(clients, one)
			}
		}
	}
	return clients, services
}
