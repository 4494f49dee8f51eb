package scep_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var everything = scep.Settings{
	AllowSHA1: true, AllowTripleDES: true, AllowDES: true, AllowMD5: true,
	Renewal: true, GetCert: true, GetCRL: true, PasswordRecipient: true,
}

// bench is an RA and a good message for it.
type bench struct {
	ca  *sceptest.CA
	id  *scep.Identity
	csr []byte
}

func newBench(t testing.TB) bench {
	t.Helper()
	ca := sceptest.NewCA(t)
	return bench{
		ca:  ca,
		id:  sceptest.NewIdentity(t, ca, sceptest.Pair),
		csr: sceptest.CSR(t, sceptest.RSAKey(t, 1), sceptest.CSROptions{ChallengePassword: challenge}),
	}
}

func (b bench) message(t testing.TB) sceptest.Message {
	t.Helper()
	return sceptest.NewMessage(t, b.id, b.csr, sceptest.RSAKey(t, 1))
}

func mustOpen(t *testing.T, message []byte, id *scep.Identity, s scep.Settings) *scep.Request {
	t.Helper()
	r, err := scep.Open(message, id, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// openError opens with the zero value of Settings.
func openError(t *testing.T, message []byte, id *scep.Identity) *scep.MessageError {
	t.Helper()
	r, err := scep.Open(message, id, scep.Settings{})
	var m *scep.MessageError
	if !errors.As(err, &m) {
		t.Fatalf("got %v, %v", r, err)
	}
	return m
}

func TestOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.message(t)
	r := mustOpen(t, m.Bytes(t), b.id, scep.Settings{})
	switch {
	case r.MessageType != scep.PKCSReq,
		r.TransactionID != m.TransactionID,
		!bytes.Equal(r.SenderNonce, m.SenderNonce),
		!r.Signer.Equal(m.Signer),
		!bytes.Equal(r.CSR.Raw, b.csr),
		r.ChallengePassword != challenge,
		r.Generation != b.id.Active,
		r.Digest != crypto.SHA256,
		r.Cipher != scep.AES128CBC,
		!r.SignedByCSRKey():
		t.Errorf("got %+v", r)
	}
}

// What well-behaved but peculiar clients send.
func TestOpenTolerates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	key := sceptest.RSAKey(t, 1)
	for name, change := range map[string]func(*sceptest.Message){
		"as it is":                func(*sceptest.Message) {},
		"attributes in UTF-8":     func(m *sceptest.Message) { m.TextTag = asn1.TagUTF8String },
		"a long nonce":            func(m *sceptest.Message) { m.SenderNonce = bytes.Repeat([]byte{1}, 32) },
		"a short nonce":           func(m *sceptest.Message) { m.SenderNonce = []byte{1} },
		"transactionID in base64": func(m *sceptest.Message) { m.TransactionID = "Yn7ycvujlIVZLkazX3Q8D/urqG0=" },
		"another subject": func(m *sceptest.Message) {
			m.Signer = sceptest.SelfSigned(t, &x509.Certificate{Subject: pkix.Name{CommonName: "91B0C1B4-2F0C"}}, key)
		},
		"no subject": func(m *sceptest.Message) { m.Signer = sceptest.SelfSigned(t, &x509.Certificate{}, key) },
		"clock of 1970": func(m *sceptest.Message) {
			m.Signer = sceptest.SelfSigned(t, &x509.Certificate{
				NotBefore: time.Unix(0, 0), NotAfter: time.Unix(86400, 0),
			}, key)
		},
		"clock of 2090": func(m *sceptest.Message) {
			start := time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)
			m.Signer = sceptest.SelfSigned(t, &x509.Certificate{NotBefore: start, NotAfter: start.AddDate(1, 0, 0)}, key)
		},
		"BER": func(m *sceptest.Message) {
			m.Message = func(der []byte) []byte { return sceptest.Indefinite(der, 1000) }
		},
		"BER, tiny pieces": func(m *sceptest.Message) { m.Message = func(der []byte) []byte { return sceptest.Indefinite(der, 1) } },
		"BER in the envelope": func(m *sceptest.Message) {
			m.Envelope = func(der []byte) []byte { return sceptest.Indefinite(der, 100) }
		},
		"BER everywhere": func(m *sceptest.Message) {
			m.Envelope = func(der []byte) []byte { return sceptest.Indefinite(der, 7) }
			m.Message = m.Envelope
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := b.message(t)
			change(&m)
			r := mustOpen(t, m.Bytes(t), b.id, scep.Settings{})
			if r.TransactionID != m.TransactionID || !bytes.Equal(r.CSR.Raw, b.csr) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func md5OID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5} }
