package ra

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/rest"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// needs is what the server depends on, as far as the files tell, and how often the
// prober tries it; 0: not at all.
func (s *Server) needs() ([]raconfig.Need, time.Duration) {
	snapshot := s.reloader.Current()
	if snapshot == nil || snapshot.Config.Needs == nil {
		return nil, 0
	}
	return append(clusterNeed(s.options.Cluster), snapshot.Needs...), time.Duration(snapshot.Config.Needs.IntervalSeconds) * time.Second
}

// proxy is the one for a request, by the configuration in use.
func (s *Server) proxy(r *http.Request) (*url.URL, error) {
	var settings *raconfig.Proxy
	if snapshot := s.reloader.Current(); snapshot != nil {
		settings = snapshot.Config.Proxy
	}
	return settings.ForRequest(r) //nolint:wrapcheck // it says what it is of
}

// clusterNeed is the API server, asked for its version, which needs no credential.
func clusterNeed(c *rest.Config) []raconfig.Need {
	if c == nil {
		return nil
	}
	u, _, err := rest.DefaultServerUrlFor(c)
	if err != nil || u.Hostname() == "" {
		return nil // nothing can be asked of it either
	}
	return []raconfig.Need{{
		Dependency: raconfig.DependencyAPIServer, URL: &url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/version"}, Roots: clusterRoots(c), Own: true,
	}}
}

// clusterRoots are nil, the system's, where the cluster has none of its own.
func clusterRoots(c *rest.Config) *x509.CertPool {
	own := *c
	if err := rest.LoadTLSFiles(&own); err != nil || len(own.CAData) == 0 {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(own.CAData)
	return roots
}
