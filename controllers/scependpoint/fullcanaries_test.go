package scependpoint

import (
	"slices"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// issues makes an endpoint whose canaries get certificates, and what became of one; nil: none yet.
func issues(result *raconfig.CanaryResult, url string) (*v1alpha1.ScepEndpoint, *observation) {
	good := sang("", false, raconfig.ProbeFailure{})
	good.Level = v1alpha1.CanaryFull
	ep, seen := probedEndpoint(sings(good, good), func(p *raconfig.ProbeReport) {
		if result != nil {
			p.Issued = &raconfig.IssuedCanary{URL: url, CanaryResult: *result}
			p.Issued.Level = v1alpha1.CanaryFull
		}
	})
	ep.Spec.Probes.Canary.Level = v1alpha1.CanaryFull
	return ep, seen
}

func TestFullCanariesShow(t *testing.T) {
	noRequests := metav1.Condition{Type: v1alpha1.ConditionEnrolling, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoRequests}
	ep, seen := issues(nil, "")
	if got := probesStatus(ep, seen).Canary; got != nil {
		t.Errorf("before the first certificate: %+v", got)
	}
	ep, seen = issues(sang("", false, raconfig.ProbeFailure{}), probedPlain)
	if got := probesStatus(ep, seen).Canary; got == nil || got.Result != v1alpha1.CanaryPassed || got.Level != v1alpha1.CanaryFull || got.URL != "" {
		t.Errorf("%+v", got)
	}
	if got := orCanary(noRequests, ep, seen); got != noRequests {
		t.Errorf("%+v", got)
	}
	ep, seen = issues(sang(v1alpha1.CanaryIssuance, true, unfit("request denied by an approver")), probedPlain)
	seen.canaries = []certmanagerv1.CertificateRequest{request("corp-canary", 0, 0, denied)}
	wantSays(t, orCanary(noRequests, ep, seen), metav1.ConditionFalse, v1alpha1.ReasonCanaryFailed,
		probedPlain, "ends at Issuance", "CertificateRequest corp-canary: not you", "let it issue to the name", "level to Protocol")
	if got := probesStatus(ep, seen).Canary; got == nil || got.Result != v1alpha1.CanaryFailed || got.Step != v1alpha1.CanaryIssuance {
		t.Errorf("%+v", got)
	}
	ep.Spec.Probes.Canary.Level = v1alpha1.CanaryProtocol
	if got := orCanary(noRequests, ep, seen); got != noRequests {
		t.Errorf("turned off: %+v", got)
	}
}

// TestFullCanariesDoNotPileUp: the newest stays for the servers to go by, the others go
// after an hour; all do where canaries get no certificates any more.
func TestFullCanariesDoNotPileUp(t *testing.T) {
	ep, seen := issues(nil, "")
	for name, age := range map[string]time.Duration{"newest": 2 * time.Hour, "older": 8 * time.Hour, "oldest": 9 * time.Hour} {
		one := request(name, age, 0, granted)
		one.Labels = map[string]string{v1alpha1.LabelCanary: string(v1alpha1.CanaryFull)}
		seen.canaries = append(seen.canaries, one)
	}
	records, canaries := split(append(slices.Clone(seen.canaries), request("device", 0, 0, granted)), v1alpha1.LabelCanary)
	if len(records) != 1 || len(canaries) != 3 {
		t.Errorf("%d records and %d canaries", len(records), len(canaries))
	}
	if got := expiredCanaries(ep, seen, noon); !slices.Equal(got, []string{"older", "oldest"}) {
		t.Errorf("%v are deleted", got)
	}
	if got := untilCanary(ep, &observation{canaries: seen.canaries[:1]}, noon); got > restInterval {
		t.Error(got)
	}
	ep.Spec.Probes.Canary.Level = v1alpha1.CanaryProtocol
	if got := expiredCanaries(ep, seen, noon); len(got) != 3 {
		t.Errorf("turned off, %v are deleted", got)
	}
	if got := expiredCanaries(ep, seen, noon.Add(-90*time.Minute)); slices.Contains(got, "newest") {
		t.Errorf("within an hour %v are deleted", got)
	}
}