func rsaKEM() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 14} }

// certificateOf is a certificate of a key that nobody has.
func certificateOf(t *testing.T, key *rsa.PublicKey) *x509.Certificate {
	t.Helper()
	cert, err := sceptest.NewCA(t).Issue(&x509.Certificate{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func rc2OID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 2} }

// What is refused, and what a device is told of it.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const missing = "transactionID, messageType or senderNonce is missing"
	const noDigest = "digest algorithm "
	const noCipher = "content encryption algorithm "
	const notHere = " is not supported here"
	for name, test := range map[string]struct {
		change func(*sceptest.Message)
		info   scep.FailInfo
		text   string
	}{
		"no transactionID": {func(m *sceptest.Message) { m.TransactionID = "" }, scep.BadRequest, missing},
		"no senderNonce":   {func(m *sceptest.Message) { m.SenderNonce = nil }, scep.BadRequest, missing},
		"no messageType":   {func(m *sceptest.Message) { m.Type = "" }, scep.BadRequest, missing},
		"messageType 019":  {func(m *sceptest.Message) { m.Type = "019" }, scep.BadRequest, missing},
		"messageType x":    {func(m *sceptest.Message) { m.Type = "x" }, scep.BadRequest, missing},
		"two transactionIDs": {func(m *sceptest.Message) {
			m.Extra = []cms.Attribute{{
				Type:  asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7},
				Value: []byte{asn1.TagPrintableString, 1, 'x'},
			}}
		}, scep.BadRequest, missing},
		"endless transactionID": {func(m *sceptest.Message) { m.TransactionID = strings.Repeat("x", 300) }, scep.BadRequest, "malformed message"},
		"messageType 0":         {func(m *sceptest.Message) { m.Type = "0" }, scep.BadRequest, "messageType 0" + notHere},
		"messageType 3":         {func(m *sceptest.Message) { m.Type = "3" }, scep.BadRequest, "CertRep" + notHere},
		"messageType 18":        {func(m *sceptest.Message) { m.Type = "18" }, scep.BadRequest, "UpdateReq" + notHere},
		"messageType 99":        {func(m *sceptest.Message) { m.Type = "99" }, scep.BadRequest, "messageType 99" + notHere},
		"renewal switched off":  {func(m *sceptest.Message) { m.Type = "17" }, scep.BadRequest, "RenewalReq" + notHere},
		"SHA-1":                 {func(m *sceptest.Message) { m.Digest = crypto.SHA1 }, scep.BadAlg, noDigest + "SHA-1 (1.3.14.3.2.26)" + notHere},
		"MD5": {func(m *sceptest.Message) {
			m.Message = func(der []byte) []byte { return sceptest.ReplaceOID(t, der, cms.DigestOID(crypto.SHA256), md5OID()) }
		}, scep.BadAlg, noDigest + "MD5 (1.2.840.113549.2.5)" + notHere},
		"3DES": {func(m *sceptest.Message) { m.Cipher = scep.TripleDESCBC }, scep.BadAlg, noCipher + "3DES-CBC (1.2.840.113549.3.7)" + notHere},
		"DES":  {func(m *sceptest.Message) { m.Cipher = scep.DESCBC }, scep.BadAlg, noCipher + "DES-CBC (1.3.14.3.2.7)" + notHere},
		"RC2": {func(m *sceptest.Message) {
			m.Envelope = func(der []byte) []byte { return sceptest.ReplaceOID(t, der, scep.AES128CBC.OID(), rc2OID()) }
		}, scep.BadAlg, noCipher + "RC2-CBC (1.2.840.113549.3.2)" + notHere},
		"EC signer": {func(m *sceptest.Message) {
			m.Signer, m.SignerKey = sceptest.SelfSigned(t, nil, ecKey), ecKey
		}, scep.BadAlg, "sign with an RSA key: the answer is encrypted to it"},
		"RSA key of 512 bits": {func(m *sceptest.Message) {
			m.Signer = certificateOf(t, &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 511), E: 65537})
		}, scep.BadAlg, "the RSA key that signed the message is too small: use one of 1024 bits or more"},
		"key transport": {func(m *sceptest.Message) {
			m.Envelope = func(der []byte) []byte {
				return sceptest.ReplaceOID(t, der, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, rsaKEM())
			}
		}, scep.BadAlg, "key transport algorithm 1.2.840.113549.1.9.16.3.14" + notHere},
		"signed by another key": {func(m *sceptest.Message) { m.SignerKey = sceptest.RSAKey(t, 2) }, scep.BadMessageCheck, "signature does not verify"},
		"envelope changed": {func(m *sceptest.Message) {
			m.Message = func(der []byte) []byte { der[len(der)/3] ^= 1; return der }
		}, scep.BadMessageCheck, "signature does not verify"},
		"encrypted to a stranger": {func(m *sceptest.Message) { m.Recipient = m.Signer }, scep.BadRequest, "RA certificate not known: fetch GetCACert again"},
		"bare CSR":                {func(m *sceptest.Message) { m.Envelope = func([]byte) []byte { return m.Content } }, scep.BadRequest, "malformed message"},
		"no content":              {func(m *sceptest.Message) { m.Envelope = func([]byte) []byte { return nil } }, scep.BadRequest, "malformed message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := b.message(t)
			test.change(&m)
			e := openError(t, m.Bytes(t), b.id)
			if e.FailInfo != test.info || e.Text != test.text {
				t.Errorf("got %v %q (%v), want %v %q", e.FailInfo, e.Text, e.Err, test.info, test.text)
			}
		})
	}
}

