package render

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// TestAdminURL: there is a page to be probed where challenges are minted.
func TestAdminURL(t *testing.T) {
	ep := &v1alpha1.ScepEndpoint{}
	ep.Spec.Exposure.Admin = &v1alpha1.AdminExposure{Host: "mint.example.com"}
	if Probes(ep, nil) != nil {
		t.Error("a page is probed that has nothing to mint")
	}
	ep.Spec.Challenges = []v1alpha1.Challenge{{Type: v1alpha1.ChallengeStatic}, {Type: v1alpha1.ChallengeOneTime}}
	if got := Probes(ep, nil); got == nil || got.Admin != "https://mint.example.com/certsrv/mscep_admin/" {
		t.Errorf("%+v", got)
	}
	ep.Spec.Exposure.Admin = nil
	if Probes(ep, nil) != nil {
		t.Error("a page is probed that nothing leads to")
	}
}

func TestCanary(t *testing.T) {
	urls := []string{"http://scep.example.com/scep"}
	cases := []struct {
		name   string
		probes v1alpha1.Probes
		want   *raconfig.Canary
	}{
		{"an object from before there were canaries", v1alpha1.Probes{}, &raconfig.Canary{Level: v1alpha1.CanaryProtocol, IntervalSeconds: 300}},
		{
			"as wanted",
			v1alpha1.Probes{Canary: v1alpha1.Canary{Level: v1alpha1.CanaryProtocol, Interval: &metav1.Duration{Duration: time.Hour}}},
			&raconfig.Canary{Level: v1alpha1.CanaryProtocol, IntervalSeconds: 3600},
		},
		{
			"with certificates",
			v1alpha1.Probes{Canary: v1alpha1.Canary{Level: v1alpha1.CanaryFull}},
			&raconfig.Canary{Level: v1alpha1.CanaryFull, IntervalSeconds: 300, IssueIntervalSeconds: 6 * 3600},
		},
		{
			"with certificates once a day",
			v1alpha1.Probes{Canary: v1alpha1.Canary{Level: v1alpha1.CanaryFull, IssueInterval: &metav1.Duration{Duration: 24 * time.Hour}}},
			&raconfig.Canary{Level: v1alpha1.CanaryFull, IntervalSeconds: 300, IssueIntervalSeconds: 24 * 3600},
		},
		{"disabled", v1alpha1.Probes{Canary: v1alpha1.Canary{Level: v1alpha1.CanaryDisabled}}, nil},
	}
	for _, c := range cases {
		ep := &v1alpha1.ScepEndpoint{Spec: v1alpha1.ScepEndpointSpec{Probes: c.probes}}
		got := Probes(ep, urls).Canary
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
		if Probes(ep, nil) != nil {
			t.Errorf("%s: without a URL", c.name)
		}
		ep.Spec.Probes.Mode = v1alpha1.ProbesDisabled
		if Probes(ep, urls) != nil {
			t.Errorf("%s: although probes are disabled", c.name)
		}
	}
}
