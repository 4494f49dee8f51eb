package render

import (
	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// inCluster are the names that no proxy outside of the cluster knows.
var inCluster = []string{".svc", ".cluster.local"}

// configProxy is nil where services are called directly.
func configProxy(ep *v1alpha1.ScepEndpoint) *raconfig.Proxy {
	p := ep.Spec.Server.Proxy
	if p == nil {
		return nil
	}
	out := &raconfig.Proxy{HTTPS: string(p.HTTPSProxy), HTTP: string(p.HTTPProxy)}
	for _, host := range p.NoProxy {
		out.NoProxy = append(out.NoProxy, string(host))
	}
	out.NoProxy = append(out.NoProxy, inCluster...)
	return out
}

// proxyURLs are those of the proxies.
func proxyURLs(ep *v1alpha1.ScepEndpoint) []string {
	p := ep.Spec.Server.Proxy
	if p == nil {
		return nil
	}
	return []string{string(p.HTTPSProxy), string(p.HTTPProxy)}
}
