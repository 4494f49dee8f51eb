package rfc8894_test

import (
	"bytes"
	"context"
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
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const password = "correct horse"

// tolerant allows whatever an endpoint can be told to allow.
var tolerant = scep.Settings{AllowSHA1: true, AllowTripleDES: true, Renewal: true}

// The attributes of a pkiMessage.
var (
	messageType    = scepOID(2)
	pkiStatus      = scepOID(3)
	failInfo       = scepOID(4)
	senderNonce    = scepOID(5)
	recipientNonce = scepOID(6)
	transactionID  = scepOID(7)
	failInfoText   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 24, 1}
	contentType    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	messageDigest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
)

func scepOID(last int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, last}
}

// rig is an RA with its CA, and one test's way to talk to it.
type rig struct {
	*sceptest.Server
	t *testing.T
}

func newRig(t *testing.T, o sceptest.Options) rig {
	t.Helper()
	return rig{sceptest.NewServer(t, o), t}
}

// standard is an RA with tolerant settings that wants the password.
func standard(t *testing.T) rig {
	t.Helper()
	return newRig(t, sceptest.Options{Settings: tolerant, Challenge: password})
}

// decides is an RA whose answer to every request is the same.
func decides(t *testing.T, reply *scep.Reply) rig {
	t.Helper()
	return newRig(t, sceptest.Options{Settings: tolerant, Backend: backend(func(*scep.Request) (*scep.Reply, error) { return reply, nil })})
}

// backend is a function as a scep.Backend.
type backend func(*scep.Request) (*scep.Reply, error)

func (b backend) PKIOperation(_ context.Context, r *scep.Request) (*scep.Reply, error) { return b(r) }

// The server's side: messages made by hand, and their answers.

// device is the key of a device.
func device(t *testing.T) crypto.Signer {
	t.Helper()
	return sceptest.RSAKey(t, 1)
}

// message is a good PKCSReq.
func (r rig) message() sceptest.Message {
	r.t.Helper()
	csr := sceptest.CSR(r.t, device(r.t), sceptest.CSROptions{ChallengePassword: password})
	return sceptest.NewMessage(r.t, r.Identity(), csr, device(r.t))
}

// ofType is a good message of another type, as far as its content goes.
func (r rig) ofType(n string, content []byte) sceptest.Message {
	r.t.Helper()
	m := r.message()
	m.Type = n
	if content != nil {
		m.Content = content
	}
	return m
}

// poll is a CertPoll for a message.
func (r rig) poll(m sceptest.Message) sceptest.Message {
	r.t.Helper()
	p := r.ofType("20", names(r.CA.Certificate.RawSubject, m.Signer.RawSubject))
	p.TransactionID, p.Signer, p.SignerKey = m.TransactionID, m.Signer, m.SignerKey
	return p
}

// names is an IssuerAndSubject.
func names(issuer, subject []byte) []byte {
	return element(asn1.TagSequence|0x20, slices.Concat(issuer, subject))
}

// element is the DER of an element with a tag of one octet.
func element(tag byte, contents []byte) []byte {
	out := []byte{tag}
	switch n := len(contents); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	default:
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	return append(out, contents...)
}

// httpAnswer is an HTTP response that was read.
type httpAnswer struct {
	status    int
	mediaType string
	body      []byte
}

func (r rig) do(method, target, mediaType string, body []byte) httpAnswer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", mediaType)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	return read(r.t, response)
}

func read(t *testing.T, response *http.Response) httpAnswer {
	t.Helper()
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return httpAnswer{response.StatusCode, response.Header.Get("Content-Type"), body}
}

func (r rig) get(query string) httpAnswer {
	r.t.Helper()
	return r.do(http.MethodGet, r.URL+"?"+query, "", nil)
}

func (r rig) post(message []byte) httpAnswer {
	r.t.Helper()
	return r.do(http.MethodPost, r.URL+"?operation=PKIOperation", "application/x-pki-message", message)
}

// reply is a CertRep whose signature verifies.
type reply struct {
	*cms.SignedData
	t   *testing.T
	der []byte
}

// ask posts a message; the answer must be a CertRep signed by the RA.
func (r rig) ask(m sceptest.Message) reply {
	r.t.Helper()
	return r.answered(r.post(m.Bytes(r.t)))
}

// askDER is ask for a message that was made already.
func (r rig) askDER(message []byte) reply {
	r.t.Helper()
	return r.answered(r.post(message))
}

func (r rig) answered(a httpAnswer) reply {
	r.t.Helper()
	if a.status != http.StatusOK || a.mediaType != "application/x-pki-message" {
		r.t.Fatalf("HTTP %d %q %.200q, want a CertRep", a.status, a.mediaType, a.body)
	}
	signed := parse(r.t, a.body)
	if err := signed.Verify(r.Identity().Active.Signing.Certificate); err != nil {
		r.t.Fatal(err)
	}
	return reply{signed, r.t, a.body}
}

