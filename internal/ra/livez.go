package ra

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
)

// selfTest is a SCEP exchange in memory, through the whole codec: with a handler,
// keys and a CA of its own, past queues, issuer and files. If it fails, the
// process is sick, whatever the world is like.
type selfTest struct {
	client *scep.Client
	key    *rsa.PrivateKey
}

const (
	selfTestKeySize = 2048
	selfTestName    = "liveness"
	selfTestTimeout = 5 * time.Second
	// selfTestValidity is longer than any process lives.
	selfTestValidity = 10 * 365 * 24 * time.Hour
)

// newSelfTest makes keys, which takes some tenths of a second.
func newSelfTest(now time.Time) (*selfTest, error) {
	caKey, err := rsa.GenerateKey(rand.Reader, selfTestKeySize)
	if err != nil {
		return nil, fmt.Errorf("self-test: %w", err)
	}
	deviceKey, err := rsa.GenerateKey(rand.Reader, selfTestKeySize)
	if err != nil {
		return nil, fmt.Errorf("self-test: %w", err)
	}
	ca := selfTestCertificate(now)
	ca.IsCA, ca.BasicConstraintsValid = true, true
	ca.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign
	root, err := signCertificate(ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	credential := &scep.Credential{Certificate: root, Key: caKey}
	identity := &scep.Identity{Active: &scep.Generation{Signing: credential, Encryption: credential}}
	handler := scep.NewHandler(scep.HandlerConfig{
		Identity: func() *scep.Identity { return identity },
		Settings: func() scep.Settings { return scep.Settings{} },
		Backend:  selfTestCA{root, caKey, now},
		Logger:   slog.New(slog.DiscardHandler),
	})
	return &selfTest{key: deviceKey, client: &scep.Client{
		URL:      "http://" + selfTestName,
		HTTP:     &http.Client{Transport: inMemory{handler}},
		Logger:   slog.New(slog.DiscardHandler),
		VerifyCA: isCA(root),
		Now:      func() time.Time { return now }, // the CA is valid then
	}}, nil
}

var errSelfTestCA = errors.New("self-test: another CA certificate came back")

// isCA trusts one CA.
func isCA(root *x509.Certificate) func(*scep.CACertificates) error {
	return func(c *scep.CACertificates) error {
		if !c.CA.Equal(root) {
			return errSelfTestCA
		}
		return nil
	}
}

func selfTestCertificate(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: selfTestName},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(selfTestValidity),
	}
}

func signCertificate(template, parent *x509.Certificate, key any, signer *rsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		return nil, fmt.Errorf("self-test: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("self-test: %w", err)
	}
	return c, nil
}

// selfTestCA is a Backend that issues what it is asked for, to the self-test only.
type selfTestCA struct {
	root *x509.Certificate
	key  *rsa.PrivateKey
	now  time.Time
}

// PKIOperation implements scep.Backend.
func (c selfTestCA) PKIOperation(_ context.Context, r *scep.Request) (*scep.Reply, error) {
	template := selfTestCertificate(c.now)
	issued, err := signCertificate(template, c.root, r.CSR.PublicKey, c.key)
	if err != nil {
		return nil, err
	}
	return scep.Success(issued), nil
}

// inMemory is a transport that calls a handler.
type inMemory struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &answerBuffer{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(w, r)
	return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r}, nil
}

// answerBuffer keeps what a handler writes.
type answerBuffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (b *answerBuffer) Header() http.Header { return b.header }

// WriteHeader implements http.ResponseWriter.
func (b *answerBuffer) WriteHeader(status int) { b.status = status }

// Write implements http.ResponseWriter.
func (b *answerBuffer) Write(p []byte) (int, error) {
	return b.body.Write(p)
}

var errSelfTest = errors.New("self-test: no certificate came back")

// run enrols once.
func (t *selfTest) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, selfTestTimeout)
	defer cancel()
	result, err := t.client.Enrol(ctx, scep.EnrolRequest{
		Key:      t.key,
		Template: &x509.CertificateRequest{Subject: pkix.Name{CommonName: selfTestName}},
	})
	if err != nil {
		return fmt.Errorf("self-test: %w", err)
	}
	if result.Certificate == nil {
		return errSelfTest
	}
	return nil
}
