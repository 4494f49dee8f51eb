package rfc8894_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// seen is an HTTP request of a client.
type seen struct {
	operation, method, path, query, mediaType string
	body                                      []byte // of a PKIOperation: the message
}

// responder answers in the server's place; nil is the server itself.
type responder func(seen) *http.Response

// tap is between a client and the server.
type tap struct {
	t      *testing.T
	answer map[string]responder // by operation

	mu  sync.Mutex
	log []seen
}

// RoundTrip implements http.RoundTripper.
func (p *tap) RoundTrip(request *http.Request) (*http.Response, error) {
	s := seen{
		operation: request.URL.Query().Get("operation"),
		method:    request.Method,
		path:      request.URL.Path,
		query:     request.URL.RawQuery,
		mediaType: request.Header.Get("Content-Type"),
	}
	if request.Body != nil {
		var err error
		if s.body, err = io.ReadAll(request.Body); err != nil {
			return nil, err
		}
		request.Body = io.NopCloser(bytes.NewReader(s.body))
	}
	if request.Method == http.MethodGet && s.operation == "PKIOperation" {
		s.body = p.decode(request.URL.Query())
	}
	p.mu.Lock()
	p.log = append(p.log, s)
	p.mu.Unlock()
	if respond := p.answer[s.operation]; respond != nil {
		if response := respond(s); response != nil {
			return response, nil
		}
	}
	return http.DefaultTransport.RoundTrip(request)
}

// decode goes by the RFC to the letter.
func (p *tap) decode(query url.Values) []byte {
	message, err := base64.StdEncoding.DecodeString(query.Get("message"))
	if err != nil {
		p.t.Errorf("message parameter: %v", err)
	}
	return message
}

// operations lists what was asked for, in order.
func (p *tap) operations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var operations []string
	for _, s := range p.log {
		operations = append(operations, s.operation)
	}
	return operations
}

// of lists the requests of an operation.
func (p *tap) of(operation string) []seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.log), func(s seen) bool { return s.operation != operation })
}

// messages are the pkiMessages that were sent.
func (p *tap) messages() []*cms.SignedData {
	p.t.Helper()
	var messages []*cms.SignedData
	for _, s := range p.of("PKIOperation") {
		messages = append(messages, parse(p.t, s.body))
	}
	return messages
}

// requests are the pkiMessages that were sent, opened by the RA.
func (p *tap) requests(r rig) []*scep.Request {
	p.t.Helper()
	var requests []*scep.Request
	for _, s := range p.of("PKIOperation") {
		requests = append(requests, r.open(s.body))
	}
	return requests
}

func (r rig) open(message []byte) *scep.Request {
	r.t.Helper()
	request, err := scep.Open(message, r.Identity(), tolerant)
	if err != nil {
		r.t.Fatal(err)
	}
	return request
}

// client is a client of the RA behind a tap.
func (r rig) client() (*scep.Client, *tap) {
	p := &tap{t: r.t, answer: map[string]responder{}}
	return &scep.Client{
		URL:          r.URL,
		HTTP:         &http.Client{Transport: p},
		Logger:       slog.New(slog.DiscardHandler),
		VerifyCA:     scep.TrustAnyCA,
		PollInterval: time.Millisecond,
		PollLimit:    20, // no case needs so many
	}, p
}

func answer(status int, mediaType string, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {mediaType}},
		Body:       io.NopCloser(bytes.NewReader(body)),
	}
}

// answers is a responder that always says the same.
func answers(status int, mediaType, body string) responder {
	return func(seen) *http.Response { return answer(status, mediaType, []byte(body)) }
}

// enrolment is a good request with its challenge.
func enrolment(t *testing.T) scep.EnrolRequest {
	t.Helper()
	return scep.EnrolRequest{
		Key:               device(t),
		Template:          &x509.CertificateRequest{Subject: pkix.Name{CommonName: "device"}},
		ChallengePassword: password,
	}
}

// renewal is a request for the same name without a challenge.
func renewal(t *testing.T, certificate *x509.Certificate, key crypto.Signer) scep.EnrolRequest {
	t.Helper()
	r := enrolment(t)
	r.Key, r.ChallengePassword = key, ""
	r.Certificate, r.CertificateKey = certificate, device(t)
	return r
}

func (r rig) enrol(c *scep.Client, request scep.EnrolRequest) *scep.Result {
	r.t.Helper()
	return r.success(c.Enrol(r.t.Context(), request))
}

func (r rig) renew(c *scep.Client, request scep.EnrolRequest) *scep.Result {
	r.t.Helper()
	return r.success(c.Renew(r.t.Context(), request))
}

func (r rig) success(result *scep.Result, err error) *scep.Result {
	r.t.Helper()
	if err != nil || result.Status != scep.StatusSuccess {
		r.t.Fatalf("%+v, %v, want SUCCESS", result, err)
	}
	return result
}

// certRep is a CertRep of which everything can be made wrong; an empty field is
// left out.
type certRep struct {
	id, messageType, status, failInfo string
	senderNonce, recipientNonce       []byte
	content                           []byte
	signer                            *scep.Credential
	extra                             []cms.Attribute
}

// pending is a good PENDING for a request.
func (r rig) pending(request *scep.Request) certRep {
	return certRep{
		id: request.TransactionID, messageType: "3", status: "3",
		senderNonce: []byte("a nonce of ours."), recipientNonce: request.SenderNonce,
		signer: r.Identity().Active.Signing,
	}
}

func (c certRep) bytes(t *testing.T) []byte {
	t.Helper()
	attributes := slices.Clone(c.extra)
	add := func(oid asn1.ObjectIdentifier, tag byte, value []byte) {
		if len(value) > 0 {
			attributes = append(attributes, cms.Attribute{Type: oid, Value: element(tag, value)})
		}
	}
	add(transactionID, asn1.TagPrintableString, []byte(c.id))
	add(messageType, asn1.TagPrintableString, []byte(c.messageType))
	add(pkiStatus, asn1.TagPrintableString, []byte(c.status))
	add(failInfo, asn1.TagPrintableString, []byte(c.failInfo))
	add(senderNonce, asn1.TagOctetString, c.senderNonce)
	add(recipientNonce, asn1.TagOctetString, c.recipientNonce)
	der, err := cms.Sign(c.content, attributes, cms.Signer{Certificate: c.signer.Certificate, Key: c.signer.Key, Digest: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// replies is a client whose server answers each message with what make says.
func (r rig) replies(make func(*scep.Request) certRep) (*scep.Client, *tap) {
	c, p := r.client()
	p.answer["PKIOperation"] = func(s seen) *http.Response {
		return answer(http.StatusOK, "application/x-pki-message", make(r.open(s.body)).bytes(r.t))
	}
	return c, p
}
