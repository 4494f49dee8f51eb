package ra_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// The key of a certificate that signs a renewal, and the new one.
const (
	oldKey = 1
	newKey = 2
)

// renewal asks for a new key, signed by a certificate and without a challenge.
func renewal(t *testing.T, certificate *x509.Certificate) scep.EnrolRequest {
	t.Helper()
	request := enrolment(t, newKey)
	request.ChallengePassword = ""
	request.Certificate, request.CertificateKey = certificate, sceptest.RSAKey(t, oldKey)
	return request
}

func renew(t *testing.T, url string, request scep.EnrolRequest) *scep.Result {
	t.Helper()
	result, err := device(url).Renew(limited(t), request)
	if err != nil {
		t.Fatalf("renew: %v", err)
	}
	return result
}

func TestRenewalWithoutChallenge(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := wantCertificate(t, enrol(t, f.server.URL, enrolment(t, oldKey)), sceptest.RSAKey(t, oldKey))
	request := renewal(t, first)
	renewed := wantCertificate(t, renew(t, f.server.URL, request), request.Key)
	f.server.WantLogged(audit.Authenticated, `"admittedBy":"certificate"`)

	if again := wantCertificate(t, renew(t, f.server.URL, request), request.Key); !again.Equal(renewed) {
		t.Error("the same renewal in another transaction got another certificate")
	}

	asPKCSReq := renewal(t, first)
	asPKCSReq.Key = sceptest.RSAKey(t, 3)
	wantCertificate(t, enrol(t, f.server.URL, asPKCSReq), asPKCSReq.Key)

	spentChallenge := renewal(t, first)
	spentChallenge.ChallengePassword = "spent long ago"
	spentChallenge.Key = sceptest.RSAKey(t, 4)
	wantCertificate(t, renew(t, f.server.URL, spentChallenge), spentChallenge.Key)

	sameKey := renewal(t, first)
	sameKey.Key = sceptest.RSAKey(t, oldKey)
	again := wantCertificate(t, renew(t, f.server.URL, sameKey), sameKey.Key)
	if again.Equal(first) {
		t.Error("a renewal with the same key got the old certificate")
	}
	f.wantRequests(t, 5)
}

// A device whose transactionID is the hash of its key renews with the same key
// under the same transactionID.
func TestRenewalUnderTheSameTransactionID(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := enrolment(t, oldKey)
	request.TransactionID = "hash of the key"
	first := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	request.Certificate, request.ChallengePassword = first, ""
	again := wantCertificate(t, renew(t, f.server.URL, request), request.Key)
	if again.Equal(first) {
		t.Error("the renewal got the old certificate")
	}
}

const client = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment

// deviceCertificate is what the template grants; tests make it worse.
func deviceCertificate() *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: deviceName},
		DNSNames:    []string{deviceName},
		KeyUsage:    client,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func TestCertificatesThatMayNotRenew(t *testing.T) {
	t.Parallel()
	const unfit = "renewal refused: the certificate that signs it does not fit the template: "
	f := newFixture(t)
	for name, tc := range map[string]struct {
		change func(*x509.Certificate)
		text   string
	}{
		"of a web server": {
			func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
			unfit + "its usages are not the template's",
		},
		"of a web server and client": {
			func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) },
			unfit + "its usages are not the template's",
		},
		"of cert-manager's default usages": {
			func(c *x509.Certificate) { c.ExtKeyUsage = nil },
			unfit + "it lacks the usage client auth",
		},
		"with an unknown purpose": {
			func(c *x509.Certificate) { c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, []int{1, 2, 3}) },
			unfit + "its usages are not the template's",
		},
		"of a CA": {
			func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true },
			unfit + "it is a CA certificate",
		},
		"with names the template refuses": {
			func(c *x509.Certificate) { c.DNSNames = []string{"www.example.com"} },
			unfit + "its names are not the template's",
		},
		"with another subject": {
			func(c *x509.Certificate) { c.Subject.CommonName = "d2.devices.example.com" },
			"renewal refused: the request does not have the names of the certificate that signs it",
		},
		"with further names": {
			func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "d2.devices.example.com") },
			"renewal refused: the request does not have the names of the certificate that signs it",
		},
		"expired": {
			func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
			},
			"renewal refused: the certificate that signs it has expired; enrol with a challenge password",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := deviceCertificate()
			tc.change(template)
			certificate, err := f.Issuer.CA.Issue(template, sceptest.RSAKey(t, oldKey).Public())
			if err != nil {
				t.Fatal(err)
			}
			wantFailure(t, renew(t, f.server.URL, renewal(t, certificate)), tc.text)
			wantFailure(t, enrol(t, f.server.URL, renewal(t, certificate)), tc.text)
		})
	}
}

