package raconfig

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// Proxy says by which proxies servers call services. It holds no credentials.
type Proxy struct {
	// HTTPS is for services with TLS, and HTTP for those without; "": none.
	HTTPS string `json:"https,omitempty"`
	HTTP  string `json:"http,omitempty"`
	// NoProxy are hosts that are called directly, in the forms of the environment variable
	// NO_PROXY: a name with those below it, one with a leading dot for those below it
	// alone, an address, a CIDR; each with or without a port.
	NoProxy []string `json:"noProxy,omitempty"`
}

// For is the proxy for a URL; nil: none. Without settings the environment decides.
func (p *Proxy) For(u *url.URL) (*url.URL, error) {
	settings := httpproxy.FromEnvironment()
	if p != nil {
		settings = &httpproxy.Config{HTTPProxy: p.HTTP, HTTPSProxy: p.HTTPS, NoProxy: strings.Join(p.NoProxy, ",")}
	}
	proxy, err := settings.ProxyFunc()(u)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return proxy, nil
}

// ForRequest implements the field Proxy of http.Transport.
func (p *Proxy) ForRequest(r *http.Request) (*url.URL, error) { return p.For(r.URL) }
