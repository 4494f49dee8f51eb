// Package client is a server's side of the signers' protocol.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/signer/mutual"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
)

// Client asks the signers behind one address. Whatever it asks may be asked again, so
// it does that where a connection fails: the address is a Service, and the next
// connection may reach another signer. It is safe for concurrent use.
type Client struct {
	base      string
	transport *http.Transport
}

// Limits of a call.
const (
	// tries of one call, each on a connection of its own but the first.
	tries       = 3
	tryTimeout  = 3 * time.Second
	dialTimeout = time.Second
	// pause before the second try; it doubles.
	pause = 100 * time.Millisecond
	// maxConnections of a server, idle ones among them.
	maxConnections = 64
	idleTimeout    = 30 * time.Second
)

// New makes a client of the signers at host:port.
func New(address string, c *mutual.Credential) *Client {
	return &Client{
		base: "https://" + address,
		transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSClientConfig:       c.ClientConfig(),
			TLSHandshakeTimeout:   tryTimeout,
			ResponseHeaderTimeout: tryTimeout,
			MaxConnsPerHost:       maxConnections,
			MaxIdleConnsPerHost:   maxConnections,
			IdleConnTimeout:       idleTimeout,
		},
	}
}

// Close ends connections that are not in use, and the others after their use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Issue asks for a certificate. Its error is a *wire.Problem, or says why no signer answered.
func (c *Client) Issue(ctx context.Context, o *wire.Order) (*wire.Issued, error) {
	body, err := wire.Encode(o)
	if err != nil {
		return nil, fmt.Errorf("ask a signer: %w", err)
	}
	var issued *wire.Issued
	err = c.call(ctx, http.MethodPost, wire.IssuePath, body, wire.JSON, func(in io.Reader) (err error) {
		issued, err = wire.DecodeIssued(in)
		return err
	})
	return issued, err
}

// CRL asks for the certificate revocation list, in DER. Its error is as Issue's.
func (c *Client) CRL(ctx context.Context) ([]byte, error) {
	var crl []byte
	err := c.call(ctx, http.MethodGet, wire.CRLPath, nil, wire.CRL, func(in io.Reader) (err error) {
		crl, err = io.ReadAll(io.LimitReader(in, wire.MaxCRL+1))
		if len(crl) > wire.MaxCRL {
			return errTooLong
		}
		return err
	})
	return crl, err
}

var (
	errTooLong   = fmt.Errorf("%w: the CRL has more than %d bytes", wire.ErrMalformed, wire.MaxCRL)
	errMediaType = fmt.Errorf("%w: another media type", wire.ErrMalformed)
)

// call tries until a signer answers something that another would answer as well.
func (c *Client) call(ctx context.Context, method, path string, body []byte, mediaType string, read func(io.Reader) error) error {
	var err error
	for n := range tries {
		if n > 0 && !c.rest(ctx, pause<<(n-1)) {
			break
		}
		if err = c.try(ctx, method, path, body, mediaType, read); err == nil || isFinal(err) {
			return err
		}
	}
	return fmt.Errorf("no signer answers: %w", err)
}

// rest leaves the connections behind, and waits; false if there is no time left.
func (c *Client) rest(ctx context.Context, d time.Duration) bool {
	c.transport.CloseIdleConnections()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// finalCodes are of answers that every signer gives.
var finalCodes = map[wire.Code]bool{wire.Malformed: true, wire.Refused: true, wire.CAExpired: true}

func isFinal(err error) bool {
	var problem *wire.Problem
	return errors.As(err, &problem) && finalCodes[problem.Code]
}

func (c *Client) try(ctx context.Context, method, path string, body []byte, mediaType string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask a signer: %w", err)
	}
	request.Header.Set("Content-Type", wire.JSON)
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("ask a signer: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no use
	if response.StatusCode != http.StatusOK {
		return readProblem(response)
	}
	if got, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || got != mediaType {
		return errMediaType
	}
	return read(response.Body)
}

func readProblem(response *http.Response) error {
	problem, err := wire.DecodeProblem(response.Body)
	if err != nil {
		return fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	return problem
}
