package racredential

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// using is an endpoint whose servers use the credential "corp".
func using(name string, s v1alpha1.EndpointCredentialStatus) *v1alpha1.ScepEndpoint {
	ep := &v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Name: name}}
	ep.Status.RACredential = &s
	return ep
}

// rollout says of each generation what endpoints make of it: "g2 Next 1/2 []".
func rollout(uses []use) string {
	generations := []v1alpha1.CredentialGeneration{{ID: "g3"}, {ID: "g2"}, {ID: "g1"}}
	for i := range generations {
		generations[i].ShownBy, generations[i].HeldBy = shownBy(uses, generations[i].ID), heldBy(uses, generations[i].ID)
	}
	setStates(generations)
	var out []string
	for _, g := range generations {
		out = append(out, strings.Join(strings.Fields(fmt.Sprint(g.State, " ", g.HeldBy, " ", strings.Join(g.ShownBy, "+"))), " "))
	}
	return strings.Join(out, ", ")
}

func TestWhatEndpointsMakeOfTheGenerations(t *testing.T) {
	type status = v1alpha1.EndpointCredentialStatus
	until := metav1.NewTime(now.Add(time.Hour))
	for name, tc := range map[string]struct {
		endpoints []*v1alpha1.ScepEndpoint
		want      string
		step      v1alpha1.CredentialStep
	}{
		"nobody uses it": {nil, "Active, Previous, Previous", v1alpha1.StepOverlap},
		"one shows the newest": {
			[]*v1alpha1.ScepEndpoint{using("a", status{Name: "corp", ActiveGeneration: "g3", Held: "2/2"})},
			"Active 2/2 a, Previous, Previous", v1alpha1.StepOverlap,
		},
		"one loads the newest": {
			[]*v1alpha1.ScepEndpoint{using("a", status{Name: "corp", ActiveGeneration: "g2", NextGeneration: "g3", Held: "1/2"})},
			"Next 1/2, Active a, Previous", v1alpha1.StepLoading,
		},
		"one holds the newest": {
			[]*v1alpha1.ScepEndpoint{using("a", status{Name: "corp", ActiveGeneration: "g2", NextGeneration: "g3", Held: "2/2"})},
			"Next 2/2, Active a, Previous", v1alpha1.StepSwitching,
		},
		"one has not noticed the newest": {
			[]*v1alpha1.ScepEndpoint{using("a", status{Name: "corp", ActiveGeneration: "g2", Held: "2/2"})},
			"Next, Active 2/2 a, Previous", v1alpha1.StepLoading,
		},
		"one of two is behind": {
			[]*v1alpha1.ScepEndpoint{
				using("b", status{Name: "corp", ActiveGeneration: "g3", Held: "3/3"}),
				using("a", status{Name: "corp", ActiveGeneration: "g1", NextGeneration: "g3", Held: "1/2"}),
			},
			"Active 4/5 b, Previous, Active a", v1alpha1.StepLoading,
		},
		"one is about to come": {
			[]*v1alpha1.ScepEndpoint{using("a", status{Name: "old", ActiveGeneration: "x", NextName: "corp", NextGeneration: "g3", Held: "0/2"})},
			"Active 0/2, Previous, Previous", v1alpha1.StepLoading,
		},
		"one has left": {
			[]*v1alpha1.ScepEndpoint{using("a", status{Name: "new", ActiveGeneration: "x", Held: "2/2", Previous: []v1alpha1.ShownGeneration{
				{Name: "corp", Generation: "g3", Until: until},
			}})},
			"Active, Previous, Previous", v1alpha1.StepOverlap,
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &observation{}
			for _, ep := range tc.endpoints {
				for _, u := range usesOf(ep) {
					if u.credential == "corp" {
						seen.endpoints.uses = append(seen.endpoints.uses, u)
					}
				}
			}
			if got := rollout(seen.endpoints.uses); got != tc.want {
				t.Errorf("got %q, not %q", got, tc.want)
			}
			plan := &rotation.Plan{Keyring: &raconfig.Keyring{Generations: []raconfig.Generation{{ID: "g3"}, {ID: "g2"}, {ID: "g1"}}}}
			if got := stepOf(seen, plan); got != tc.step {
				t.Errorf("step %s, not %s", got, tc.step)
			}
		})
	}
}

