// Package wire is the protocol between an endpoint's servers and its signers: JSON
// over HTTP/1.1 and mutual TLS 1.3. Its version is in the paths; what a side does not
// know is an error, so that nothing that matters is overlooked.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Paths of a signer.
const (
	// IssuePath takes an Order by POST and answers with an Issued or a Problem.
	IssuePath = "/v1/issue"
	// CRLPath has the CRL in DER, or a Problem.
	CRLPath = "/v1/crl"
	// StatusPath has a raconfig.SignerStatus.
	StatusPath = "/v1/status"
)

// Media types.
const (
	JSON = "application/json"
	// CRL is that of a CRL in DER (RFC 2585, section 4.2).
	CRL = "application/pkix-crl"
)

// MaxOrder bounds an order in bytes: a message of SCEP has 256 KiB, and its CSR and
// certificate grow by a third in base64.
const MaxOrder = 400 << 10

// MaxAnswer bounds what a signer answers to an order, in bytes.
const MaxAnswer = 400 << 10

// MaxCRL bounds a CRL in bytes.
const MaxCRL = 2 << 20

// ErrMalformed is wrapped by the errors of reading.
var ErrMalformed = errors.New("malformed message between server and signer")

// Order asks for a certificate.
type Order struct {
	// Generation of the ScepEndpoint whose configuration the server judged by.
	Generation int64 `json:"generation"`
	// TransactionID as the device chose it (RFC 8894, section 3.2.1.1).
	TransactionID string `json:"transactionID"`
	// CSR in DER.
	CSR []byte `json:"csr"`
	// Signer is the certificate that signed the message, in DER.
	Signer []byte `json:"signer"`
	// Template is the endpoint's name of the template.
	Template string `json:"template"`
	// Canary is true for a request of the endpoint's own, which no template judges.
	Canary bool `json:"canary,omitempty"`
	// Challenge let the request in; nil: the certificate Signer did.
	Challenge *Challenge `json:"challenge,omitempty"`
	Client    Client     `json:"client,omitzero"`
}

// Challenge is what let a request in.
type Challenge struct {
	// Name of the endpoint's entry.
	Name string `json:"name"`
	// Rule of the template that the request has to meet; "": none.
	Rule string `json:"rule,omitempty"`
	// Data for the template's rules.
	Data map[string]any `json:"data,omitempty"`
	// Claim is set for a one-time challenge.
	Claim *Claim `json:"claim,omitempty"`
}

// Claim is the one of a one-time challenge that the request holds.
type Claim struct {
	// Name of the object that says so.
	Name string `json:"name"`
	// Time when it was claimed, in whole seconds.
	Time time.Time `json:"time"`
	// Expires is the end of the challenge.
	Expires time.Time `json:"expires"`
}

// Client is who sent the request, for the template's rules.
type Client struct {
	Address   string `json:"address,omitempty"`
	UserAgent string `json:"userAgent,omitempty"`
	Family    string `json:"family,omitempty"`
	Path      string `json:"path,omitempty"`
	TLS       bool   `json:"tls,omitempty"`
}

// Issued is the answer to an order.
type Issued struct {
	// Certificate in DER.
	Certificate []byte `json:"certificate"`
	// Generation of the ScepEndpoint whose configuration the signer judged by.
	Generation int64 `json:"generation"`
}

// Code says what a signer did not do.
type Code string

// The codes.
const (
	// Malformed: the message cannot be read.
	Malformed Code = "Malformed"
	// UnknownPeer: the certificate of the connection is not trusted, or not any more.
	UnknownPeer Code = "UnknownPeer"
	// Refused for good, with reason and text.
	Refused Code = "Refused"
	// Outdated: refused, by a configuration older than the server's.
	Outdated Code = "Outdated"
	// NotReady: the signer's files are not good enough.
	NotReady Code = "NotReady"
	// Busy: there are too many orders.
	Busy Code = "Busy"
	// CAExpired: the CA's certificate is not valid now.
	CAExpired Code = "CAExpired"
)

