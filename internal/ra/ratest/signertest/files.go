// Package signertest is for tests of signers and of what asks them: the files that
// the operator would mount, signers in this process, and what plays their Service.
package signertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/signer"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Authority is a CA's certificate and key.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// NewAuthority makes a CA that may sign certificates and revocation lists.
func NewAuthority(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) *Authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if change != nil {
		change(template)
	}
	return &Authority{certify(t, template, key), key}
}

// NewKey makes an EC key.
func NewKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func certify(t testing.TB, template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Pair is one end of a connection: a self-signed certificate and its key.
type Pair = Authority

// NewPair makes a key pair for mutual TLS.
func NewPair(t testing.TB, name string) *Pair {
	t.Helper()
	key := NewKey(t)
	return &Pair{certify(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, key), key}
}

// Files are the directories that the operator would mount. All signers share them.
type Files struct {
	// Dirs of the signers.
	Dirs signer.Dirs
	// ClientDir is the servers' raconfig.SignerDir.
	ClientDir string
	Config    *raconfig.Config
	CA        *Authority
	// Server and Client are the two ends.
	Server, Client *Pair
	Revocations    *raconfig.Revocations

	t testing.TB
}

// StateKey is the endpoint's HMAC key.
func StateKey() []byte { return []byte("0123456789abcdef0123456789abcdef") }

// NewFiles writes a configuration with its CA, keys for both ends, and an empty list
// of revocations.
func NewFiles(t testing.TB, config *raconfig.Config, ca *Authority) *Files {
	t.Helper()
	root := t.TempDir()
	f := &Files{
		t: t, Config: config, CA: ca, ClientDir: filepath.Join(root, "client"),
		Dirs: signer.Dirs{
			Config: filepath.Join(root, "config"), Signer: filepath.Join(root, "signer"), CA: filepath.Join(root, "ca"),
			State: filepath.Join(root, "state"), Revoked: filepath.Join(root, "revoked"),
		},
		Server: NewPair(t, "server"), Client: NewPair(t, "client"),
		Revocations: raconfig.NewRevocations(time.Now()),
	}
	Write(t, f.Dirs.State, raconfig.HMACKeyFile, StateKey())
	f.WriteConfig()
	f.WriteCA()
	f.WriteEnds(f.Client)
	f.WriteRevocations()
	return f
}

// NewConfig is that of an endpoint whose challenges are "mdm", static, and
// "helpdesk", one-time.
func NewConfig() *raconfig.Config {
	return &raconfig.Config{
		Version:          raconfig.Version,
		Endpoint:         raconfig.Endpoint{Namespace: "pki", Name: "corp", UID: "uid", Generation: 3},
		ActiveGeneration: "0123456789abcdef",
		Issuance:         DirectIssuance("127.0.0.1:1"),
		Templates:        []raconfig.Template{{Name: "device", Default: true, Spec: DeviceTemplate()}},
		Challenges: []raconfig.Challenge{
			{Name: "mdm", Type: v1alpha1.ChallengeStatic},
			{Name: "helpdesk", Type: v1alpha1.ChallengeOneTime, OneTime: &raconfig.OneTime{ValiditySeconds: 3600}},
		},
	}
}

// DirectIssuance is that by signers at an address.
func DirectIssuance(address string) raconfig.Issuance {
	return raconfig.Issuance{
		Mode:      v1alpha1.IssuanceDirect,
		IssuerRef: v1alpha1.IssuerReference{Name: "ca", Kind: "Issuer", Group: "cert-manager.io"},
		Signer: &raconfig.Signer{
			Address: address,
			CRL:     raconfig.CRL{ValiditySeconds: 24 * 3600, URLs: []string{"http://scep.example.com/crl"}},
		},
	}
}

// DeviceTemplate allows device names below devices.example.com.
func DeviceTemplate() v1alpha1.CertificateTemplateSpec {
	return v1alpha1.CertificateTemplateSpec{
		Usages:   []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageKeyEncipherment, certmanagerv1.UsageClientAuth},
		Validity: metav1.Duration{Duration: 24 * time.Hour},
		Subject:  &v1alpha1.SubjectPolicy{Required: []v1alpha1.SubjectAttribute{v1alpha1.CommonName}},
		Rules: []v1alpha1.Rule{{
			Expression: "csr.subject.commonName.endsWith('.devices.example.com')",
			Message:    "CN must be a device name",
		}, {
			Name: "kiosk", Expression: "csr.subject.commonName.startsWith('kiosk')", Message: "CN must be a kiosk's",
		}},
	}
}

// Write replaces a file at once, as the kubelet does.
func Write(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "..new"), content, 0o600))
	must(t, os.Rename(filepath.Join(dir, "..new"), path))
}

// WriteConfig writes Config.
func (f *Files) WriteConfig() {
	f.t.Helper()
	out, err := raconfig.Encode(f.Config)
	must(f.t, err)
	Write(f.t, f.Dirs.Config, raconfig.ConfigFile, out)
}

// WriteCA writes CA.
func (f *Files) WriteCA() {
	f.t.Helper()
	writePair(f.t, f.Dirs.CA, f.CA)
}

// WriteEnds writes Server and Client, and which clients the signers trust.
func (f *Files) WriteEnds(clients ...*Pair) {
	f.t.Helper()
	writePair(f.t, f.Dirs.Signer, f.Server)
	Write(f.t, f.Dirs.Signer, raconfig.PeersFile, certificates(clients...))
	f.WriteClient(f.ClientDir, f.Client, f.Server)
}

// WriteClient writes a server's end to a directory.
func (f *Files) WriteClient(dir string, client *Pair, signers ...*Pair) {
	f.t.Helper()
	writePair(f.t, dir, client)
	Write(f.t, dir, raconfig.PeersFile, certificates(signers...))
}

// WriteRevocations writes Revocations.
func (f *Files) WriteRevocations() {
	f.t.Helper()
	out, err := raconfig.EncodeRevocations(f.Revocations)
	must(f.t, err)
	Write(f.t, f.Dirs.Revoked, raconfig.RevocationsFile, out)
}

// Revoke adds a certificate to the list.
func (f *Files) Revoke(c *x509.Certificate) {
	f.t.Helper()
	next, _, err := f.Revocations.With(time.Now(), raconfig.Revocation{
		Serial: raconfig.SerialText(c.SerialNumber), Time: time.Now(), Reason: raconfig.KeyCompromise,
	})
	must(f.t, err)
	f.Revocations = next
	f.WriteRevocations()
}

func writePair(t testing.TB, dir string, p *Pair) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	must(t, err)
	// The key first: a certificate with another's key is no pair, and is not used.
	Write(t, dir, raconfig.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	Write(t, dir, raconfig.CertificateFile, certificates(p))
}

func certificates(pairs ...*Pair) []byte {
	var out []byte
	for _, p := range pairs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate.Raw})...)
	}
	return out
}