func TestStepsBeforeAGenerationIsThere(t *testing.T) {
	done := func(conditions ...certmanagerv1.CertificateCondition) source {
		c := &certmanagerv1.Certificate{}
		ready := certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionTrue}
		c.Status.Conditions = slices.Concat(conditions, []certmanagerv1.CertificateCondition{ready})
		return source{role: v1alpha1.RoleCombined, certificate: c}
	}
	issuing := certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue}
	for name, tc := range map[string]struct {
		source source
		plan   rotation.Plan
		want   v1alpha1.CredentialStep
	}{
		"nothing issued":   {source{}, rotation.Plan{}, v1alpha1.StepIssuing},
		"being renewed":    {done(issuing), rotation.Plan{}, v1alpha1.StepIssuing},
		"unfit":            {done(), rotation.Plan{Findings: []rotation.Finding{{}}}, v1alpha1.StepChecking},
		"of another CA":    {done(), rotation.Plan{OtherCA: &rotation.Finding{}}, v1alpha1.StepChecking},
		"at rest":          {done(), rotation.Plan{}, v1alpha1.StepIdle},
		"none from people": {source{external: true}, rotation.Plan{}, v1alpha1.StepIssuing},
	} {
		t.Run(name, func(t *testing.T) {
			tc.plan.Keyring = &raconfig.Keyring{}
			if got := stepOf(&observation{sources: []source{tc.source}}, &tc.plan); got != tc.want {
				t.Errorf("step %s, not %s", got, tc.want)
			}
		})
	}
}

func TestClientCredentialsAreProbed(t *testing.T) {
	ep := &v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	ep.Status.ClientCredentials = []v1alpha1.ClientCredentialStatus{
		{Name: "policy", ActiveGeneration: "g1", NextGeneration: "g2", Held: "2/2", Step: v1alpha1.ClientProbing},
	}
	uses := usesOf(ep)
	if len(uses) != 1 || uses[0].credential != "policy" {
		t.Fatalf("uses: %+v", uses)
	}
	if got := uses[0].step(&raconfig.Generation{ID: "g2"}); got != v1alpha1.StepProbing {
		t.Errorf("step %s", got)
	}
}

func TestEndpointsKeepWhatTheyShowedLongest(t *testing.T) {
	early, late := now.Add(time.Hour), now.Add(2*time.Hour)
	e := endpoints{uses: []use{
		{active: "g3", kept: map[string]time.Time{"g1": late, "g2": early}},
		{kept: map[string]time.Time{"g1": early}},
	}}
	if diff := cmp.Diff(map[string]time.Time{"g1": late, "g2": early}, e.keptUntil()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"g3"}, e.shown()); diff != "" {
		t.Error(diff)
	}
}

func TestTheMemoryOfReissuesSurvivesTheStatus(t *testing.T) {
	for name, memory := range map[string]*rotation.Reissue{
		"none":           nil,
		"before the 1st": {Check: rotation.CheckIssued, Next: now},
		"after some":     {Check: rotation.CheckUsages, Attempts: 3, Last: now, Next: now.Add(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(memory, rememberedReissue(reissueStatus(memory))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhenCertificatesMustHaveBegun(t *testing.T) {
	for name, tc := range map[string]struct {
		annotation, handled string
		want                time.Time
	}{
		"nothing asked":   {"", "", time.Time{}},
		"a time":          {"2031-03-04T05:00:00Z", "", time.Date(2031, 3, 4, 5, 0, 1, 0, time.UTC)},
		"parts of a time": {"2031-03-04T05:00:00.7+01:00", "", time.Date(2031, 3, 4, 4, 0, 1, 0, time.UTC)},
		"handled":         {"2031-03-04T05:00:00Z", "2031-03-04T05:00:00Z", time.Time{}},
		"another time":    {"2031-03-04T05:00:00Z", "2031-03-01T05:00:00Z", time.Date(2031, 3, 4, 5, 0, 1, 0, time.UTC)},
		"no time":         {"please", "", now},
	} {
		t.Run(name, func(t *testing.T) {
			rc := credential()
			rc.Annotations = map[string]string{v1alpha1.AnnotationRotate: tc.annotation}
			rc.Status.LastHandledRotateAt = tc.handled
			if got := issueAfter(rc, now); !got.Equal(tc.want) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestWhyACertificateIsIssuedAnew(t *testing.T) {
	both := []v1alpha1.CredentialRole{v1alpha1.RoleSigning, v1alpha1.RoleEncryption}
	for want, p := range map[string]*rotation.Plan{
		"a rotation was requested":                 {IssueNow: both},
		"check Usages failed, attempt 2":           {IssueNow: both, Reissue: &rotation.Reissue{Check: rotation.CheckUsages, Attempts: 2}},
		"the other certificate of its pair is new": {IssueNow: both, Following: both[1:]},
	} {
		if got := whyReissued(p, v1alpha1.RoleEncryption); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestACredentialRestsWithAllOfItsEndpoints(t *testing.T) {
	for _, tc := range []struct {
		users, resting int
		want           bool
	}{{0, 0, false}, {1, 0, false}, {2, 1, false}, {1, 1, true}, {2, 2, true}} {
		seen := &observation{endpoints: endpoints{users: tc.users, resting: tc.resting}}
		rc := &v1alpha1.RACredential{}
		if got := rotationInput(rc, seen, nil, time.Now()).Suspended; got != tc.want {
			t.Errorf("%d of %d endpoints are suspended, and the credential: %v", tc.resting, tc.users, got)
		}
	}
}
