package conformance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// The SignedData and EnvelopedData of internal/scep/cms, written and read by
// "openssl cms" in every form that it has.

const cmsPassword = "one-time challenge"

var (
	cmsContent = []byte("what is inside\x00\r\n\xff, as it is")
	cmsLimits  = cms.Limits{Nesting: 32, Certificates: 16, Attributes: 64}
)

// party is somebody with a key and a certificate, in Go and in files.
type party struct {
	key      crypto.Signer
	cert     *x509.Certificate
	keyFile  string
	certFile string
}

// cmsDir is where openssl works.
type cmsDir struct {
	t    *testing.T
	path string
}

func newCMSDir(t *testing.T) *cmsDir {
	t.Helper()
	mustInstall(t)
	return &cmsDir{t, t.TempDir()}
}

func (d *cmsDir) write(name string, content []byte) string {
	d.t.Helper()
	path := filepath.Join(d.path, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// openssl returns what the command writes to its standard output.
func (d *cmsDir) openssl(args ...string) []byte {
	d.t.Helper()
	out, err := d.try(args...)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *cmsDir) try(args ...string) ([]byte, error) {
	cmd := exec.CommandContext(d.t.Context(), "openssl", args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("openssl %q: %w\n%s", args, err, &complaints)
	}
	return out, nil
}

// party makes a certificate with a subject key identifier.
func (d *cmsDir) party(name string, key crypto.Signer) *party {
	d.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		SubjectKeyId: []byte(name),
	}
	cert := sceptest.SelfSigned(d.t, template, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	return &party{
		key:      key,
		cert:     cert,
		keyFile:  d.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		certFile: d.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
	}
}

func (d *cmsDir) ecParty(name string, curve elliptic.Curve) *party {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.party(name, key)
}

// cmsCiphers are the ciphers of both, as openssl calls them. DES is in its legacy
// provider.
var cmsCiphers = []struct {
	options []string
	cipher  cms.Cipher
}{
	{[]string{"-aes-128-cbc"}, cms.AES128CBC},
	{[]string{"-aes-192-cbc"}, cms.AES192CBC},
	{[]string{"-aes-256-cbc"}, cms.AES256CBC},
	{[]string{"-des3"}, cms.TripleDESCBC},
	{[]string{"-provider", "legacy", "-provider", "default", "-des-cbc"}, cms.DESCBC},
	{[]string{"-aes-128-gcm"}, cms.AES128GCM},
	{[]string{"-aes-192-gcm"}, cms.AES192GCM},
	{[]string{"-aes-256-gcm"}, cms.AES256GCM},
}

// cmsRecipients are the ways to name a recipient and to encrypt a key to it.
var cmsRecipients = map[string][]string{
	"PKCS #1":              nil,
	"key identifier":       {"-keyid"},
	"OAEP":                 {"-keyopt", "rsa_padding_mode:oaep"},
	"OAEP SHA-256":         {"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"},
	"OAEP SHA-512":         {"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha512"},
	"OAEP SHA-256, SHA-1":  {"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha1"},
	"OAEP SHA-1, SHA-384":  {"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha1", "-keyopt", "rsa_mgf1_md:sha384"},
	"OAEP, key identifier": {"-keyopt", "rsa_padding_mode:oaep", "-keyid"},
}

// cmsForms are DER, and BER with indefinite lengths and strings in pieces.
var cmsForms = map[string][]string{
	"DER":    {"-outform", "DER"},
	"stream": {"-outform", "DER", "-stream"},
}

// readEnvelope normalises and parses.
func (d *cmsDir) readEnvelope(message []byte) *cms.EnvelopedData {
	d.t.Helper()
	der, err := cms.Normalize(message, cmsLimits.Nesting)
	if err != nil {
		d.t.Fatal(err)
	}
	e, err := cms.ParseEnvelopedData(der)
	if err != nil {
		d.t.Fatal(err)
	}
	return e
}

func (d *cmsDir) mustBeContent(p cms.Plaintext, err error) {
	d.t.Helper()
	if err != nil || !p.Sound || !bytes.Equal(p.Bytes, cmsContent) {
		d.t.Errorf("got %q, %v, %v", p.Bytes, p.Sound, err)
	}
}

func TestCMSReadsWhatOpenSSLEncrypts(t *testing.T) {
	t.Parallel()
	for _, c := range cmsCiphers {
		t.Run(c.cipher.String(), func(t *testing.T) {
			t.Parallel()
			d := newCMSDir(t)
			to := d.party("recipient", sceptest.RSAKey(t, 0))
			in := d.write("in", cmsContent)
			for recipient, recipientOptions := range cmsRecipients {
				for form, formOptions := range cmsForms {
					message := d.openssl(slices.Concat([]string{"cms", "-encrypt", "-binary", "-in", in},
						c.options, formOptions, []string{"-recip", to.certFile}, recipientOptions)...)
					e := d.readEnvelope(message)
					if len(e.Recipients) != 1 || !e.Recipients[0].ID.Matches(to.cert) || e.Cipher() != c.cipher {
						t.Fatalf("%s, %s: recipients %v, cipher %v", recipient, form, e.Recipients, e.Cipher())
					}
					d.mustBeContent(e.Decrypt(e.Recipients[0], to.key.(crypto.Decrypter)))
				}
			}
		})
	}
}

// openssl cannot write the parameters of a password recipient in GCM.
func TestCMSReadsWhatOpenSSLEncryptsToAPassword(t *testing.T) {
	t.Parallel()
	d := newCMSDir(t)
	in := d.write("in", cmsContent)
	to := d.party("recipient", sceptest.RSAKey(t, 0))
	for _, c := range cmsCiphers[:5] {
		for _, form := range cmsForms {
			message := d.openssl(slices.Concat([]string{"cms", "-encrypt", "-binary", "-in", in, "-pwri_password", cmsPassword},
				c.options, form, []string{to.certFile})...)
			e := d.readEnvelope(message)
			if len(e.PasswordRecipients) != 1 || len(e.Recipients) != 1 {
				t.Fatalf("%v: recipients %v and %v", c.cipher, e.PasswordRecipients, e.Recipients)
			}
			d.mustBeContent(e.DecryptWithPassword(e.PasswordRecipients[0], []byte(cmsPassword)))
			d.mustBeContent(e.Decrypt(e.Recipients[0], to.key.(crypto.Decrypter)))
			wrong, err := e.DecryptWithPassword(e.PasswordRecipients[0], []byte("another"))
			if err != nil || bytes.Contains(wrong.Bytes, cmsContent[:4]) {
				t.Errorf("wrong password: %q, %v", wrong.Bytes, err)
			}
		}
	}
}

// Several recipients, of which some are of kinds that this package passes over.
func TestCMSFindsItselfAmongRecipients(t *testing.T) {
	t.Parallel()
	d := newCMSDir(t)
	first, second := d.party("first", sceptest.RSAKey(t, 0)), d.party("second", sceptest.RSAKey(t, 1))
	agreeing := d.ecParty("agreeing", elliptic.P256())
	message := d.openssl("cms", "-encrypt", "-binary", "-in", d.write("in", cmsContent), "-outform", "DER", "-aes128",
		"-secretkey", "000102030405060708090a0b0c0d0e0f", "-secretkeyid", "01",
		agreeing.certFile, first.certFile, second.certFile)
	e := d.readEnvelope(message)
	if len(e.Recipients) != 2 {
		t.Fatalf("recipients %v", e.Recipients)
	}
	for _, to := range []*party{first, second} {
		i := slices.IndexFunc(e.Recipients, func(r cms.Recipient) bool { return r.ID.Matches(to.cert) })
		if i < 0 {
			t.Fatalf("recipients %v", e.Recipients)
		}
		d.mustBeContent(e.Decrypt(e.Recipients[i], to.key.(crypto.Decrypter)))
	}
}

func TestOpenSSLReadsWhatCMSEncrypts(t *testing.T) {
	t.Parallel()
	for _, c := range cmsCiphers {
		t.Run(c.cipher.String(), func(t *testing.T) {
			t.Parallel()
			d := newCMSDir(t)
			to := d.party("recipient", sceptest.RSAKey(t, 0))
			providers := c.options[:len(c.options)-1]
			decrypt := slices.Concat([]string{"cms", "-decrypt", "-binary", "-inform", "DER"}, providers)
			for _, transport := range []cms.KeyTransport{cms.PKCS1v15, cms.OAEPSHA1, cms.OAEPSHA256} {
				message, err := cms.Encrypt(cmsContent, to.cert, c.cipher, transport)
				if err != nil {
					t.Fatal(err)
				}
				got := d.openssl(append(decrypt, "-in", d.write("message", message), "-recip", to.certFile, "-inkey", to.keyFile)...)
				if !bytes.Equal(got, cmsContent) {
					t.Errorf("transport %d: got %q", transport, got)
				}
			}
			message, err := cms.EncryptToPassword(cmsContent, []byte(cmsPassword), c.cipher)
			if err != nil {
				t.Fatal(err)
			}
			got := d.openssl(append(decrypt, "-in", d.write("message", message), "-pwri_password", cmsPassword)...)
			if !bytes.Equal(got, cmsContent) {
				t.Errorf("password: got %q", got)
			}
		})
	}
}

// readSigned normalises, parses and verifies.
func (d *cmsDir) readSigned(message []byte) (*cms.SignedData, error) {
	d.t.Helper()
	der, err := cms.Normalize(message, cmsLimits.Nesting)
	if err != nil {
		return nil, err
	}
	s, err := cms.ParseSignedData(der, cmsLimits)
	if err != nil {
		return nil, err
	}
	signer, _, err := s.SignerCertificate()
	if err != nil {
		return s, err
	}
	return s, s.Verify(signer)
}

var cmsDigests = map[string]crypto.Hash{
	"md5": crypto.MD5, "sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512,
}

// pss is RSASSA-PSS with more parameters.
func pss(more ...string) []string {
	options := []string{"-keyopt", "rsa_padding_mode:pss"}
	for _, m := range more {
		options = append(options, "-keyopt", m)
	}
	return options
}

// cmsSigners are the ways to sign. With PSS, openssl has neither MD5 nor -stream.
var cmsSigners = []struct {
	name    string
	options []string
	digests []string
	forms   []string
}{
	{"issuer and serial number", nil, slices.Sorted(maps.Keys(cmsDigests)), []string{"DER", "stream"}},
	{"key identifier", []string{"-keyid"}, []string{"sha1", "sha256"}, []string{"DER", "stream"}},
	{"no S/MIME capabilities", []string{"-nosmimecap"}, []string{"sha256"}, []string{"DER"}},
	{"PSS", pss(), []string{"sha1", "sha256", "sha384", "sha512"}, []string{"DER"}},
	{"PSS, no salt", pss("rsa_pss_saltlen:0"), []string{"sha256"}, []string{"DER"}},
	{"PSS, salt of the digest", pss("rsa_pss_saltlen:digest"), []string{"sha1", "sha512"}, []string{"DER"}},
	{"PSS, longest salt", pss("rsa_pss_saltlen:max"), []string{"sha256", "sha512"}, []string{"DER"}},
	{"PSS, mask with SHA-1", pss("rsa_mgf1_md:sha1"), []string{"sha256", "sha512"}, []string{"DER"}},
	{"PSS, mask with SHA-384", pss("rsa_mgf1_md:sha384", "rsa_pss_saltlen:11"), []string{"sha1", "sha256"}, []string{"DER"}},
}

func TestCMSReadsWhatOpenSSLSigns(t *testing.T) {
	t.Parallel()
	for _, way := range cmsSigners {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			d := newCMSDir(t)
			by := d.party("signer", sceptest.RSAKey(t, 0))
			in := d.write("in", cmsContent)
			for _, md := range way.digests {
				for _, form := range way.forms {
					message := d.openssl(slices.Concat([]string{"cms", "-sign", "-binary", "-nodetach", "-in", in, "-md", md},
						cmsForms[form], []string{"-signer", by.certFile, "-inkey", by.keyFile}, way.options)...)
					d.mustBeSigned(md+", "+form, message, cmsDigests[md])
				}
			}
		})
	}
}

