// Package outbound calls services that the owner of an endpoint chose: over TLS
// only, without following redirects, within bounds of time and size, and with
// errors that hold nothing of what was sent or received.
package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Options of a Client.
type Options struct {
	// Timeout of one call, its answer's body included.
	Timeout time.Duration
	// MaxAnswer bounds the body of an answer, in bytes.
	MaxAnswer int64
	// Roots that a service's certificate must chain to; nil: the system's.
	Roots *x509.CertPool
	// ClientCertificate is asked for a certificate at each handshake in which the
	// service wants one, so that a credential can be rotated under a running
	// client; nil: there is none.
	ClientCertificate func() (*tls.Certificate, error)
	// Proxy of a request, as in http.Transport; nil: as the environment says.
	Proxy func(*http.Request) (*url.URL, error)
	// LoopbackHTTP lets plain http to a loopback address pass. It is for tests: no
	// configuration can set it.
	LoopbackHTTP bool
}

// Client calls services. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	options Options
}

// Limits of a client's connections.
const (
	maxConnsPerHost = 64
	idleTimeout     = 60 * time.Second
	dialTimeout     = 5 * time.Second
	maxHeaderBytes  = 64 << 10
)

// New makes a client.
func New(o Options) *Client {
	return &Client{options: o, http: &http.Client{Transport: newTransport(o), CheckRedirect: noRedirects, Timeout: o.Timeout}}
}

func newTransport(o Options) *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}
	if o.ClientCertificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return o.ClientCertificate() }
	}
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	return &http.Transport{
		Proxy:                  o.Proxy,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        maxConnsPerHost,
		MaxIdleConnsPerHost:    maxConnsPerHost / 4,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// noRedirects: a redirect would carry secrets to somewhere that nobody configured.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is one call.
type Request struct {
	Method string
	URL    string
	Header http.Header
	// Body is sent as it is; Header says what it is.
	Body []byte
}

// Call sends a request and reads the answer, whatever its status. Its error is an *Error.
func (c *Client) Call(ctx context.Context, r Request) (*Answer, error) {
	target, err := c.parse(r.URL)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, &Error{Host: target.Host, Fault: BadURL, Err: errURL}
	}
	for name, values := range r.Header {
		request.Header[name] = values
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, transportError(target.Host, err)
	}
	defer func() { _ = response.Body.Close() }()
	return c.read(target.Host, response)
}

func (c *Client) read(host string, response *http.Response) (*Answer, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, c.options.MaxAnswer+1))
	if err != nil {
		return nil, readError(host, response.StatusCode, err)
	}
	if int64(len(body)) > c.options.MaxAnswer {
		return nil, &Error{Host: host, Fault: TooLarge, Status: response.StatusCode, Err: fmt.Errorf("more than %d bytes", c.options.MaxAnswer)}
	}
	return &Answer{Host: host, Status: response.StatusCode, Header: response.Header, body: body}, nil
}

// Do implements the transport of Azure's identity library (policy.Transporter):
// the same rules hold for the token endpoint.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if err := c.allowed(r.URL); err != nil {
		return nil, err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, transportError(r.URL.Host, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := c.read(r.URL.Host, response)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer.body))
	return response, nil
}

var (
	errURL      = errors.New("it is no URL, or has a user name or a fragment")
	errNotHTTPS = errors.New("only https is allowed")
)

// CheckURL says whether a URL can be called: https, with a host, without user name and fragment.
func CheckURL(raw string) error {
	_, err := (&Client{}).parse(raw)
	return err
}

func (c *Client) parse(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, &Error{Fault: BadURL, Err: errURL} // err quotes the URL
	}
	return u, c.allowed(u)
}

func (c *Client) allowed(u *url.URL) error {
	if u.Host == "" || u.User != nil || u.Fragment != "" {
		return &Error{Host: u.Host, Fault: BadURL, Err: errURL}
	}
	if u.Scheme == "https" || u.Scheme == "http" && c.options.LoopbackHTTP && isLoopback(u.Hostname()) {
		return nil
	}
	return &Error{Host: u.Host, Fault: BadURL, Err: errNotHTTPS}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
