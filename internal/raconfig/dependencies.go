package raconfig

import (
	"crypto/x509"
	"net/url"
	"time"
)

// MaxDependencies bounds how many are tried and reported.
const MaxDependencies = 24

// Needs says how often the prober tries what the servers depend on. What that is it
// knows from the rest of the configuration.
type Needs struct {
	// IntervalSeconds is between two looks at all of them, about.
	IntervalSeconds int64 `json:"intervalSeconds"`
}

// Need is a service that the servers call, as they call it. It holds no credential.
type Need struct {
	Dependency Dependency
	// Name of the challenge; "" where there is one such service only.
	Name string
	// URL has a scheme (https, http, or tcp where no more than a connection is tried), a
	// host, and perhaps a path that is harmless to ask for.
	URL *url.URL
	// Roots that the service's certificate must chain to; nil: the system's.
	Roots *x509.CertPool
	// Proxy that the servers go by; nil: none.
	Proxy *url.URL
	// Own is true where no user chose the address: it may then be a loopback one.
	Own bool
}

// ProbedDependency is what the prober found of a service that the servers depend on.
type ProbedDependency struct {
	Dependency Dependency `json:"dependency"`
	// Name of the challenge; "" where there is one such service only.
	Name string `json:"name,omitempty"`
	// Host and port ("hook.example.com:443"), without path, query and user name.
	Host string `json:"host"`
	// Addresses that the name resolved to, sorted, at most eight; none where a proxy resolves it.
	Addresses []string `json:"addresses,omitempty"`
	// Failure is why it was not reached; nil: it was.
	Failure *ProbeFailure `json:"failure,omitempty"`
	// ClockSkewSeconds is how far its header field Date is ahead of the prober's clock.
	ClockSkewSeconds int64 `json:"clockSkewSeconds,omitempty"`
	// Proxy is the host and port of the proxy on the way; "": there is none.
	Proxy string `json:"proxy,omitempty"`
	// AtProxy is true where Failure is the proxy's, or of the way to it.
	AtProxy bool `json:"atProxy,omitempty"`
	// Since is when the failure, or the lack of one, was first so.
	Since time.Time `json:"since"`
}