func (d *cmsDir) mustBeSigned(name string, message []byte, hash crypto.Hash) {
	d.t.Helper()
	s, err := d.readSigned(message)
	if err != nil {
		d.t.Errorf("%s: %v", name, err)
		return
	}
	digest, err := s.Digest()
	if err != nil || digest != hash || !bytes.Equal(s.Content, cmsContent) {
		d.t.Errorf("%s: digest %v, %v, content %q", name, digest, err, s.Content)
	}
	if at, ok := s.SigningTime(); !ok || time.Since(at).Abs() > time.Hour {
		d.t.Errorf("%s: signed at %v, %v", name, at, ok)
	}
}

func TestCMSReadsWhatOpenSSLSignsWithOtherKeys(t *testing.T) {
	t.Parallel()
	d := newCMSDir(t)
	in := d.write("in", cmsContent)
	pssKey, pssCert := d.pssParty()
	keys := map[string][]string{"RSASSA-PSS only": append([]string{"-signer", pssCert, "-inkey", pssKey}, pss()...)}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		by := d.ecParty(name, curve)
		keys[name] = []string{"-signer", by.certFile, "-inkey", by.keyFile}
	}
	for name, key := range keys {
		for _, md := range []string{"sha256", "sha384", "sha512"} {
			message := d.openssl(slices.Concat(
				[]string{"cms", "-sign", "-binary", "-nodetach", "-in", in, "-md", md, "-outform", "DER"}, key)...)
			d.mustBeSigned(name+", "+md, message, cmsDigests[md])
		}
	}
}

