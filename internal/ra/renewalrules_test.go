package ra_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// newRulesFixture has a template that is changed before the server starts.
func newRulesFixture(t *testing.T, change func(*v1alpha1.CertificateTemplateSpec)) *fixture {
	t.Helper()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	change(&files.Config.Templates[0].Spec)
	files.WriteConfig()
	return &fixture{cluster, files, ratest.NewServer(t, cluster, files)}
}

// issued is a certificate of the endpoint's CA for the old key.
func (f *fixture) issued(t *testing.T, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := deviceCertificate()
	if change != nil {
		change(template)
	}
	certificate, err := f.Issuer.CA.Issue(template, sceptest.RSAKey(t, oldKey).Public())
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestRenewalKey(t *testing.T) {
	t.Parallel()
	for rule, refused := range map[v1alpha1.RenewalKey]struct{ same, other string }{
		v1alpha1.RenewalKeyAny:  {"", ""},
		v1alpha1.RenewalKeyNew:  {"renewal refused: it must be for a new key", ""},
		v1alpha1.RenewalKeySame: {"", "renewal refused: it must be for the key of the certificate that signs it"},
	} {
		f := newRulesFixture(t, func(s *v1alpha1.CertificateTemplateSpec) { s.Renewal.Key = rule })
		for key, text := range map[int]string{oldKey: refused.same, newKey: refused.other} {
			request := renewal(t, f.issued(t, nil))
			request.Key = sceptest.RSAKey(t, key)
			result := renew(t, f.server.URL, request)
			if text == "" {
				wantCertificate(t, result, request.Key)
			} else {
				wantFailure(t, result, text)
			}
		}
		withChallenge := enrolment(t, 3) // is not a renewal
		wantCertificate(t, enrol(t, f.server.URL, withChallenge), withChallenge.Key)
	}
}

func TestRenewalAfterExpiry(t *testing.T) {
	t.Parallel()
	const expired = "renewal refused: the certificate that signs it has expired; enrol with a challenge password"
	f := newRulesFixture(t, func(s *v1alpha1.CertificateTemplateSpec) {
		s.Renewal.AfterExpiry = &metav1.Duration{Duration: 2 * time.Hour}
	})
	endedBefore := func(d time.Duration) *x509.Certificate {
		return f.issued(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-d-30*time.Minute), time.Now().Add(-d)
		})
	}
	request := renewal(t, endedBefore(time.Hour))
	wantCertificate(t, renew(t, f.server.URL, request), request.Key)
	wantFailure(t, renew(t, f.server.URL, renewal(t, endedBefore(3*time.Hour))), expired)
	future := f.issued(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	})
	if result := renew(t, f.server.URL, renewal(t, future)); result.Status != scep.StatusFailure {
		t.Errorf("a certificate of the future renews: %v", result.Status)
	}
	f.wantRequests(t, 1)
}

// crlServer serves a list of the CA that ends after a time and revokes one certificate, until
// it is closed.
func (f *fixture) crlServer(t *testing.T, ends time.Duration, revoked func() *x509.Certificate) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		list := &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: time.Now().Add(ends),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: revoked().SerialNumber, RevocationTime: time.Now()}},
			ExtraExtensions:           []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 46}, Value: []byte{0x30, 0}}},
		}
		der, err := x509.CreateRevocationList(rand.Reader, list, f.Issuer.CA.Certificate, f.Issuer.CA.Key)
		if err != nil {
			t.Errorf("make a revocation list: %v", err)
		}
		_, _ = w.Write(der)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestRevokedCertificatesDoNotRenew(t *testing.T) {
	t.Parallel()
	f := newRulesFixture(t, func(s *v1alpha1.CertificateTemplateSpec) { s.Renewal.Revoked = v1alpha1.RevokedRefuse })
	var revoked *x509.Certificate
	server := f.crlServer(t, time.Hour, func() *x509.Certificate { return revoked })
	listed := func(c *x509.Certificate) { c.CRLDistributionPoints = []string{server.URL} }
	revoked = f.issued(t, listed)

	request := renewal(t, f.issued(t, listed))
	wantCertificate(t, renew(t, f.server.URL, request), request.Key)
	wantFailure(t, renew(t, f.server.URL, renewal(t, revoked)), "renewal refused: the certificate that signs it is revoked")
	f.server.WantMetric(`scepter_ra_refusals_total{reason="SignerRevoked"} 1`)

	withChallenge := renewal(t, revoked)
	withChallenge.ChallengePassword = ratest.Password
	wantCertificate(t, enrol(t, f.server.URL, withChallenge), withChallenge.Key)

	const unknown = "renewal refused: nothing tells whether the certificate that signs it is revoked; enrol with a challenge password"
	wantFailure(t, renew(t, f.server.URL, renewal(t, f.issued(t, nil))), unknown)
	f.wantRequests(t, 2)
}

