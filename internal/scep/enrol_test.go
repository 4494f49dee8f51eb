package scep_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const challenge = "correct horse"

func template(name string) *x509.CertificateRequest {
	return &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
}

func newRequest(t *testing.T) scep.EnrolRequest {
	t.Helper()
	return scep.EnrolRequest{Key: sceptest.RSAKey(t, 1), Template: template("device"), ChallengePassword: challenge}
}

func mustEnrol(t *testing.T, c *scep.Client, r scep.EnrolRequest) *scep.Result {
	t.Helper()
	result, err := c.Enrol(t.Context(), r)
	if err != nil {
		t.Fatalf("enrol: %v", err)
	}
	return result
}

func wantSuccess(t *testing.T, result *scep.Result, ca *sceptest.CA) {
	t.Helper()
	if result.Status != scep.StatusSuccess {
		t.Fatalf("status %v, failInfo %v %q", result.Status, result.FailInfo, result.FailInfoText)
	}
	intermediates := x509.NewCertPool()
	intermediates.AddCert(ca.Certificate)
	_, err := result.Certificate.Verify(x509.VerifyOptions{
		Roots: ca.Pool(), Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		t.Fatalf("issued certificate: %v", err)
	}
}

// Every digest with every cipher, key transport, method and layout.
func TestEnrolAlgorithms(t *testing.T) {
	t.Parallel()
	settings := scep.Settings{AllowSHA1: true, AllowTripleDES: true, Renewal: true}
	for _, layout := range []sceptest.Layout{sceptest.Pair, sceptest.Combined} {
		s := sceptest.NewServer(t, sceptest.Options{Layout: layout, Settings: settings, Challenge: challenge})
		for _, digest := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			for _, cipher := range []scep.Cipher{scep.AES128CBC, scep.AES192CBC, scep.AES256CBC, scep.TripleDESCBC} {
				for _, transport := range []scep.KeyTransport{scep.PKCS1v15, scep.OAEPSHA1, scep.OAEPSHA256} {
					t.Run(fmt.Sprintf("%d/%v/%v/%d", layout, digest, cipher, transport), func(t *testing.T) {
						r := newRequest(t)
						r.Digest, r.Cipher, r.KeyTransport = digest, cipher, transport
						method := scep.ClientMethod(1 + (int(digest)+int(cipher))%2)
						wantSuccess(t, mustEnrol(t, &scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL, Method: method}, r), s.CA)
					})
				}
			}
		}
	}
}

func TestEnrolWrongChallenge(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{Challenge: challenge})
	r := newRequest(t)
	r.ChallengePassword = "wrong"
	result := mustEnrol(t, &scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL}, r)
	if result.Status != scep.StatusFailure || result.FailInfo != scep.BadRequest || result.FailInfoText != "wrong challenge password" {
		t.Errorf("got %+v", result)
	}
	if s.Issued() != 0 {
		t.Error("a certificate was issued")
	}
}

func TestPolling(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pending, limit int
		want           scep.PKIStatus
	}{
		{pending: 1, limit: 0, want: scep.StatusPending},
		{pending: 1, limit: -1, want: scep.StatusSuccess},
		{pending: 3, limit: 3, want: scep.StatusSuccess},
		{pending: 3, limit: 2, want: scep.StatusPending},
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			t.Parallel()
			s := sceptest.NewServer(t, sceptest.Options{Challenge: challenge, Pending: test.pending})
			c := &scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL, PollInterval: time.Millisecond, PollLimit: test.limit}
			result := mustEnrol(t, c, newRequest(t))
			if result.Status != test.want {
				t.Errorf("status %v, want %v", result.Status, test.want)
			}
		})
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{Challenge: challenge, Settings: scep.Settings{Renewal: true}})
	c := &scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL}
	first := mustEnrol(t, c, newRequest(t))
	wantSuccess(t, first, s.CA)

	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{
		"same key": sceptest.RSAKey(t, 1), "new key": sceptest.RSAKey(t, 2), "EC key": ecKey,
	} {
		r := scep.EnrolRequest{
			Key: key, Template: template("device"),
			Certificate: first.Certificate, CertificateKey: sceptest.RSAKey(t, 1),
		}
		renewed, err := c.Renew(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: RenewalReq: %v", name, err)
		}
		wantSuccess(t, renewed, s.CA)
		wantSuccess(t, mustEnrol(t, c, r), s.CA) // as a PKCSReq, the way macOS does
	}
}

func TestRenewWithForeignCertificate(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{Settings: scep.Settings{Renewal: true}, Challenge: challenge})
	r := newRequest(t)
	r.Certificate = sceptest.SelfSigned(t, nil, r.Key)
	result, err := (&scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL}).Renew(t.Context(), r)
	if err != nil || result.Status != scep.StatusFailure {
		t.Errorf("got %+v, %v", result, err)
	}
}

// A device that fetched GetCACert before a rollover is served after it, and its
// answer is signed by the certificate it knows.
func TestPreviousGeneration(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{Challenge: challenge})
	old := &scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL}
	var err error
	if old.CA, err = old.GetCACert(t.Context()); err != nil {
		t.Fatal(err)
	}
	previous := s.Identity().Active
	next := sceptest.NewGeneration(t, s.CA, sceptest.Combined)
	s.SetIdentity(&scep.Identity{Active: next, Others: []*scep.Generation{previous}, CAChain: s.CA.Chain()})

	wantSuccess(t, mustEnrol(t, old, newRequest(t)), s.CA)
	wantSuccess(t, mustEnrol(t, &scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL}, newRequest(t)), s.CA)

	s.SetIdentity(&scep.Identity{Active: next, CAChain: s.CA.Chain()})
	fresh, err := (&scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL}).GetCACert(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old.CA.Signing = fresh.Signing
	result := mustEnrol(t, old, newRequest(t))
	if result.Status != scep.StatusFailure || result.FailInfoText != "RA certificate not known: fetch GetCACert again" {
		t.Errorf("got %+v", result)
	}
}

// Hundreds of enrolments of different algorithms at once, for the race detector.
func TestConcurrentEnrolments(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{Settings: scep.Settings{AllowTripleDES: true}, Pending: 1})
	ciphers := []scep.Cipher{scep.AES128CBC, scep.AES256CBC, scep.TripleDESCBC}
	const parallel, each = 8, 25
	results := make(chan error, parallel)
	for n := range parallel {
		r := newRequest(t)
		r.ChallengePassword, r.Cipher = "", ciphers[n%len(ciphers)]
		go func() { results <- enrolTimes(t, s.URL, r, each) }()
	}
	for range parallel {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if s.Issued() != parallel*each {
		t.Errorf("%d certificates, want %d", s.Issued(), parallel*each)
	}
}

func enrolTimes(t *testing.T, url string, r scep.EnrolRequest, n int) error {
	c := &scep.Client{VerifyCA: scep.TrustAnyCA, URL: url, PollInterval: time.Millisecond, PollLimit: -1}
	for range n {
		result, err := c.Enrol(t.Context(), r)
		if err != nil {
			return err
		}
		if result.Status != scep.StatusSuccess {
			return fmt.Errorf("status %v", result.Status)
		}
	}
	return nil
}
