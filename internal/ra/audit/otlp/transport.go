// Package otlp sends audit records and traces to a collector of OpenTelemetry, by OTLP
// over HTTP and OpenTelemetry's own library.
package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Collector is where to send to.
type Collector struct {
	// URL with the path, such as http://collector:4318/v1/logs.
	URL string
	// Token is sent as a bearer token; "": none.
	Token string
	// Roots that its certificate must chain to; nil: the system's.
	Roots *x509.CertPool
	// Timeout of one request.
	Timeout time.Duration
	// Proxy of a request, as in http.Transport; nil: none.
	Proxy func(*http.Request) (*url.URL, error)
}

// headers that go with each request.
func (c Collector) headers() map[string]string {
	if c.Token == "" {
		return nil
	}
	return map[string]string{"Authorization": "Bearer " + c.Token}
}

// transport remembers how the latest request went: the library's errors quote answers.
type transport struct {
	next *http.Transport
	last atomic.Pointer[error]
}

func (c Collector) transport() *transport {
	return &transport{next: &http.Transport{
		Proxy:               c.Proxy,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
		TLSHandshakeTimeout: c.Timeout,
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     time.Minute,
	}}
}

// client follows no redirects: the token would go along.
func (t *transport) client(timeout time.Duration) *http.Client {
	return &http.Client{Transport: t, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	result := err
	if err == nil && response.StatusCode/100 != 2 {
		result = fmt.Errorf("HTTP %d", response.StatusCode)
	}
	t.last.Store(&result)
	return response, err //nolint:wrapcheck // net/http names the request
}

var errNoAnswer = errors.New("it was not reached, or its answer cannot be read")

// reason is why the latest request failed, without what was received.
func (t *transport) reason() error {
	if last := t.last.Load(); last != nil && *last != nil {
		return *last
	}
	return errNoAnswer
}