// TestRevocationThatCannotBeTold: the device is to come again, and then it gets its answer.
func TestRevocationThatCannotBeTold(t *testing.T) {
	t.Parallel()
	f := newRulesFixture(t, func(s *v1alpha1.CertificateTemplateSpec) { s.Renewal.Revoked = v1alpha1.RevokedRefuse })
	closed := httptest.NewServer(nil)
	closed.Close()
	request := renewal(t, f.issued(t, func(c *x509.Certificate) { c.CRLDistributionPoints = []string{closed.URL} }))
	_, err := device(f.server.URL).Renew(limited(t), request)
	var refused *scep.HTTPError
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("renewal: %v, want HTTP 503", err)
	}
	f.server.WantLogged(audit.Unavailable, "revocation cannot be told")
	f.wantRequests(t, 0)
	patiently(t, "the source to be told of", func() error {
		return wantService(f.server.Status(), raconfig.Away{
			Dependency: raconfig.DependencyRevocation, Name: closed.Listener.Addr().String(), Reason: raconfig.AwayUnreachable,
		})
	})

	foreign := renewal(t, f.issued(t, func(c *x509.Certificate) {
		c.CRLDistributionPoints, c.DNSNames = []string{closed.URL}, []string{"www.example.com"}
	}))
	wantFailure(t, renew(t, f.server.URL, foreign),
		"renewal refused: the certificate that signs it does not fit the template: its names are not the template's") // nobody was asked
}

// TestAListThatHasEnded counts for as long as the template says, and is told of meanwhile.
func TestAListThatHasEnded(t *testing.T) {
	t.Parallel()
	f := newRulesFixture(t, func(s *v1alpha1.CertificateTemplateSpec) {
		s.Renewal.Revoked, s.Renewal.StaleRevocation = v1alpha1.RevokedRefuse, &metav1.Duration{Duration: time.Hour}
	})
	var revoked *x509.Certificate
	ended := f.crlServer(t, -time.Minute, func() *x509.Certificate { return revoked })
	longEnded := f.crlServer(t, -61*time.Minute, func() *x509.Certificate { return revoked })
	listedBy := func(s *httptest.Server) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.CRLDistributionPoints = []string{s.URL} }
	}
	revoked = f.issued(t, listedBy(ended))

	request := renewal(t, f.issued(t, listedBy(ended)))
	wantCertificate(t, renew(t, f.server.URL, request), request.Key)
	wantFailure(t, renew(t, f.server.URL, renewal(t, revoked)), "renewal refused: the certificate that signs it is revoked")
	patiently(t, "the end of the list to be told of", func() error {
		return wantService(f.server.Status(), raconfig.Away{
			Dependency: raconfig.DependencyRevocation, Name: ended.Listener.Addr().String(), Reason: raconfig.AwayStale, Tolerated: true,
		})
	})
	_, err := device(f.server.URL).Renew(limited(t), renewal(t, f.issued(t, listedBy(longEnded))))
	var refused *scep.HTTPError
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("renewal: %v, want HTTP 503", err)
	}
}

