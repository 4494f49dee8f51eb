package sceptest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"math/big"
	"net/http"
	"strconv"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// Hostility is what a server does to its clients. The rest it does well.
type Hostility struct {
	// HTTP answers operations in the server's place, by their names.
	HTTP map[string]http.HandlerFunc
	// CertRep changes the answer to a PKIOperation, which is SUCCESS without it.
	CertRep func(*Answer)
}

// NewHostileServer starts a Server that ends with the test. Of the options it
// goes by CA, Identity and Layout.
func NewHostileServer(t testing.TB, o Options, h Hostility) *Server {
	t.Helper()
	s := newServer(t, o)
	honest := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		operation := r.URL.Query().Get("operation")
		answer, hostile := h.HTTP[operation]
		switch {
		case hostile:
			answer(w, r)
		case operation == "PKIOperation" && h.CertRep != nil:
			s.lie(t, w, r, h.CertRep)
		default:
			honest.ServeHTTP(w, r)
		}
	})
	s.listen(t)
	return s
}

// lie answers a message with a changed CertRep.
func (s *Server) lie(t testing.TB, w http.ResponseWriter, r *http.Request, change func(*Answer)) {
	message, err := readMessage(r)
	if err != nil {
		t.Errorf("reading a message: %v", err)
		return
	}
	request, err := scep.Open(message, s.Identity(), tolerant)
	if err != nil {
		t.Errorf("opening a message: %v", err)
		return
	}
	a := NewAnswer(t, s.CA, s.Identity(), request)
	change(&a)
	w.Header().Set("Content-Type", "application/x-pki-message")
	_, _ = w.Write(a.Bytes(t))
}

// tolerant opens whatever a client may send.
var tolerant = scep.Settings{
	AllowSHA1: true, AllowTripleDES: true, AllowDES: true, AllowMD5: true,
	Renewal: true, GetCert: true, GetCRL: true, PasswordRecipient: true,
}

// readMessage trusts its client, other than scep does.
func readMessage(r *http.Request) ([]byte, error) {
	if r.Method == http.MethodPost {
		return io.ReadAll(r.Body)
	}
	return base64.StdEncoding.DecodeString(r.URL.Query().Get("message"))
}

// Answer is a CertRep of which everything can be made wrong. Like those of a
// Message, attributes that are empty are left out.
type Answer struct {
	Message
	Status, FailInfo string
	RecipientNonce   []byte
}

// NewAnswer is a SUCCESS with a certificate for the key that signed the request.
func NewAnswer(t testing.TB, ca *CA, id *scep.Identity, r *scep.Request) Answer {
	t.Helper()
	issued, err := ca.Issue(&x509.Certificate{KeyUsage: combinedUsage}, r.Signer.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return Answer{
		Message: Message{
			Type:          strconv.Itoa(int(scep.CertRep)),
			TransactionID: r.TransactionID,
			SenderNonce:   []byte(rand.Text()[:16]),
			Content:       Bundle(t, issued),
			Recipient:     r.Signer,
			Cipher:        r.AnswerCipher,
			Digest:        r.AnswerDigest,
			Signer:        id.Active.Signing.Certificate,
			SignerKey:     id.Active.Signing.Key,
		},
		Status:         strconv.Itoa(int(scep.StatusSuccess)),
		RecipientNonce: r.SenderNonce,
	}
}

// Bundle is a certs-only SignedData.
func Bundle(t testing.TB, certificates ...*x509.Certificate) []byte {
	t.Helper()
	der, err := cms.MarshalCertificates(certificates)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var (
	oidPKIStatus      = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 3}
	oidFailInfo       = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 4}
	oidRecipientNonce = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 6}
)

// Bytes encodes the answer.
func (a Answer) Bytes(t testing.TB) []byte {
	t.Helper()
	m := a.Message
	m.add(oidPKIStatus, asn1.TagPrintableString, []byte(a.Status))
	m.add(oidFailInfo, asn1.TagPrintableString, []byte(a.FailInfo))
	m.add(oidRecipientNonce, asn1.TagOctetString, a.RecipientNonce)
	return m.Bytes(t)
}

// Without makes an answer one without an envelope, as FAILURE and PENDING are.
func (a *Answer) Without(status scep.PKIStatus) {
	a.Status = strconv.Itoa(int(status))
	a.Envelope = func([]byte) []byte { return nil }
}

// Typed answers with a body and its media type.
func Typed(mediaType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		_, _ = w.Write(body)
	}
}

// Endless answers until the client has had enough.
func Endless(w http.ResponseWriter, _ *http.Request) {
	for block := bytes.Repeat([]byte("AES\n"), 8<<10); ; {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// Stalled begins an answer and does not go on until the client leaves.
func Stalled(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write([]byte{0x30})
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// CutShort announces more than it sends.
func CutShort(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte{0x30, 0x82, 0x03, 0xe4})
	panic(http.ErrAbortHandler)
}

// HugeCertificates is a bundle of a CA and an RA certificate below it, of which
// the CA's RSA key has about so many bits. Whoever verifies the one by the other
// without a look at the key is busy for a while: the time grows with the square.
func HugeCertificates(t testing.TB, bits uint) []byte {
	t.Helper()
	one := big.NewInt(1)
	modulus := new(big.Int).Add(new(big.Int).Lsh(one, bits), one)
	public, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: modulus, E: 1<<31 - 1})
	if err != nil {
		t.Fatal(err)
	}
	ca := NewCA(t)
	ra := NewGeneration(t, ca, Combined).Signing.Certificate
	huge, err := x509.ParseCertificate(Replace(ca.Certificate.Raw, ca.Certificate.RawSubjectPublicKeyInfo, public))
	if err != nil {
		t.Fatal(err)
	}
	return Bundle(t, ra, huge)
}
