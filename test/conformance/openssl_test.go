package conformance

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const content = "what is inside"

// bench is a directory for openssl to work in, with a recipient that is its own
// signer, in r.pem and r.key.
type bench struct {
	*sceptest.Server
	dir  string
	cert *x509.Certificate
	key  *rsa.PrivateKey
}

func newBench(t *testing.T) bench {
	t.Helper()
	mustInstall(t)
	key := sceptest.RSAKey(t, 11)
	s := bench{Server: sceptest.NewServer(t, sceptest.Options{}), dir: t.TempDir(), key: key}
	s.writePEM(t, "root.pem", s.CA.Root)
	template := &x509.Certificate{SubjectKeyId: []byte{1, 2, 3, 4}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}
	var err error
	if s.cert, err = s.CA.Issue(template, key.Public()); err != nil {
		t.Fatal(err)
	}
	s.writePEM(t, "r.pem", s.cert)
	s.write(t, "r.key", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	s.write(t, "content", []byte(content))
	return s
}

func (s bench) path(name string) string { return filepath.Join(s.dir, name) }

func (s bench) write(t *testing.T, name string, contents []byte) {
	t.Helper()
	if err := os.WriteFile(s.path(name), contents, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s bench) writePEM(t *testing.T, name string, cert *x509.Certificate) {
	t.Helper()
	s.write(t, name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// openssl runs it, which must work, and returns what it printed.
func (s bench) openssl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = s.dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

func (s bench) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpensslReadsOurEnvelopes(t *testing.T) {
	s := newBench(t)
	for _, c := range []scep.Cipher{scep.AES128CBC, scep.AES192CBC, scep.AES256CBC, scep.TripleDESCBC, scep.AES128GCM, scep.AES192GCM, scep.AES256GCM} {
		for _, transport := range []scep.KeyTransport{scep.PKCS1v15, scep.OAEPSHA1, scep.OAEPSHA256} {
			der, err := cms.Encrypt([]byte(content), s.cert, c, transport)
			if err != nil {
				t.Fatal(err)
			}
			s.write(t, "e.der", der)
			got := s.openssl(t, "cms", "-decrypt", "-inform", "der", "-in", "e.der", "-recip", "r.pem", "-inkey", "r.key")
			if got != content {
				t.Errorf("%v, %d: openssl reads %q", c, transport, got)
			}
		}
	}
}

func TestOpensslReadsOurSignatures(t *testing.T) {
	s := newBench(t)
	for _, text := range []string{content, ""} {
		for _, digest := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			der, err := cms.Sign([]byte(text), nil, cms.Signer{Certificate: s.cert, Key: s.key, Digest: digest})
			if err != nil {
				t.Fatal(err)
			}
			s.write(t, "s.der", der)
			got := s.openssl(t, "cms", "-verify", "-binary", "-noverify", "-inform", "der", "-in", "s.der")
			if got != text {
				t.Errorf("%v: openssl reads %q", digest, got)
			}
		}
	}
}

// A whole CertRep, FAILURE and PENDING, that openssl verifies up to the root.
func TestOpensslReadsReplies(t *testing.T) {
	s := newBench(t)
	csr := sceptest.CSR(t, s.key, sceptest.CSROptions{})
	request, err := scep.Open(sceptest.NewMessage(t, s.Identity(), csr, s.key).Bytes(t), s.Identity(), scep.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	s.writePEM(t, "ca.pem", s.CA.Certificate)
	s.write(t, "trusted.pem", append(s.read(t, "ca.pem"), s.read(t, "root.pem")...))
	for _, reply := range []*scep.Reply{scep.Pending(), scep.Fail(scep.BadRequest, "because"), scep.Success(s.cert)} {
		der, err := request.Respond(s.Identity(), reply)
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, "reply.der", der)
		got := s.openssl(t, "cms", "-verify", "-binary", "-inform", "der", "-in", "reply.der",
			"-CAfile", "trusted.pem", "-purpose", "any")
		if empty := got == ""; empty != (reply.Status != scep.StatusSuccess) {
			t.Errorf("%v: %d bytes of content", reply.Status, len(got))
		}
		dump := s.openssl(t, "asn1parse", "-inform", "der", "-in", "reply.der")
		if !strings.Contains(dump, "2.16.840.1.113733.1.9.3") {
			t.Errorf("no pkiStatus in\n%s", dump)
		}
	}
}

func TestOpensslReadsGetCACert(t *testing.T) {
	s := newBench(t)
	der, err := cms.MarshalCertificates(s.Identity().CertificatesFor(scep.RAAndChain))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "certs.der", der)
	got := s.openssl(t, "pkcs7", "-inform", "der", "-in", "certs.der", "-print_certs")
	if n := strings.Count(got, "BEGIN CERTIFICATE"); n != 4 {
		t.Errorf("openssl reads %d certificates", n)
	}
}

// What openssl writes, streamed (BER, indefinite lengths) or not.
func TestWeReadOpenssl(t *testing.T) {
	s := newBench(t)
	oaep := []string{"-keyopt", "rsa_padding_mode:oaep"}
	oaep256 := append([]string{"-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"}, oaep...)
	pss := []string{"-keyopt", "rsa_padding_mode:pss"}
	for name, more := range map[string][]string{
		"AES-128": {"-aes128"}, "AES-192": {"-aes192"}, "AES-256": {"-aes256"}, "3DES": {"-des3"},
		"AES-128-GCM": {"-aes-128-gcm"}, "AES-192-GCM": {"-aes-192-gcm"}, "AES-256-GCM": {"-aes-256-gcm"},
		"key identifier": {"-aes128", "-keyid"}, "streamed": {"-aes128", "-stream"},
		"OAEP, SHA-1": append(oaep, "-aes128"), "OAEP, SHA-256": append(oaep256, "-aes128"),
	} {
		t.Run("envelope, "+name, func(t *testing.T) {
			args := append([]string{"cms", "-encrypt", "-binary", "-in", "content", "-outform", "der", "-out", "e.der", "-recip", "r.pem"}, more...)
			s.openssl(t, args...)
			s.decrypts(t, s.read(t, "e.der"))
		})
	}
	for name, more := range map[string][]string{
		"SHA-1": {"-md", "sha1"}, "SHA-256": {"-md", "sha256"}, "SHA-512": {"-md", "sha512"},
		"key identifier": {"-keyid"}, "streamed": {"-stream"}, "PSS": pss,
	} {
		t.Run("signature, "+name, func(t *testing.T) {
			args := append([]string{"cms", "-sign", "-binary", "-nodetach", "-in", "content", "-outform", "der", "-out", "s.der", "-signer", "r.pem", "-inkey", "r.key"}, more...)
			s.openssl(t, args...)
			verifies(t, s.read(t, "s.der"))
		})
	}
}

func normalized(t *testing.T, ber []byte) []byte {
	t.Helper()
	der, err := cms.Normalize(ber, 32)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (s bench) decrypts(t *testing.T, ber []byte) {
	t.Helper()
	e, err := cms.ParseEnvelopedData(normalized(t, ber))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Recipients) != 1 || !e.Recipients[0].ID.Matches(s.cert) {
		t.Fatalf("recipients %v", e.Recipients)
	}
	got, err := e.Decrypt(e.Recipients[0], s.key)
	if err != nil || !got.Sound || string(got.Bytes) != content {
		t.Errorf("got %q, %v, %v", got.Bytes, got.Sound, err)
	}
}

func verifies(t *testing.T, ber []byte) {
	t.Helper()
	signed, err := cms.ParseSignedData(normalized(t, ber), cms.Limits{Nesting: 32, Certificates: 16, Attributes: 64})
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := signed.SignerCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if err := signed.Verify(signer); err != nil || string(signed.Content) != content {
		t.Errorf("got %q, %v", signed.Content, err)
	}
}

// A device that is a shell script: openssl makes the whole PKCSReq but for the
// attributes, which its command line cannot add; so only the envelope is its.
func TestOpensslEnvelopeInAMessage(t *testing.T) {
	s := newBench(t)
	csr := sceptest.CSR(t, s.key, sceptest.CSROptions{ChallengePassword: rand.Text()})
	s.write(t, "csr.der", csr)
	s.writePEM(t, "ra.pem", s.Identity().Active.Encryption.Certificate)
	s.openssl(t, "cms", "-encrypt", "-binary", "-stream", "-aes256", "-in", "csr.der", "-outform", "der", "-out", "e.ber", "-recip", "ra.pem")
	m := sceptest.NewMessage(t, s.Identity(), csr, s.key)
	m.Envelope = func([]byte) []byte { return s.read(t, "e.ber") }
	m.Message = func(der []byte) []byte { return sceptest.Indefinite(der, 1024) }
	r, err := scep.Open(m.Bytes(t), s.Identity(), scep.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.CSR.Raw, csr) || r.Cipher != scep.AES256CBC {
		t.Errorf("got %+v", r)
	}
}
