package rfc8894_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"net/http"
	"slices"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

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
func element(tag byte, contents []byte) []byte { return cms.Element(cbasn1.Tag(tag), contents) }

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
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return httpAnswer{response.StatusCode, response.Header.Get("Content-Type"), content}
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