var codes = []Code{Malformed, UnknownPeer, Refused, Outdated, NotReady, Busy, CAExpired}

// Problem is the answer where there is no certificate or CRL.
type Problem struct {
	Code Code `json:"code"`
	// Reason of a refusal, as of package refusal; "" for other codes.
	Reason string `json:"reason,omitempty"`
	// Text is for the device in a refusal, else for the log. No secrets.
	Text string `json:"text,omitempty"`
}

// Error is for the log.
func (p *Problem) Error() string {
	if p.Reason != "" {
		return fmt.Sprintf("signer: %s: %s: %s", p.Code, p.Reason, p.Text)
	}
	return fmt.Sprintf("signer: %s: %s", p.Code, p.Text)
}

// Encode writes a message.
func Encode(message any) ([]byte, error) {
	out, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode for the signer's protocol: %w", err)
	}
	return append(out, '\n'), nil
}

// DecodeOrder reads an order of at most MaxOrder bytes. Its error wraps ErrMalformed.
func DecodeOrder(in io.Reader) (*Order, error) {
	var o Order
	if err := decode(in, MaxOrder, &o); err != nil {
		return nil, err
	}
	return &o, malformed(o.check())
}

// DecodeIssued reads the answer to an order, of at most MaxAnswer bytes. Its error
// wraps ErrMalformed.
func DecodeIssued(in io.Reader) (*Issued, error) {
	var i Issued
	if err := decode(in, MaxAnswer, &i); err != nil {
		return nil, err
	}
	if len(i.Certificate) == 0 {
		return nil, malformed(errors.New("there is no certificate"))
	}
	return &i, nil
}

// DecodeProblem reads a problem, of at most MaxAnswer bytes. Its error wraps ErrMalformed.
func DecodeProblem(in io.Reader) (*Problem, error) {
	var p Problem
	if err := decode(in, MaxAnswer, &p); err != nil {
		return nil, err
	}
	if !slices.Contains(codes, p.Code) || (p.Reason != "") != (p.Code == Refused) {
		return nil, malformed(errors.New("its code is unknown, or lacks its reason"))
	}
	return &p, nil
}

// decode reads exactly one value. Its errors do not quote it: it may hold a challenge.
func decode(in io.Reader, limit int64, into any) error {
	raw, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if int64(len(raw)) > limit {
		return malformed(fmt.Errorf("it has more than %d bytes", limit))
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return malformed(describe(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return malformed(errors.New("there is something behind it"))
	}
	return nil
}

// describe says where JSON went wrong, without the content.
func describe(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON from byte %d on", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("a wrong kind of value at byte %d", kind.Offset)
	default:
		return errors.New("unknown fields, unreadable values, or cut short")
	}
}

func malformed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// Bounds of what devices and servers choose, in bytes.
const (
	maxName = 253
	maxText = 64 << 10
)

func (o *Order) check() error {
	switch {
	case o.Generation < 0:
		return errors.New("generation is negative")
	case len(o.TransactionID) == 0 || len(o.TransactionID) > maxText:
		return errors.New("transactionID is empty, or too long")
	case len(o.CSR) == 0 || len(o.Signer) == 0:
		return errors.New("csr or signer is missing")
	case o.Template == "" || len(o.Template) > maxName:
		return errors.New("template is missing, or too long")
	case o.Challenge != nil:
		return o.Challenge.check()
	}
	return nil
}

func (c *Challenge) check() error {
	switch {
	case c.Name == "" || len(c.Name) > maxName:
		return errors.New("challenge.name is missing, or too long")
	case c.Claim == nil:
		return nil
	case c.Claim.Name == "" || len(c.Claim.Name) > maxName:
		return errors.New("challenge.claim.name is missing, or too long")
	case c.Claim.Time.IsZero() || c.Claim.Expires.IsZero():
		return errors.New("challenge.claim lacks a time")
	case c.Claim.Time.Nanosecond() != 0:
		return errors.New("challenge.claim.time is not in whole seconds")
	}
	return nil
}