func TestSignersOfNoStanding(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lookAlike := sceptest.SelfSigned(t, deviceCertificate(), sceptest.RSAKey(t, oldKey))
	wantFailure(t, renew(t, f.server.URL, renewal(t, lookAlike)), "renewal refused: it is signed by a self-signed certificate")

	ours := f.Issuer.CA.Certificate
	namesake := &x509.Certificate{Subject: ours.Subject, IsCA: true, BasicConstraintsValid: true, KeyUsage: ours.KeyUsage}
	otherKey := sceptest.RSAKey(t, 3)
	other := &sceptest.CA{Certificate: sceptest.SelfSigned(t, namesake, otherKey), Key: otherKey}
	foreign, err := other.Issue(deviceCertificate(), sceptest.RSAKey(t, oldKey).Public())
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, renew(t, f.server.URL, renewal(t, foreign)), "renewal refused: it is not signed by a certificate of this CA")

	withChallenge := renewal(t, foreign)
	withChallenge.ChallengePassword = "wrong"
	wantFailure(t, enrol(t, f.server.URL, withChallenge), "challenge password refused")

	own := f.files.Keyring.Generations[0].Certificates[0]
	byRA := renewal(t, own.Certificate)
	byRA.CertificateKey = own.Key
	wantFailure(t, renew(t, f.server.URL, byRA), "renewal refused: it is signed by a certificate of the registration authority")
	f.wantRequests(t, 0)
}

func TestRenewalPolicy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	certificate, err := f.Issuer.CA.Issue(deviceCertificate(), sceptest.RSAKey(t, oldKey).Public())
	if err != nil {
		t.Fatal(err)
	}
	window := &f.files.Config.Templates[0].Spec.Renewal
	window.Window = &metav1.Duration{Duration: time.Hour}
	f.reconfigure(t)
	opens := certificate.NotAfter.Add(-time.Hour).UTC().Format(time.RFC3339)
	wantFailure(t, renew(t, f.server.URL, renewal(t, certificate)), "renewal refused: it is possible from "+opens)

	window.Window = &metav1.Duration{Duration: 48 * time.Hour}
	f.reconfigure(t)
	wantCertificate(t, renew(t, f.server.URL, renewal(t, certificate)), sceptest.RSAKey(t, newKey))

	window.Allowed = ptr.To(false)
	f.reconfigure(t)
	wantFailure(t, enrol(t, f.server.URL, renewal(t, certificate)), "renewal refused: a challenge password is required each time")
	capabilities, err := device(f.server.URL).GetCACaps(limited(t))
	if err != nil || capabilities.Has(scep.CapabilityRenewal) {
		t.Errorf("GetCACaps: Renewal is %v (%v), want it unannounced", capabilities.Has(scep.CapabilityRenewal), err)
	}
}

// reconfigure writes the configuration as a new generation and waits until it is in use.
func (f *fixture) reconfigure(t *testing.T) {
	t.Helper()
	f.files.Config.Endpoint.Generation++
	f.files.WriteConfig()
	f.wantStatus(t, "the new configuration to be in use", func(s raconfig.ReplicaStatus) bool {
		return s.ConfigGeneration == f.files.Config.Endpoint.Generation
	})
}

func (f *fixture) wantStatus(t *testing.T, what string, is func(raconfig.ReplicaStatus) bool) {
	t.Helper()
	ratest.Eventually(t, what, func() error {
		if s := f.server.Status(); !is(s) {
			return fmt.Errorf("status is %+v", s)
		}
		return nil
	})
}