func parse(t *testing.T, message []byte) *cms.SignedData {
	t.Helper()
	signed, err := cms.ParseSignedData(message, cms.Limits{Nesting: 32, Certificates: 16, Attributes: 64})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// value is an attribute's contents; its type must be tag.
func value(t *testing.T, s *cms.SignedData, oid asn1.ObjectIdentifier, tag int) string {
	t.Helper()
	der, ok := s.Attribute(oid)
	if !ok {
		t.Errorf("no attribute %v", oid)
		return ""
	}
	var v asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &v); err != nil || len(rest) > 0 || v.Tag != tag {
		t.Errorf("attribute %v is %x, want one value of type %d", oid, der, tag)
	}
	return string(v.Bytes)
}

func (p reply) text(oid asn1.ObjectIdentifier) string {
	p.t.Helper()
	return value(p.t, p.SignedData, oid, asn1.TagPrintableString)
}

func (p reply) octets(oid asn1.ObjectIdentifier) string {
	p.t.Helper()
	return value(p.t, p.SignedData, oid, asn1.TagOctetString)
}

func (p reply) has(oid asn1.ObjectIdentifier) bool {
	_, ok := p.Attribute(oid)
	return ok
}

func (p reply) want(status scep.PKIStatus) reply {
	p.t.Helper()
	if got := p.text(pkiStatus); got != decimal(int(status)) {
		p.t.Fatalf("pkiStatus %s %q, want %v", got, p.explanation(), status)
	}
	return p
}

func (p reply) wantFail(info scep.FailInfo) reply {
	p.t.Helper()
	p.want(scep.StatusFailure)
	if got := p.text(failInfo); got != decimal(int(info)) {
		p.t.Errorf("failInfo %s %q, want %v", got, p.explanation(), info)
	}
	return p
}

// explanation is the failInfoText, "" if absent.
func (p reply) explanation() string {
	if !p.has(failInfoText) {
		return ""
	}
	return value(p.t, p.SignedData, failInfoText, asn1.TagUTF8String)
}

func decimal(n int) string { return string(rune('0' + n)) }

func (p reply) envelope() *cms.EnvelopedData {
	p.t.Helper()
	e, err := cms.ParseEnvelopedData(p.Content)
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

// opened is what a SUCCESS holds for the owner of key: a degenerate SignedData.
func (p reply) opened(key crypto.Signer) []byte {
	p.t.Helper()
	e := p.envelope()
	plaintext, err := e.Decrypt(e.Recipients[0], key.(crypto.Decrypter))
	if err != nil || !plaintext.Sound {
		p.t.Fatalf("the envelope does not open: %v", err)
	}
	return plaintext.Bytes
}

func (p reply) certificates(key crypto.Signer) []*x509.Certificate {
	p.t.Helper()
	certificates, err := cms.ParseCertificates(p.opened(key), cms.Limits{Nesting: 32, Certificates: 16, Attributes: 64})
	if err != nil {
		p.t.Fatal(err)
	}
	return certificates
}

// The client's side: a client, what it sends, and answers made by hand.

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
		PollLimit:    -1,
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

// The DER itself.

// at is the element that is reached by going to the n-th child, and so on.
func at(t *testing.T, der []byte, path ...int) asn1.RawValue {
	t.Helper()
	v := decode(t, der)[0]
	for _, n := range path {
		children := decode(t, v.Bytes)
		if n >= len(children) {
			t.Fatalf("no element %v in %x", path, der)
		}
		v = children[n]
	}
	return v
}

func decode(t *testing.T, der []byte) []asn1.RawValue {
	t.Helper()
	var all []asn1.RawValue
	for len(der) > 0 {
		var v asn1.RawValue
		var err error
		if der, err = asn1.Unmarshal(der, &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// edit replaces an element of DER, whose contents have to be less than 64 KiB.
func edit(t *testing.T, der []byte, change func(asn1.RawValue) []byte, path ...int) []byte {
	t.Helper()
	v := decode(t, der)[0]
	if len(path) == 0 {
		return change(v)
	}
	var contents []byte
	for n, child := range decode(t, v.Bytes) {
		if n == path[0] {
			contents = append(contents, edit(t, child.FullBytes, change, path[1:]...)...)
			continue
		}
		contents = append(contents, child.FullBytes...)
	}
	return element(v.FullBytes[0], contents)
}

// Where things are in a SignedData with certificates.
var (
	signedContentInfo  = []int{1, 0, 2}
	signedContentType  = []int{1, 0, 2, 0}
	signedContent      = []int{1, 0, 2, 1}
	signedCertificates = []int{1, 0, 3}
	signerInfo         = []int{1, 0, 4, 0}
	signedAttributes   = []int{1, 0, 4, 0, 3}
)

func drop(asn1.RawValue) []byte { return nil }

func replaced(by []byte) func(asn1.RawValue) []byte {
	return func(asn1.RawValue) []byte { return by }
}

func encodedOID(t *testing.T, oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	der, err := asn1.Marshal(oid)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var (
	idData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	idSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	idEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}
)

func wantOID(t *testing.T, v asn1.RawValue, want asn1.ObjectIdentifier) {
	t.Helper()
	if !bytes.Equal(v.FullBytes, encodedOID(t, want)) {
		t.Errorf("OID %x, want %v", v.FullBytes, want)
	}
}
