package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Limits of one call.
const (
	callTimeout    = 5 * time.Second
	dialTimeout    = 3 * time.Second
	idleTimeout    = 30 * time.Second
	maxHeaderBytes = 64 << 10
	maxRedirects   = 3
)

// caller fetches over HTTP.
type caller struct{ http *http.Client }

func newCaller(transport http.RoundTripper, proxy func(*http.Request) (*url.URL, error)) *caller {
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  proxy,
			DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
		}
	}
	return &caller{&http.Client{Transport: transport, Timeout: callTimeout, CheckRedirect: onlyWithin}}
}

var errRedirect = errors.New("it redirects to where the certificate does not point")

// onlyWithin follows a redirect only to another path of the same server: whoever can
// change an answer on its way must not choose what is called.
func onlyWithin(to *http.Request, via []*http.Request) error {
	from := via[0].URL
	if to.URL.Scheme != from.Scheme || to.URL.Host != from.Host || len(via) > maxRedirects {
		return errRedirect
	}
	return nil
}

// call is one request; a body makes it a POST.
type call struct {
	url         string
	body        []byte
	contentType string
	maxAnswer   int64 // bytes
}

// StatusError says that a source answered with another status than 200.
type StatusError struct{ Status int }

// Error is for the log.
func (e *StatusError) Error() string { return fmt.Sprintf("HTTP status %d", e.Status) }

// do returns the body of an answer with status 200.
func (c *caller) do(ctx context.Context, o call) ([]byte, error) {
	method := http.MethodGet
	if o.body != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, o.url, bytes.NewReader(o.body))
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	if o.contentType != "" {
		request.Header.Set("Content-Type", o.contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %w", o.url, &StatusError{response.StatusCode})
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, o.maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%s: the answer broke off: %w", o.url, err)
	}
	if int64(len(body)) > o.maxAnswer {
		return nil, fmt.Errorf("%s: the answer has more than %d bytes", o.url, o.maxAnswer)
	}
	return body, nil
}
