package scep

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ClientMethod says how a Client sends a PKIOperation.
type ClientMethod int

// MethodAuto follows GetCACaps (RFC 8894, section 4.1).
const (
	MethodAuto ClientMethod = iota
	MethodPOST
	MethodGET
)

// Client speaks SCEP to one URL. It needs URL and either CA or VerifyCA; it is
// safe for concurrent use as long as its fields are not changed.
type Client struct {
	// URL is that of the server up to the query, http or https. One without a
	// path gets /cgi-bin/pkiclient.exe (RFC 8894, section 4.1).
	URL    string
	HTTP   *http.Client
	Method ClientMethod
	Logger *slog.Logger

	// CAIdentifier is sent as message of the operations that get certificates and
	// capabilities, for servers with several CAs that go by it; "" sends none.
	CAIdentifier string

	// CA is used instead of asking GetCACert. VerifyCA judges what GetCACert
	// answered, once its signatures and times are good: PinCA makes one that goes
	// by a fingerprint, TrustAnyCA is one that believes everything. Without CA and
	// VerifyCA there is no enrolment (RFC 8894, section 2.2).
	CA       *CACertificates
	VerifyCA func(*CACertificates) error

	// While the answer is PENDING, Enrol and Renew poll: after PollInterval
	// (default 10 s), then after twice as long each time up to eight times
	// that, at most PollLimit times; negative: until the context ends. With 0
	// they return PENDING at once. A server that is busy meanwhile (HTTP 429 or
	// 503) is polled again when it says.
	PollInterval time.Duration
	PollLimit    int

	Now func() time.Time // for self-signed certificates and the CA's validity; nil: time.Now
}

// maxAnswer bounds what a client reads, in bytes.
const maxAnswer = 1 << 20

// HTTPError is an HTTP status other than 200.
type HTTPError struct {
	Operation  string
	StatusCode int
	RetryAfter string // the header, "" if absent
}

// Error names operation and status.
func (e *HTTPError) Error() string {
	return fmt.Sprintf("scep: %s: HTTP status %d %s", e.Operation, e.StatusCode, http.StatusText(e.StatusCode))
}

func (e *HTTPError) busy() bool {
	return e.StatusCode == http.StatusServiceUnavailable || e.StatusCode == http.StatusTooManyRequests
}

// GetCACaps asks what the server can do. An HTTP error, or a connection closed
// without an answer, means that it can do nothing beyond the oldest drafts (RFC
// 8894, section 3.5.2), and the answer is empty; except 429 and 503, which say
// nothing about that (*HTTPError).
func (c *Client) GetCACaps(ctx context.Context) (Capabilities, error) {
	body, err := c.get(ctx, operationGetCACaps, c.CAIdentifier)
	switch {
	case err == nil:
		return parseCapabilities(string(body)), nil
	case saysNothing(err):
		return Capabilities{}, nil
	default:
		return nil, err
	}
}

// saysNothing tells a server that knows no GetCACaps from one that is away.
func saysNothing(err error) bool {
	var status *HTTPError
	if errors.As(err, &status) {
		return !status.busy()
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// GetCACert fetches the RA's and CA's certificates and tells them apart. They are
// not yet trusted.
func (c *Client) GetCACert(ctx context.Context) (*CACertificates, error) {
	body, err := c.get(ctx, operationGetCACert, c.CAIdentifier)
	if err != nil {
		return nil, err
	}
	return ParseCACertificates(body)
}

// trustedCA is CA, or what GetCACert answers if it passes every check.
func (c *Client) trustedCA(ctx context.Context) (*CACertificates, error) {
	if c.CA != nil {
		return c.CA, nil
	}
	if c.VerifyCA == nil {
		return nil, ErrCANotTrusted
	}
	ca, err := c.GetCACert(ctx)
	if err != nil {
		return nil, err
	}
	if err := ca.CheckValidity(c.now()); err != nil {
		return nil, err
	}
	if err := c.VerifyCA(ca); err != nil {
		return nil, fmt.Errorf("scep: CA certificate: %w", err)
	}
	return ca, nil
}

// transport sends a pkiMessage and returns the answer's body.
func (c *Client) transport(ctx context.Context, method ClientMethod, message []byte) ([]byte, error) {
	if method == MethodGET {
		return c.get(ctx, operationPKIOperation, base64.StdEncoding.EncodeToString(message))
	}
	request, err := c.request(ctx, http.MethodPost, operationPKIOperation, "", bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", typeMessage)
	return c.do(request, operationPKIOperation)
}

func (c *Client) get(ctx context.Context, operation, message string) ([]byte, error) {
	request, err := c.request(ctx, http.MethodGet, operation, message, http.NoBody)
	if err != nil {
		return nil, err
	}
	return c.do(request, operation)
}

func (c *Client) request(ctx context.Context, method, operation, message string, body io.Reader) (*http.Request, error) {
	target, err := c.target(operation, message)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("scep: %w", transportError(err))
	}
	request.Header.Set("User-Agent", userAgent)
	return request, nil
}

// userAgent is how a Client calls itself.
const userAgent = "scepter"

// defaultPath is where RFC 8894, section 4.1, expects a SCEP server.
const defaultPath = "/cgi-bin/pkiclient.exe"

func (c *Client) target(operation, message string) (string, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Host == "" {
		return "", fmt.Errorf("scep: %q is not the URL of a server", c.URL)
	}
	if base.Path == "" || base.Path == "/" {
		base.Path = defaultPath
	}
	query := "operation=" + operation
	if base.RawQuery != "" {
		query = base.RawQuery + "&" + query
	}
	if message != "" {
		query += "&message=" + escape(message)
	}
	base.RawQuery = query
	return base.String(), nil
}

// escape is percent-encoding (RFC 3986, section 2.1), in which a plus is not a
// space.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func (c *Client) do(request *http.Request, operation string) ([]byte, error) {
	response, err := cmp.Or(c.HTTP, http.DefaultClient).Do(request)
	if err != nil {
		return nil, fmt.Errorf("scep: %s: %w", operation, transportError(err))
	}
	defer func() { _ = response.Body.Close() }()
	c.log().DebugContext(request.Context(), "scep exchange",
		"operation", operation, "method", request.Method, "status", response.StatusCode)
	if response.StatusCode != http.StatusOK {
		return nil, &HTTPError{operation, response.StatusCode, response.Header.Get("Retry-After")}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("scep: %s: %w", operation, err)
	}
	if len(body) > maxAnswer {
		return nil, &ReplyError{Reason: "it has more than 1 MiB"}
	}
	return body, nil
}

// transportError leaves out the URL, which holds the message of a GET.
func transportError(err error) error {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		return urlError.Err
	}
	return err
}

func (c *Client) log() *slog.Logger { return cmp.Or(c.Logger, slog.Default()) }

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}
