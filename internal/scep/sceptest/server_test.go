package sceptest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func enrol(t *testing.T, s *sceptest.Server, r scep.EnrolRequest) *scep.Result {
	t.Helper()
	client := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA, PollInterval: time.Millisecond, PollLimit: 5}
	result, err := client.Enrol(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func wantRefusal(t *testing.T, r *scep.Result, text string) {
	t.Helper()
	if r.Status != scep.StatusFailure || !strings.Contains(r.FailInfoText, text) {
		t.Errorf("got %v %q, want a refusal with %q", r.Status, r.FailInfoText, text)
	}
}

func TestECDevicesNeedOneTimeChallenges(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{
		Challenge: "static", OneTime: []string{"once", "polled"}, Pending: 1,
		Settings: scep.Settings{PasswordRecipient: true},
	})
	for _, password := range []string{"once", "polled"} {
		if r := enrol(t, s, ecRequest(t, password)); r.Status != scep.StatusSuccess || !s.CA.Issued(r.Certificate) {
			t.Errorf("%s: %v %s", password, r.Status, r.FailInfoText)
		}
	}
	wantRefusal(t, enrol(t, s, ecRequest(t, "once")), "good for one enrolment")
	wantRefusal(t, enrol(t, s, ecRequest(t, "static")), "good for one enrolment")
	if s.Issued() != 2 {
		t.Errorf("%d certificates were issued", s.Issued())
	}
}

func ecRequest(t *testing.T, password string) scep.EnrolRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return scep.EnrolRequest{Key: key, ChallengePassword: password}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	ca := sceptest.NewCA(t)
	id := sceptest.NewIdentity(t, ca, sceptest.Combined)
	id.NextCA = sceptest.NewCA(t).Chain()
	s := sceptest.NewServer(t, sceptest.Options{CA: ca, Identity: id, Settings: scep.Settings{GetCert: true, GetCRL: true}})
	key := sceptest.RSAKey(t, 1)
	own := enrol(t, s, scep.EnrolRequest{Key: key}).Certificate
	client := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}

	query := scep.CertQuery{SerialNumber: own.SerialNumber, Certificate: own, CertificateKey: key}
	if r, err := client.GetCert(t.Context(), query); err != nil || r.Certificate == nil || !r.Certificate.Equal(own) {
		t.Errorf("GetCert: %+v, %v", r, err)
	}
	if r, err := client.GetCRL(t.Context(), query); err != nil || r.CRL == nil || r.CRL.CheckSignatureFrom(ca.Certificate) != nil {
		t.Errorf("GetCRL: %+v, %v", r, err)
	}
	if next, err := client.GetNextCACert(t.Context()); err != nil || len(next) != 2 {
		t.Errorf("GetNextCACert: %d certificates, %v", len(next), err)
	}

	query.Certificate = sceptest.SelfSigned(t, &x509.Certificate{}, key)
	for name, ask := range map[string]func() (*scep.Result, error){
		"GetCert": func() (*scep.Result, error) { return client.GetCert(t.Context(), query) },
		"GetCRL":  func() (*scep.Result, error) { return client.GetCRL(t.Context(), query) },
	} {
		if r, err := ask(); err != nil || r.Status != scep.StatusFailure || r.FailInfo != scep.BadCertID {
			t.Errorf("%s by a stranger: %+v, %v", name, r, err)
		}
	}
}

// Messages that are kept in files are for this recipient.
func TestFixedIdentity(t *testing.T) {
	t.Parallel()
	id := sceptest.FixedIdentity(t)
	if got := id.Active.Encryption.Certificate.SerialNumber.Int64(); got != 2 {
		t.Errorf("serial number %d", got)
	}
	key := id.Active.Encryption.Certificate.PublicKey
	if !sceptest.FixedKey(t, "ra").PublicKey.Equal(key) || !sceptest.FixedCA(t).Issued(id.Active.Signing.Certificate) {
		t.Error("the RA's certificate is not of its key or its CA")
	}
}
