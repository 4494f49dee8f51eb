package scep_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// fixedMessage is a good message that is the same RA's in every process: what a
// fuzzer changes must not be stopped by a key that was made anew.
func fixedMessage(t testing.TB, content []byte) sceptest.Message {
	t.Helper()
	m := sceptest.NewMessage(t, sceptest.FixedIdentity(t), content, sceptest.FixedKey(t, "device"))
	m.Signer, m.TransactionID = sceptest.FixedDevice(t), "transaction"
	return m
}

func fixedCSR(t testing.TB) []byte {
	t.Helper()
	return sceptest.CSR(t, sceptest.FixedKey(t, "device"), sceptest.CSROptions{ChallengePassword: challenge})
}

// variants are good messages in all algorithms and encodings.
func variants(t testing.TB) [][]byte {
	t.Helper()
	csr := fixedCSR(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, change := range []func(*sceptest.Message){
		func(*sceptest.Message) {},
		func(m *sceptest.Message) { m.Cipher, m.Digest = scep.AES256CBC, crypto.SHA512 },
		func(m *sceptest.Message) { m.Cipher, m.Digest = scep.TripleDESCBC, crypto.SHA1 },
		func(m *sceptest.Message) { m.Cipher, m.Type = scep.DESCBC, "17" },
		func(m *sceptest.Message) { m.Transport = scep.OAEPSHA1 },
		func(m *sceptest.Message) { m.Transport, m.Digest = scep.OAEPSHA256, crypto.SHA384 },
		func(m *sceptest.Message) { m.Cipher = scep.AES256GCM },
		func(m *sceptest.Message) { m.Type, m.Content = "20", issuerAndSubject },
		func(m *sceptest.Message) { m.Type, m.Content = "21", issuerAndSerial },
		func(m *sceptest.Message) { m.Type, m.Content = "22", issuerAndSerial },
		func(m *sceptest.Message) { m.SignerKey = ec; m.Signer = sceptest.SelfSigned(t, nil, ec) },
		func(m *sceptest.Message) {
			m.Envelope = func(b []byte) []byte { return sceptest.Indefinite(b, 64) }
			m.Message = func(b []byte) []byte { return sceptest.Indefinite(b, 100) }
		},
	} {
		m := fixedMessage(t, csr)
		change(&m)
		all = append(all, m.Bytes(t))
	}
	return all
}

var (
	issuerAndSubject = []byte{0x30, 4, 0x30, 0, 0x30, 0}
	issuerAndSerial  = []byte{0x30, 5, 0x30, 0, 2, 1, 7}
)

// captured are messages that real clients sent; see testdata/messages/README.md.
func captured(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/messages/*.der")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captured messages: %v", err)
	}
	messages := map[string][]byte{}
	for _, file := range files {
		message, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		messages[filepath.Base(file)] = message
	}
	return messages
}

// What real clients once sent opens for ever.
func TestCapturedMessagesOpen(t *testing.T) {
	t.Parallel()
	id, ca := sceptest.FixedIdentity(t), sceptest.FixedCA(t)
	for name, message := range captured(t) {
		r := mustOpen(t, message, id, everything)
		authorised := ca.Issued(r.Signer) || r.ChallengePassword == challenge
		if r.MessageType != scep.CertPoll && (r.CSR == nil || !authorised) {
			t.Errorf("%s: %v with %q", name, r.MessageType, r.ChallengePassword)
		}
	}
}

func addMessages(f *testing.F) {
	f.Helper()
	for _, message := range variants(f) {
		f.Add(message)
	}
	for _, message := range captured(f) {
		f.Add(message)
	}
	f.Add(sceptest.Nested(40))
}

// FuzzOpen: every message is opened or refused with a typed error, and every
// refusal that can be sent is one a client can read.
func FuzzOpen(f *testing.F) {
	addMessages(f)
	id := sceptest.FixedIdentity(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := scep.Open(message, id, everything)
		if err != nil {
			mustBeAnswered(t, id, err)
			return
		}
		mustRespond(t, id, r)
	})
}

// mustBeAnswered checks what a device is told.
func mustBeAnswered(t *testing.T, id *scep.Identity, err error) {
	t.Helper()
	var e *scep.MessageError
	if !errors.As(err, &e) {
		t.Fatalf("untyped error %v", err)
	}
	if e.Text == "" || !utf8.ValidString(e.Text) || e.FailInfo < scep.BadAlg || e.FailInfo > scep.BadCertID {
		t.Errorf("%v with %q", e.FailInfo, e.Text)
	}
	if !e.Answerable() {
		return
	}
	if _, err := e.Respond(id); err != nil {
		t.Errorf("no answer: %v", err)
	}
}

// mustRespond checks that what was opened can be answered in every way its type
// allows.
func mustRespond(t *testing.T, id *scep.Identity, r *scep.Request) {
	t.Helper()
	replies := []*scep.Reply{scep.Fail(scep.BadRequest, "no"), scep.Pending(), scep.Success(id.CAChain...)}
	switch r.MessageType {
	case scep.GetCert:
		replies = slices.Delete(replies, 1, 2)
	case scep.GetCRL:
		replies = []*scep.Reply{replies[0], scep.SuccessCRL(issuerAndSerial)}
	}
	for _, reply := range replies {
		if reply.Password = r.ChallengePassword; r.NeedsPassword() && reply.Password == "" {
			reply.Password = challenge // of the request that is polled for
		}
		if _, err := r.Respond(id, reply); err != nil {
			t.Errorf("%v of %v: %v", reply.Status, r.MessageType, err)
		}
	}
}

// FuzzSigned signs what comes instead of an envelope: the layer below the
// signature, which a changed message does not get to.
func FuzzSigned(f *testing.F) {
	m := fixedMessage(f, fixedCSR(f))
	for _, c := range []scep.Cipher{scep.AES128CBC, scep.TripleDESCBC} {
		m.Cipher = c
		m.Envelope = func(envelope []byte) []byte {
			f.Add(uint8(19), envelope)
			f.Add(uint8(20), sceptest.Indefinite(envelope, 50))
			return envelope
		}
		m.Bytes(f)
	}
	id := sceptest.FixedIdentity(f)
	f.Fuzz(func(t *testing.T, messageType uint8, envelope []byte) {
		m := m
		m.Type = strconv.Itoa(int(messageType))
		m.Envelope = func([]byte) []byte { return envelope }
		r, err := scep.Open(m.Bytes(t), id, everything)
		if err != nil {
			mustBeAnswered(t, id, err)
			return
		}
		mustRespond(t, id, r)
	})
}

// FuzzContent encrypts and signs what comes instead of a CSR or a query. What is
// accepted is what was sent; all that is not is refused with one text.
func FuzzContent(f *testing.F) {
	f.Add(uint8(scep.PKCSReq), fixedCSR(f))
	f.Add(uint8(scep.RenewalReq), sceptest.CSR(f, sceptest.FixedKey(f, "device"), sceptest.CSROptions{}))
	f.Add(uint8(scep.UpdateReq), fixedCSR(f))
	f.Add(uint8(scep.CertPoll), issuerAndSubject)
	f.Add(uint8(scep.GetCert), issuerAndSerial)
	f.Add(uint8(scep.GetCRL), issuerAndSerial)
	id, good := sceptest.FixedIdentity(f), fixedMessage(f, nil)
	f.Fuzz(func(t *testing.T, messageType uint8, content []byte) {
		m := good
		m.Type, m.Content = strconv.Itoa(int(messageType)), content
		r, err := scep.Open(m.Bytes(t), id, everything)
		if err == nil {
			mustHold(t, r, content)
			return
		}
		mustBeAnswered(t, id, err)
		if e := (*scep.MessageError)(nil); errors.As(err, &e) && !errors.Is(err, scep.ErrUnreadable) && !strings.Contains(e.Text, "not supported") {
			t.Errorf("told about the contents: %q", e.Text)
		}
	})
}

// mustHold checks that a request is what content says.
func mustHold(t *testing.T, r *scep.Request, content []byte) {
	t.Helper()
	switch {
	case r.CSR != nil:
		if !bytes.HasPrefix(content, r.CSR.Raw) || r.CSR.CheckSignature() != nil || !utf8.ValidString(r.ChallengePassword) {
			t.Errorf("%x is no good CSR, or %q no text", content, r.ChallengePassword)
		}
	case r.Subject != nil:
		if !bytes.Contains(content, r.Subject.Issuer) || !bytes.Contains(content, r.Subject.Subject) {
			t.Errorf("%x asks for %x, %x", content, r.Subject.Issuer, r.Subject.Subject)
		}
	case r.IssuerAndSerial != nil:
		if !bytes.Contains(content, r.IssuerAndSerial.Issuer) {
			t.Errorf("%x asks for %x", content, r.IssuerAndSerial.Issuer)
		}
	default:
		t.Errorf("%v holds nothing", r.MessageType)
	}
}

// FuzzHandler sends any method, query and body to the HTTP side. It answers each
// with a status it means, and never redirects nor fails.
func FuzzHandler(f *testing.F) {
	f.Add("GET", "operation=GetCACaps", []byte(nil))
	f.Add("GET", "operation=GetCACert&message=default", []byte(nil))
	f.Add("GET", "operation=GetNextCACert", []byte(nil))
	f.Add("HEAD", "operation=PKIOperation&message=AAAA", []byte(nil))
	f.Add("PUT", "operation=%50KIOperation", []byte("x"))
	for _, message := range variants(f)[:2] {
		f.Add("POST", "operation=PKIOperation", message)
	}
	id := sceptest.FixedIdentity(f)
	issued := sceptest.FixedDevice(f)
	e := enrolment{bench: bench{id: id}, settings: everything, reply: scep.Success(issued)}
	server := e.handler()
	f.Fuzz(func(t *testing.T, method, query string, body []byte) {
		request := &http.Request{
			Method:     method,
			URL:        &url.URL{Path: "/scep", RawQuery: query},
			RequestURI: "/scep?" + query,
			Body:       http.NoBody,
			Header:     http.Header{},
		}
		request.Body = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body)).Body
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, request)
		if !meant[recorder.Code] || recorder.Header().Get("Location") != "" {
			t.Errorf("HTTP %d to %s %q", recorder.Code, method, query)
		}
		if recorder.Code == http.StatusOK && recorder.Header().Get("Content-Type") == "" {
			t.Errorf("no Content-Type to %s %q", method, query)
		}
	})
}

// meant are the statuses a client may see.
var meant = map[int]bool{
	http.StatusOK:                    true,
	http.StatusBadRequest:            true,
	http.StatusNotFound:              true,
	http.StatusMethodNotAllowed:      true,
	http.StatusRequestEntityTooLarge: true,
}
