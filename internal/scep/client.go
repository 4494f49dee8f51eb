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

// Client speaks SCEP to one URL. Its zero values are usable but for URL; it is
// safe for concurrent use as long as its fields are not changed.
type Client struct {
	URL    string // up to the query, e.g. http://scep.example.com/scep
	HTTP   *http.Client
	Method ClientMethod
	Logger *slog.Logger

	// CA is used instead of asking GetCACert. VerifyCA judges what GetCACert
	// answered, by a fingerprint for example; nil trusts it.
	CA       *CACertificates
	VerifyCA func(*CACertificates) error

	// While the answer is PENDING, Enrol and Renew poll: after PollInterval
	// (default 10 s), then after twice as long each time up to eight times
	// that, at most PollLimit times; negative: until the context ends. With 0
	// they return PENDING at once.
	PollInterval time.Duration
	PollLimit    int

	Now func() time.Time // for self-signed certificates; nil: time.Now
}

const (
	defaultPollInterval = 10 * time.Second
	maxPollFactor       = 8

	// maxAnswer bounds what a client reads, in bytes.
	maxAnswer = 1 << 20
)

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

// Capabilities is what GetCACaps answered, by keyword in lower case.
type Capabilities map[string]bool

// Has says whether a keyword was listed, in whatever case, or is implied by
// SCEPStandard (RFC 8894, section 3.5.2).
func (c Capabilities) Has(keyword string) bool {
	return c[strings.ToLower(keyword)] || c["scepstandard"] && impliedByStandard[keyword]
}

var impliedByStandard = map[string]bool{
	CapabilityAES:              true,
	CapabilityPOSTPKIOperation: true,
	CapabilitySHA256:           true,
}

// GetCACaps asks what the server can do. An HTTP error means that it can do
// nothing beyond the oldest drafts (RFC 8894, section 3.5.2), and the answer is
// empty; except 429 and 503, which say nothing about that (*HTTPError).
func (c *Client) GetCACaps(ctx context.Context) (Capabilities, error) {
	body, err := c.get(ctx, operationGetCACaps, "")
	var status *HTTPError
	if errors.As(err, &status) && !status.busy() {
		return Capabilities{}, nil
	}
	if err != nil {
		return nil, err
	}
	capabilities := Capabilities{}
	for _, keyword := range strings.Fields(string(body)) {
		capabilities[strings.ToLower(keyword)] = true
	}
	return capabilities, nil
}

// GetCACert fetches the RA's and CA's certificates and tells them apart.
func (c *Client) GetCACert(ctx context.Context) (*CACertificates, error) {
	body, err := c.get(ctx, operationGetCACert, "")
	if err != nil {
		return nil, err
	}
	return ParseCACertificates(body)
}

// transport sends a pkiMessage and returns the answer's body.
func (c *Client) transport(ctx context.Context, method ClientMethod, message []byte) ([]byte, error) {
	if method == MethodGET {
		return c.get(ctx, operationPKIOperation, base64.StdEncoding.EncodeToString(message))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.target(operationPKIOperation, ""), bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("scep: %w", err)
	}
	request.Header.Set("Content-Type", typeMessage)
	return c.do(request, operationPKIOperation)
}

func (c *Client) get(ctx context.Context, operation, message string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target(operation, message), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("scep: %w", err)
	}
	return c.do(request, operation)
}

func (c *Client) target(operation, message string) string {
	separator := "?"
	if strings.Contains(c.URL, "?") {
		separator = "&"
	}
	target := c.URL + separator + "operation=" + operation
	if message != "" {
		target += "&message=" + url.QueryEscape(message)
	}
	return target
}

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
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("scep: %s: %w", operation, err)
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
