package ra_test

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probe"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const everySixHours = 6 * 3600

// newFullFixture is an endpoint that issues to canaries.
func newFullFixture(t *testing.T) *fixture {
	t.Helper()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	files.Config.Probes = &raconfig.Probes{
		URLs: []string{"http://scep.example.com/scep"}, IntervalSeconds: 3600, URLIntervalSeconds: 3600,
		Canary: &raconfig.Canary{Level: v1alpha1.CanaryFull, IntervalSeconds: 3600, IssueIntervalSeconds: everySixHours},
	}
	files.WriteConfig()
	return &fixture{cluster, files, ratest.NewServer(t, cluster, files)}
}

// singFull sends a canary that is to get a certificate for a key, with a pass.
func (f *fixture) singFull(t *testing.T, key int, pass probemark.CanaryKey) (pending bool, failed *raconfig.CanaryFailure) {
	t.Helper()
	target, err := probe.OwnTarget(newTap(t, f.server.URL).address)
	if err != nil {
		t.Fatal(err)
	}
	p := &probe.Prober{Key: probemark.NewKey(f.files.StateKey()), FullKey: pass, Timeout: 30 * time.Second}
	return p.FullCanary(limited(t), target, sceptest.RSAKey(t, key))
}

func (f *fixture) fullKey() probemark.CanaryKey {
	return probemark.NewFullCanaryKey(f.files.StateKey())
}

func unless(well bool, otherwise string) error {
	if well {
		return nil
	}
	return errors.New(otherwise)
}

// wantCanaries checks the objects: n, all of them canaries'.
func (f *fixture) wantCanaries(t *testing.T, n int) []certmanagerv1.CertificateRequest {
	t.Helper()
	all := f.List(t)
	if len(all) != n {
		t.Fatalf("%d CertificateRequests, want %d", len(all), n)
	}
	for _, r := range all {
		usages := r.Spec.Usages
		if r.Labels[v1alpha1.LabelCanary] != string(v1alpha1.CanaryFull) || len(r.Labels) != 2 || r.Spec.IsCA ||
			r.Spec.Duration.Duration != time.Hour || len(usages) != 1 || usages[0] != certmanagerv1.UsageDigitalSignature {
			t.Errorf("labels %v, for %s, %v", r.Labels, r.Spec.Duration.Duration, usages)
		}
	}
	return all
}

// TestFullCanary: one certificate, however often and by whichever prober it is asked for,
// and no count of it; it authenticates no renewal.
func TestFullCanary(t *testing.T) {
	t.Parallel()
	f := newFullFixture(t)
	for _, key := range []int{canaryKey, canaryKey, oldKey} {
		ratest.Eventually(t, "a certificate", func() error {
			pending, failed := f.singFull(t, key, f.fullKey())
			if failed != nil {
				t.Fatalf("%+v", *failed)
			}
			return unless(!pending, "pending")
		})
	}
	issued := f.wantCanaries(t, 1)[0]
	certificates, err := raconfig.ParseCertificates(issued.Status.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if got := certificates[0]; !probemark.IsCanary(got) || len(got.ExtKeyUsage) > 0 || len(got.DNSNames) > 0 || got.IsCA {
		t.Errorf("%s has usages %v and names %v", got.Subject, got.ExtKeyUsage, got.DNSNames)
	}
	status := f.server.Status()
	if len(status.Funnel) > 0 || status.LastIssued != nil || len(status.Away) > 0 || len(status.Troubles) > 0 {
		t.Errorf("counted: %+v", status)
	}
	if strings.Contains(f.server.Metrics(), "scepter_ra_enrolments_total{") || strings.Contains(f.server.Log.String(), `"transaction"`) {
		t.Error("counted or recorded as an enrolment")
	}
	f.wantNoRenewal(t, certificates[0])
}

// wantNoRenewal lets a canary's certificate try to renew itself.
func (f *fixture) wantNoRenewal(t *testing.T, certificate *x509.Certificate) {
	t.Helper()
	request := renewal(t, certificate)
	request.CertificateKey = sceptest.RSAKey(t, canaryKey)
	wantFailure(t, renew(t, f.server.URL, request), "renewal refused: the certificate that signs it does not fit the template: it is a canary's")
	f.wantRequests(t, 1)
}

// TestFullCanaryFails: the issuer's failure is told, and the issuer then left alone for a while.
func TestFullCanaryFails(t *testing.T) {
	t.Parallel()
	f := newFullFixture(t)
	f.Issuer.Set(ratest.Denies)
	for range 2 {
		ratest.Eventually(t, "the refusal", func() error {
			pending, failed := f.singFull(t, canaryKey, f.fullKey())
			if !pending && (failed == nil || failed.Step != v1alpha1.CanaryIssuance || !strings.Contains(failed.Cause.Detail, "denied")) {
				t.Fatalf("%+v", failed)
			}
			return unless(!pending, "pending")
		})
	}
	f.wantCanaries(t, 1)
}

// TestFullCanaryNeedsItsKey: no other pass gets a certificate, and none does where the
// configuration wants none.
func TestFullCanaryNeedsItsKey(t *testing.T) {
	t.Parallel()
	f := newFullFixture(t)
	keys := probemark.NewKeys(f.files.StateKey())
	for name, pass := range map[string]probemark.CanaryKey{
		"of dry runs": keys.Canary, "of probes": probemark.CanaryKey(keys.Probe), "of another endpoint": probemark.NewFullCanaryKey(f.files.ChallengeKey()),
	} {
		if _, failed := f.singFull(t, canaryKey, pass); failed == nil {
			t.Errorf("a pass with the key %s is good", name)
		}
	}
	f.wantRequests(t, 0)
	f.files.Config.Probes.Canary.Level, f.files.Config.Probes.Canary.IssueIntervalSeconds = v1alpha1.CanaryProtocol, 0
	f.files.WriteConfig()
	ratest.Eventually(t, "canaries to be refused", func() error {
		_, failed := f.singFull(t, canaryKey, f.fullKey())
		return unless(failed != nil && strings.Contains(failed.Cause.Detail, "no certificate here"), "not refused")
	})
}

// TestFullPassIsForCanariesAlone: with the pass of a full canary no device's request goes
// through, though its challenge is good.
func TestFullPassIsForCanariesAlone(t *testing.T) {
	t.Parallel()
	f := newFullFixture(t)
	client := device(f.server.URL)
	client.HTTP = &http.Client{Transport: passing{t, f.fullKey()}}
	result, err := client.Enrol(limited(t), enrolment(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, result, "a canary asks for its own name and for nothing else")
	f.wantRequests(t, 0)
}