func TestMaxPerSubject(t *testing.T) {
	t.Parallel()
	f := newRulesFixture(t, func(s *v1alpha1.CertificateTemplateSpec) { s.MaxPerSubject = ptr.To[int32](2) })
	const enough = "request refused: its subject may have 2 valid certificates, and has them; renew one, or wait for the end of one"
	first := enrolment(t, oldKey)
	certificate := wantCertificate(t, enrol(t, f.server.URL, first), first.Key)
	second := enrolment(t, 3)
	wantCertificate(t, enrol(t, f.server.URL, second), second.Key)
	f.settle(t)

	third := enrolment(t, 4)
	wantFailure(t, enrol(t, f.server.URL, third), enough)
	f.server.WantMetric(`scepter_ra_refusals_total{reason="SubjectHasEnough"} 1`)
	inCapitals := enrolment(t, 4)
	inCapitals.Template.Subject.CommonName = "D1.devices.example.com"
	wantFailure(t, enrol(t, f.server.URL, inCapitals), enough)
	other := enrolment(t, 5)
	other.Template.Subject.CommonName = "d2.devices.example.com"
	wantCertificate(t, enrol(t, f.server.URL, other), other.Key)

	sameKey := enrolment(t, 3)
	sameKey.TransactionID, sameKey.Template.DNSNames = "anew", nil
	wantCertificate(t, enrol(t, f.server.URL, sameKey), sameKey.Key) // takes the place of the second
	renewed := renewal(t, certificate)
	wantCertificate(t, renew(t, f.server.URL, renewed), renewed.Key) // takes the place of the first
	f.settle(t)
	wantFailure(t, enrol(t, f.server.URL, third), enough)

	again := renewal(t, certificate) // what it renews has been renewed already
	again.Key = sceptest.RSAKey(t, 6)
	wantFailure(t, renew(t, f.server.URL, again), enough)
	f.wantRequests(t, 7)
}

// settle waits until the server knows of all that was recorded so far: it answers a
// new request of a subject of its own again, without a challenge.
func (f *fixture) settle(t *testing.T) {
	t.Helper()
	marker := enrolment(t, 7)
	marker.Template.Subject.CommonName = fmt.Sprintf("marker-%d.devices.example.com", len(f.List(t)))
	marker.TransactionID = marker.Template.Subject.CommonName
	wantCertificate(t, enrol(t, f.server.URL, marker), marker.Key)
	marker.ChallengePassword = ""
	ratest.Eventually(t, "the server to know the marker", func() error {
		return succeeded(device(f.server.URL).Enrol(limited(t), marker))
	})
}

// TestMaxPerSubjectCountsWhatWaits, and nothing that was denied.
func TestMaxPerSubjectCountsWhatWaits(t *testing.T) {
	t.Parallel()
	f := newRulesFixture(t, func(s *v1alpha1.CertificateTemplateSpec) { s.MaxPerSubject = ptr.To[int32](1) })
	f.impatient(t)
	f.Issuer.Set(ratest.Denies)
	denied := enrolment(t, 1)
	if result := enrol(t, f.server.URL, denied); result.Status != scep.StatusFailure {
		t.Fatalf("status %v, want FAILURE", result.Status)
	}
	f.Issuer.Set(ratest.Holds)
	waits := enrolment(t, 2)
	waits.TransactionID = "waits"
	wantPending(t, enrol(t, f.server.URL, waits))
	waits.ChallengePassword = ""
	ratest.Eventually(t, "the server to know what waits", func() error {
		if result := enrol(t, f.server.URL, waits); result.Status != scep.StatusPending {
			return errors.New(result.FailInfoText)
		}
		return nil
	})
	third := enrolment(t, 3)
	wantFailure(t, enrol(t, f.server.URL, third),
		"request refused: its subject may have 1 valid certificates, and has them; renew one, or wait for the end of one")
}
