package scependpoint

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const pageURL = "https://mint.example.com/certsrv/mscep_admin/"

// pageEndpoint is an endpoint with a page of challenges, of which the prober found something.
func pageEndpoint(found *raconfig.ProbeResult) (*v1alpha1.ScepEndpoint, *observation) {
	ep, seen := probedEndpoint(func(p *raconfig.ProbeReport) { p.Admin = found })
	ep.Spec.Challenges = append(ep.Spec.Challenges, v1alpha1.Challenge{Name: "ticket", Type: v1alpha1.ChallengeOneTime})
	ep.Spec.Exposure.Admin = &v1alpha1.AdminExposure{Host: "mint.example.com", TLS: v1alpha1.HostTLS{SecretName: "mint-tls"}}
	seen.exposure.adminTLS = secretFact{found: true, hasKeys: true}
	return ep, seen
}

func pageFails(kind raconfig.FailureKind, status int, proved bool) *raconfig.ProbeResult {
	return &raconfig.ProbeResult{URL: pageURL, Addresses: []string{"192.0.2.20"}, Proved: proved, Failure: &raconfig.ProbeFailure{Kind: kind, Status: status}}
}

func TestThePageShowsOnExposed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		found  *raconfig.ProbeResult
		reason string
		says   []string
	}{
		"not asked yet":       {nil, "", nil},
		"well":                {&raconfig.ProbeResult{URL: pageURL, Proved: true}, "", nil},
		"of another host":     {&raconfig.ProbeResult{URL: "https://other/", Failure: &raconfig.ProbeFailure{}}, "", nil},
		"no name":             {pageFails(raconfig.FailureNameUnknown, 0, false), v1alpha1.ReasonNameNotResolved, []string{pageURL, "does not resolve", "-ra-admin", "management systems alone"}},
		"another certificate": {pageFails(raconfig.FailureTLSName, 0, false), v1alpha1.ReasonTLSInvalid, []string{"at 192.0.2.20", "ends TLS"}},
		"nothing listens":     {pageFails(raconfig.FailureRefused, 0, false), v1alpha1.ReasonHopUnreachable, []string{"nothing listens", "firewalls"}},
		"a portal":            {pageFails(raconfig.FailureStatus, 200, false), v1alpha1.ReasonHopFailed, []string{"HTTP 200"}},
		"the servers":         {pageFails(raconfig.FailureStatus, 404, true), v1alpha1.ReasonServersFail, []string{"a server of this endpoint answers HTTP 404"}},
	} {
		ep, seen := pageEndpoint(c.found)
		want := v1alpha1.ReasonSucceeded
		if c.reason != "" {
			want = v1alpha1.ReasonAdminUnreachable
		}
		t.Run(name, func(t *testing.T) { wantSays(t, exposed(ep, seen), metav1.ConditionTrue, want, c.says...) })
		status := probesStatus(ep, seen).Admin
		switch {
		case name == "not asked yet" || name == "of another host":
			if status != nil {
				t.Errorf("%s: %+v", name, status)
			}
		case c.reason == "" && status.Result != v1alpha1.ProbePassed, c.reason != "" && status.Result != c.reason:
			t.Errorf("%s: %+v", name, status)
		}
	}
}

// TestThePageIsKeptUntilItIsAskedAgain: another prober has no result at first.
func TestThePageIsKeptUntilItIsAskedAgain(t *testing.T) {
	t.Parallel()
	ep, seen := pageEndpoint(pageFails(raconfig.FailureRefused, 0, false))
	said := exposed(ep, seen)
	ep.Status.Probes, ep.Status.Conditions = probesStatus(ep, seen), []metav1.Condition{said}
	_, another := pageEndpoint(nil)
	if again := exposed(ep, another); again.Reason != said.Reason || again.Message != said.Message {
		t.Errorf("%+v", again)
	}
	if kept := probesStatus(ep, another).Admin; kept == nil || kept.Result != v1alpha1.ReasonHopUnreachable {
		t.Errorf("%+v", kept)
	}
	ep.Spec.Exposure.Admin.Host = "other.example.com"
	if again := exposed(ep, another); again.Reason != v1alpha1.ReasonSucceeded {
		t.Errorf("of another host: %+v", again)
	}
}
