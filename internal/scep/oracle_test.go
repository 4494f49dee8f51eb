package scep_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// unreadable are messages that look the same from outside and have nothing good
// behind the RA's key: whoever altered a message of somebody else must not learn
// how far the RA came with it (Bleichenbacher 1998, Vaudenay 2002).
func (b bench) unreadable(t testing.TB, c scep.Cipher, transport scep.KeyTransport) map[string][]byte {
	t.Helper()
	badSignature := bytes.Clone(b.csr)
	badSignature[len(badSignature)-1] ^= 1
	otherContent := bytes.Repeat([]byte("no CSR at all!\n"), len(b.csr)/15+1)[:len(b.csr)]
	serial := b.id.Active.Encryption.Certificate.SerialNumber.Bytes()
	stranger := *b.id.Active.Encryption.Certificate
	stranger.PublicKey = sceptest.RSAKey(t, 3).Public()
	messages := map[string][]byte{}
	for name, change := range map[string]func(*sceptest.Message){
		"bad-block":     func(m *sceptest.Message) { m.Envelope = flipIn(serial, 200) },
		"bad-padding":   func(m *sceptest.Message) { m.Envelope = flipAt(-1) },
		"bad-end":       func(m *sceptest.Message) { m.Envelope = flipAt(-40) },
		"bad-middle":    func(m *sceptest.Message) { m.Envelope = flipAt(-len(b.csr) / 2) },
		"bad-start":     func(m *sceptest.Message) { m.Envelope = flipAt(-len(b.csr)) },
		"another-key":   func(m *sceptest.Message) { m.Recipient = &stranger },
		"no-CSR":        func(m *sceptest.Message) { m.Content = otherContent },
		"cut-CSR":       func(m *sceptest.Message) { m.Content = b.csr[:len(b.csr)-1] },
		"CSR-signature": func(m *sceptest.Message) { m.Content = badSignature },
	} {
		m := b.message(t)
		m.Cipher, m.Transport = c, transport
		m.TransactionID, m.SenderNonce = "the same for all", []byte("this one as well")
		change(&m)
		messages[name] = m.Bytes(t)
	}
	return messages
}

// What is wrong behind the key shows nowhere in the answer: status, headers and
// body are the same to the byte, but for the nonce and the signature.
func TestNoOracle(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := enrolment{bench: b, settings: everything}.handler()
	for _, transport := range []scep.KeyTransport{scep.PKCS1v15, scep.OAEPSHA1, scep.OAEPSHA256} {
		for _, c := range []scep.Cipher{scep.AES128CBC, scep.AES256CBC, scep.TripleDESCBC, scep.AES128GCM, scep.AES256GCM} {
			var first *httptest.ResponseRecorder
			for name, message := range b.unreadable(t, c, transport) {
				got := b.masked(t, serve(t.Context(), server, message))
				if first == nil {
					first = got
				}
				if !sameAnswer(got, first) {
					t.Errorf("transport %d, %v, %s: the answer tells what was wrong", transport, c, name)
				}
			}
		}
	}
}

func sameAnswer(a, b *httptest.ResponseRecorder) bool {
	return a.Code == http.StatusOK && b.Code == http.StatusOK && reflect.DeepEqual(a.Header(), b.Header()) &&
		bytes.Equal(a.Body.Bytes(), b.Body.Bytes())
}

// masked is an answer without what is random in it: senderNonce and signature.
func (b bench) masked(t *testing.T, r *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	t.Helper()
	body := r.Body.Bytes()
	signed := parseReply(t, body, b.id.Active.Signing)
	nonce, ok := signed.Attribute(oid(5))
	if !ok {
		t.Fatal("no senderNonce in the answer")
	}
	at := bytes.Index(body, nonce)
	clear(body[at : at+len(nonce)])
	clear(body[len(body)-b.id.Active.Signing.Key.Public().(interface{ Size() int }).Size():])
	return r
}

// A key of the right size for another cipher, or none, is one more way of being
// wrong that only the key's holder may see.
func TestImplicitRejectionOfKeySizes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := enrolment{bench: b, settings: everything}.handler()
	m := b.message(t)
	m.Cipher = scep.AES128CBC
	m.Envelope = func(der []byte) []byte {
		return sceptest.ReplaceOID(t, der, scep.AES128CBC.OID(), scep.AES256CBC.OID())
	}
	answer := b.masked(t, serve(t.Context(), server, m.Bytes(t)))
	m.Envelope = nil
	m.Cipher, m.Content = scep.AES256CBC, []byte("no CSR")
	if !sameAnswer(answer, b.masked(t, serve(t.Context(), server, m.Bytes(t)))) {
		t.Error("the answer tells that the content-encryption key has the wrong size")
	}
}
