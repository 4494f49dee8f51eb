package reload

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Callers are those who may mint challenges by a TLS client certificate.
type Callers struct {
	// trusted is what their certificates must chain to.
	trusted *pkifacts.Bundle
	names   []string // canonical; in the order of the configuration
}

func newCallers(names []string, files map[string][]byte) (*Callers, error) {
	c := &Callers{trusted: pkifacts.ReadBundle(files[raconfig.CABundleFile])}
	if c.trusted.Empty() {
		return nil, errNoRoots
	}
	for _, name := range names {
		canonical, err := policy.ParseName(name)
		if err != nil {
			return nil, fmt.Errorf("name of a caller: %w", err)
		}
		c.names = append(c.names, canonical)
	}
	return c, nil
}

// Named are the CAs that a TLS server names when it asks for certificates.
func (c *Callers) Named() *x509.CertPool { return c.trusted.Pool() }

// Why a client certificate does not tell who calls.
var (
	errNoClientAuth = errors.New("it is not for the extended key usage clientAuth")
	// ErrOtherName says that a certificate is good, and none of its names may mint.
	ErrOtherName = errors.New("it has none of the names that may mint challenges")
)

// Identify says by which name a caller goes who has shown a chain of certificates,
// his own first. The chain is judged at each request: on a connection that has
// lasted, an end of validity or of trust counts.
func (c *Callers) Identify(shown []*x509.Certificate, now time.Time) (string, error) {
	leaf := shown[0]
	// Go takes a certificate without any extended key usage to be for all.
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return "", errNoClientAuth
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:         pkifacts.PoolOf(c.trusted.Anchors()),
		Intermediates: pkifacts.PoolOf(slices.Concat(c.trusted.Intermediates, shown[1:])),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return "", fmt.Errorf("verify: %w", err)
	}
	have, err := policy.CertificateNames(leaf)
	if err != nil {
		return "", fmt.Errorf("read its names: %w", err)
	}
	all := have.All()
	for _, name := range c.names {
		if slices.Contains(all, name) {
			return name, nil
		}
	}
	return "", ErrOtherName
}

// updateCallers lets nobody in by a certificate where the files are bad: whoever takes
// a CA away wants that at once.
func (p *parts) updateCallers(names []string, f *files, found *problems) {
	p.admin.Callers = nil
	if len(names) == 0 {
		return
	}
	callers, err := newCallers(names, f.adminClients)
	if err != nil {
		*found = append(*found, "admin-clients: "+err.Error()+"; nobody may mint challenges by a client certificate until this is corrected")
		return
	}
	p.admin.Callers = callers
}
