package ra_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func TestMain(m *testing.M) { ratest.Main(m) }

// deviceName is one the template allows.
const deviceName = "d1.devices.example.com"

// fixture is one endpoint with one replica.
type fixture struct {
	*ratest.Cluster
	files  *ratest.Files
	server *ratest.Server
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	return &fixture{cluster, files, ratest.NewServer(t, cluster, files)}
}

// device is a SCEP client.
func device(url string) *scep.Client {
	return &scep.Client{URL: url, PollInterval: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
}

// enrolment is a good request with its challenge.
func enrolment(t *testing.T, keyNumber int) scep.EnrolRequest {
	t.Helper()
	return scep.EnrolRequest{
		Key:               sceptest.RSAKey(t, keyNumber),
		Template:          &x509.CertificateRequest{Subject: pkix.Name{CommonName: deviceName}, DNSNames: []string{deviceName}},
		ChallengePassword: ratest.Password,
	}
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func enrol(t *testing.T, url string, request scep.EnrolRequest) *scep.Result {
	t.Helper()
	result, err := device(url).Enrol(limited(t), request)
	if err != nil {
		t.Fatalf("enrol: %v", err)
	}
	return result
}

// wantCertificate fails the test if there is none for the key.
func wantCertificate(t *testing.T, result *scep.Result, key crypto.Signer) *x509.Certificate {
	t.Helper()
	if result.Status != scep.StatusSuccess {
		t.Fatalf("status %v, failInfo %v %q, want SUCCESS", result.Status, result.FailInfo, result.FailInfoText)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(result.Certificate.PublicKey) {
		t.Fatal("the certificate is for another key")
	}
	return result.Certificate
}

func wantFailure(t *testing.T, result *scep.Result, text string) {
	t.Helper()
	if result.Status != scep.StatusFailure || result.FailInfoText != text {
		t.Fatalf("status %v, failInfoText %q, want FAILURE with %q", result.Status, result.FailInfoText, text)
	}
}

func (f *fixture) wantRequests(t *testing.T, n int) {
	t.Helper()
	if got := len(f.List(t)); got != n {
		t.Errorf("%d CertificateRequests, want %d", got, n)
	}
}

func TestEnrol(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := enrolment(t, 1)
	certificate := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	if !f.Issuer.CA.Issued(certificate) {
		t.Error("the CA did not sign the certificate")
	}
	f.wantRequests(t, 1)
}