func TestOpenNamesUnknownRecipient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.message(t)
	m.Recipient = b.ca.Certificate
	if e := openError(t, m.Bytes(t), b.id); !errors.Is(e, scep.ErrUnknownRecipient) {
		t.Errorf("got %v", e)
	}
}

// Whatever is wrong behind the RA's key, a device learns the same.
func TestOneAnswerBehindTheKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	badSignature := bytes.Clone(b.csr)
	badSignature[len(badSignature)-1] ^= 1
	twice := sceptest.CSR(t, sceptest.RSAKey(t, 1), sceptest.CSROptions{})
	for name, change := range map[string]func(*sceptest.Message){
		"bad RSA block": func(m *sceptest.Message) {
			m.Envelope = flipIn(b.id.Active.Encryption.Certificate.SerialNumber.Bytes(), 60)
		},
		"bad padding":   func(m *sceptest.Message) { m.Envelope = flipAt(-1) },
		"bad content":   func(m *sceptest.Message) { m.Envelope = flipAt(-100) },
		"CSR signature": func(m *sceptest.Message) { m.Content = badSignature },
		"cut CSR":       func(m *sceptest.Message) { m.Content = twice[:len(twice)-10] },
		"empty":         func(m *sceptest.Message) { m.Content = nil },
		"no CSR":        func(m *sceptest.Message) { m.Content = []byte("hello") },
		"no CertPoll":   func(m *sceptest.Message) { m.Type, m.Content = "20", []byte{0x30, 0} },
		"wrong key": func(m *sceptest.Message) {
			stranger := *b.id.Active.Encryption.Certificate
			stranger.PublicKey = sceptest.RSAKey(t, 3).Public()
			m.Recipient = &stranger
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := b.message(t)
			change(&m)
			e := openError(t, m.Bytes(t), b.id)
			const text = "the request inside the message is not valid"
			if e.FailInfo != scep.BadRequest || e.Text != text || !errors.Is(e, scep.ErrUnreadable) {
				t.Errorf("got %v %q (%v)", e.FailInfo, e.Text, e.Err)
			}
		})
	}
}

// flipAt changes a byte, counted from the end.
func flipAt(n int) func([]byte) []byte {
	return func(b []byte) []byte { b[len(b)+n] ^= 1; return b }
}

// flipIn changes the byte at a distance behind a pattern.
func flipIn(pattern []byte, distance int) func([]byte) []byte {
	return func(b []byte) []byte { b[bytes.Index(b, pattern)+len(pattern)+distance] ^= 1; return b }
}

func TestOpenMalformed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good := b.message(t).Bytes(t)
	for name, message := range map[string][]byte{
		"nothing":      nil,
		"text":         []byte("GET / HTTP/1.0"),
		"cut":          good[:len(good)-1],
		"more":         append(bytes.Clone(good), 0),
		"certs only":   mustMarshal(t, b.ca.Chain()),
		"too large":    make([]byte, 300<<10),
		"deep nesting": sceptest.Nested(100_000),
	} {
		e := openError(t, message, b.id)
		if e.Answerable() {
			t.Errorf("%s: answerable with %q", name, e.TransactionID)
		}
	}
	for n := range len(good) {
		if e := openError(t, good[:n], b.id); e.FailInfo != scep.BadRequest {
			t.Errorf("the first %d bytes: %v", n, e)
		}
	}
}

func mustMarshal(t *testing.T, certs []*x509.Certificate) []byte {
	t.Helper()
	der, err := cms.MarshalCertificates(certs)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