// pssParty has a key that is for RSASSA-PSS only, which Go does not make.
func (d *cmsDir) pssParty() (keyFile, certFile string) {
	d.t.Helper()
	keyFile, certFile = filepath.Join(d.path, "pss.key"), filepath.Join(d.path, "pss.pem")
	d.openssl("genpkey", "-quiet", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", keyFile)
	d.openssl("req", "-x509", "-key", keyFile, "-out", certFile, "-subj", "/CN=pss")
	return keyFile, certFile
}

// What SCEP does not allow is refused, with an error that says what it is.
func TestCMSRefusesWhatOpenSSLSigns(t *testing.T) {
	t.Parallel()
	d := newCMSDir(t)
	by := d.party("signer", sceptest.RSAKey(t, 0))
	other := d.party("other", sceptest.RSAKey(t, 1))
	sign := []string{"cms", "-sign", "-binary", "-in", d.write("in", cmsContent), "-outform", "DER", "-signer", by.certFile, "-inkey", by.keyFile}
	var unsupported *cms.UnsupportedAlgorithmError
	for name, test := range map[string]struct {
		options []string
		want    func(error) bool
	}{
		"no attributes":    {[]string{"-nodetach", "-noattr"}, func(err error) bool { return errors.Is(err, cms.ErrEncoding) }},
		"no certificate":   {[]string{"-nodetach", "-nocerts"}, func(err error) bool { return errors.Is(err, cms.ErrNoSigner) }},
		"two signers":      {[]string{"-nodetach", "-signer", other.certFile, "-inkey", other.keyFile}, func(err error) bool { return errors.Is(err, cms.ErrEncoding) }},
		"content apart":    {nil, func(err error) bool { return errors.Is(err, cms.ErrSignature) }},
		"a foreign digest": {[]string{"-nodetach", "-md", "sha3-256"}, func(err error) bool { return errors.As(err, &unsupported) }},
		"another type":     {[]string{"-nodetach", "-econtent_type", "pkcs7-signedData"}, func(err error) bool { return errors.Is(err, cms.ErrEncoding) }},
	} {
		if _, err := d.readSigned(d.openssl(append(slices.Clone(sign), test.options...)...)); !test.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenSSLReadsWhatCMSSigns(t *testing.T) {
	t.Parallel()
	d := newCMSDir(t)
	for _, by := range []*party{d.party("rsa", sceptest.RSAKey(t, 0)), d.ecParty("ec", elliptic.P256())} {
		for md, hash := range cmsDigests {
			if _, ok := by.key.(*rsa.PrivateKey); !ok && hash == crypto.MD5 {
				continue // there is no such signature
			}
			for _, content := range [][]byte{cmsContent, {}} {
				d.mustVerify(md, content, cms.Signer{Certificate: by.cert, Key: by.key, Digest: hash})
			}
		}
	}
}

// mustVerify wants openssl to verify what we sign, and only that.
func (d *cmsDir) mustVerify(name string, content []byte, by cms.Signer) {
	d.t.Helper()
	message, err := cms.Sign(content, nil, by)
	if err != nil {
		d.t.Fatal(err)
	}
	verify := []string{"cms", "-verify", "-binary", "-noverify", "-inform", "DER", "-in"}
	if got := d.openssl(append(verify, d.write("message", message))...); !bytes.Equal(got, content) {
		d.t.Errorf("%T, %s: got %q", by.Key, name, got)
	}
	message[len(message)-1] ^= 1
	if _, err := d.try(append(verify, d.write("message", message))...); err == nil {
		d.t.Errorf("%T, %s: a changed signature verifies", by.Key, name)
	}
}

// Certificates and CRLs travel in a SignedData without signer.
func TestCMSAndOpenSSLExchangeBundles(t *testing.T) {
	t.Parallel()
	d := newCMSDir(t)
	ca := sceptest.NewCA(t)
	crl, err := ca.CRL()
	if err != nil {
		t.Fatal(err)
	}
	certs := d.write("certs.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate.Raw}))
	crlFile := d.write("crl.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl}))

	theirs := d.openssl("crl2pkcs7", "-in", crlFile, "-certfile", certs, "-outform", "DER")
	gotCRLs, err := cms.ParseCRLs(theirs, cmsLimits)
	if err != nil || len(gotCRLs) != 1 || !bytes.Equal(gotCRLs[0], crl) {
		t.Errorf("CRLs %x, %v", gotCRLs, err)
	}
	gotCerts, err := cms.ParseCertificates(theirs, cmsLimits)
	if err != nil || len(gotCerts) != 1 || !gotCerts[0].Equal(ca.Certificate) {
		t.Errorf("certificates %v, %v", gotCerts, err)
	}

	ours, err := cms.MarshalCRL(crl)
	if err != nil {
		t.Fatal(err)
	}
	printed := d.openssl("pkcs7", "-print_certs", "-noout", "-inform", "DER", "-in", d.write("crl.p7", ours))
	if !bytes.Contains(printed, []byte("CRL")) {
		t.Errorf("openssl prints of a CRL: %s", printed)
	}
	if ours, err = cms.MarshalCertificates(ca.Chain()); err != nil {
		t.Fatal(err)
	}
	printed = d.openssl("pkcs7", "-print_certs", "-inform", "DER", "-in", d.write("certs.p7", ours))
	if bytes.Count(printed, []byte("BEGIN CERTIFICATE")) != len(ca.Chain()) {
		t.Errorf("openssl prints of a chain: %s", printed)
	}
}
