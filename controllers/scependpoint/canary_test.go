package scependpoint

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// sang is the result of a canary; no step: it came to its end.
func sang(step v1alpha1.CanaryStep, proved bool, cause raconfig.ProbeFailure) *raconfig.CanaryResult {
	r := &raconfig.CanaryResult{Level: v1alpha1.CanaryProtocol, At: noon}
	if step != "" {
		r.Failure = &raconfig.CanaryFailure{Step: step, Proved: proved, Cause: cause}
	}
	return r
}

// sings is a report of canaries, to the own server and by the URL.
func sings(own, url *raconfig.CanaryResult) func(*raconfig.ProbeReport) {
	return func(p *raconfig.ProbeReport) { p.Server.Canary, p.URLs[0].Canary = own, url }
}

func unfit(detail string) raconfig.ProbeFailure {
	return raconfig.ProbeFailure{Kind: raconfig.FailureUnfit, Detail: detail}
}

func TestCanariesShow(t *testing.T) {
	good := sang("", false, raconfig.ProbeFailure{})
	cases := []struct {
		name     string
		own, url *raconfig.CanaryResult
		servers  bool // the servers' fault, shown on Enrolling
		way      bool // the way's, shown on Exposed
		says     []string
		step     v1alpha1.CanaryStep
		at       string
	}{
		{name: "none yet"},
		{name: "all well", own: good, url: good},
		{name: "by the URL alone, so far", url: good},
		{
			name: "keys that do not go with the certificates", own: sang(v1alpha1.CanaryReply, true, unfit("not signed by the RA certificate")), url: good, servers: true,
			says: []string{"tries with itself ends at Reply", "not signed by the RA certificate", "RACredential"}, step: v1alpha1.CanaryReply,
		},
		{
			name: "a chain that is not one", own: sang(v1alpha1.CanaryGetCACert, true, unfit("no CA certificate")), url: good, servers: true,
			says: []string{"GetCACert", "spec.ca"}, step: v1alpha1.CanaryGetCACert,
		},
		{
			name: "refused", own: sang(v1alpha1.CanaryAnswer, true, unfit("badRequest: renew the CA")), url: sang(v1alpha1.CanaryAnswer, true, unfit("badRequest: renew the CA")), servers: true,
			says: []string{"Answer", "renew the CA", "IssuerReady"}, step: v1alpha1.CanaryAnswer,
		},
		{
			name: "another server, which signed for it", own: good, url: sang(v1alpha1.CanaryReply, true, unfit("not signed")), servers: true,
			says: []string{"is tried by " + probedPlain, "Reply"}, step: v1alpha1.CanaryReply, at: probedPlain,
		},
		{
			name: "the own server does not answer", own: sang(v1alpha1.CanaryPKIOperation, true, raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: 503}), url: good, servers: true,
			says: []string{"HTTP 503", "servers' log"}, step: v1alpha1.CanaryPKIOperation,
		},
		{
			name: "POST is refused on the way", own: good, url: sang(v1alpha1.CanaryPKIOperation, false, raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: 405, Server: "nginx"}), way: true,
			says: []string{probedPlain, "PKIOperation", "HTTP 405, Server: nginx", "allow POST"}, step: v1alpha1.CanaryPKIOperation, at: probedPlain,
		},
		{
			name: "cut on the way", own: good, url: sang(v1alpha1.CanaryPKIOperation, false, raconfig.ProbeFailure{Kind: raconfig.FailureReset}), way: true,
			says: []string{"the servers take it", "cut"}, step: v1alpha1.CanaryPKIOperation, at: probedPlain,
		},
		{
			name: "answers are changed on the way", own: good, url: sang(v1alpha1.CanaryPKIOperation, true, raconfig.ProbeFailure{Kind: raconfig.FailureAltered, Status: 200}), way: true,
			says: []string{"changes their answers"}, step: v1alpha1.CanaryPKIOperation, at: probedPlain,
		},
		{
			name: "the way too, but the servers first", own: sang(v1alpha1.CanaryReply, true, unfit("x")), url: sang(v1alpha1.CanaryPKIOperation, false, raconfig.ProbeFailure{Kind: raconfig.FailureReset}), servers: true,
			step: v1alpha1.CanaryReply,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ep, seen := probedEndpoint(sings(c.own, c.url))
			granted := metav1.Condition{Type: v1alpha1.ConditionEnrolling, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}
			enrolling, exposed := orCanary(granted, ep, seen), exposed(ep, seen)
			wantCanaryFailed(t, enrolling, c.servers, c.says)
			wantCanaryFailed(t, exposed, c.way, c.says)
			got := probesStatus(ep, seen).Canary
			if c.step == "" {
				if c.own == nil && c.url == nil {
					if got != nil {
						t.Errorf("%+v", got)
					}
				} else if got == nil || got.Result != v1alpha1.CanaryPassed || got.URL != "" || got.Step != "" {
					t.Errorf("%+v", got)
				}
				return
			}
			want := &v1alpha1.CanaryStatus{Level: v1alpha1.CanaryProtocol, Result: v1alpha1.CanaryFailed, Step: c.step, URL: c.at, Since: metav1.NewTime(noon)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func wantCanaryFailed(t *testing.T, c metav1.Condition, failed bool, says []string) {
	t.Helper()
	if !failed {
		if c.Status != metav1.ConditionTrue {
			t.Errorf("%s is %s %s: %s", c.Type, c.Status, c.Reason, c.Message)
		}
		return
	}
	wantSays(t, c, metav1.ConditionFalse, v1alpha1.ReasonCanaryFailed, says...)
}

// TestEveryCanaryStepHasWords: no step and no kind of failure is without them.
func TestEveryCanaryStepHasWords(t *testing.T) {
	for _, step := range []v1alpha1.CanaryStep{
		v1alpha1.CanaryGetCACaps, v1alpha1.CanaryGetCACert, v1alpha1.CanaryPKIOperation, v1alpha1.CanaryReply, v1alpha1.CanaryAnswer,
	} {
		if serversRemedies[step] == "" {
			t.Error(step)
		}
		for kind := range judgements {
			l := lostCanary{"", &raconfig.CanaryFailure{Step: step, Cause: raconfig.ProbeFailure{Kind: kind}}}
			if describeWay(l) == "" || describeServers(l) == "" {
				t.Error(step, kind)
			}
		}
		l := lostCanary{probedPlain, &raconfig.CanaryFailure{Step: step, Cause: unfit("odd")}}
		if got := describeWay(l); got != "odd; see what is in front of the servers" {
			t.Error(got)
		}
	}
}

// TestDevicesWeighMore: what became of devices is said first, and what the other probes found.
func TestDevicesWeighMore(t *testing.T) {
	lost := sang(v1alpha1.CanaryReply, true, unfit("x"))
	ep, seen := probedEndpoint(sings(lost, lost))
	denied := metav1.Condition{Type: v1alpha1.ConditionEnrolling, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRequestsFailing}
	if got := orCanary(denied, ep, seen); got != denied {
		t.Errorf("%+v", got)
	}
	cut := sang(v1alpha1.CanaryPKIOperation, false, raconfig.ProbeFailure{Kind: raconfig.FailureReset})
	ep, seen = probedEndpoint(failed(raconfig.FailureRefused), sings(nil, cut))
	if got := exposed(ep, seen); got.Reason != v1alpha1.ReasonHopUnreachable {
		t.Errorf("%+v", got)
	}
	got := probesStatus(ep, seen).Canary
	if got == nil || got.Result != v1alpha1.CanaryFailed || got.Step != v1alpha1.CanaryProbes || got.URL != probedPlain {
		t.Errorf("%+v", got)
	}
}

// TestCanaryStays: times do not change while nothing else does, and what was said is kept
// while there is no report; not once no canary is wanted.
func TestCanaryStays(t *testing.T) {
	lost := sang(v1alpha1.CanaryReply, true, unfit("x"))
	ep, seen := probedEndpoint(sings(lost, nil))
	unknown := metav1.Condition{Type: v1alpha1.ConditionEnrolling, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoRequests}
	said := orCanary(unknown, ep, seen)
	ep.Status.Probes, ep.Status.Conditions = probesStatus(ep, seen), []metav1.Condition{said}
	lost.At = noon.Add(time.Hour)
	if diff := cmp.Diff(ep.Status.Probes, probesStatus(ep, seen)); diff != "" {
		t.Error(diff)
	}
	report := proberOf(*seen.replicas.value).status.Probes
	before := findings(&raconfig.ReplicaStatus{Probes: report})
	later := *report
	again := *lost
	again.At = noon.Add(2 * time.Hour)
	later.Server.Canary = &again
	if findings(&raconfig.ReplicaStatus{Probes: &later}) != before {
		t.Error("the time of a canary wakes the operator")
	}
	later.Server.Canary = nil
	if findings(&raconfig.ReplicaStatus{Probes: &later}) == before {
		t.Error("what became of a canary wakes nobody")
	}

	proberOf(*seen.replicas.value).status.Probes = nil
	if got := orCanary(unknown, ep, seen); got != said || probesStatus(ep, seen).Canary == nil {
		t.Errorf("without a report: %+v", got)
	}
	ep.Spec.Suspend = true
	if got := orCanary(unknown, ep, seen); got != unknown || probesStatus(ep, seen).Canary != nil {
		t.Errorf("suspended: %+v", got)
	}
	ep.Spec.Suspend, ep.Spec.Probes.Canary.Level = false, v1alpha1.CanaryDisabled
	if got := orCanary(unknown, ep, seen); got != unknown || probesStatus(ep, seen).Canary != nil {
		t.Errorf("turned off: %+v", got)
	}
	proberOf(*seen.replicas.value).status.Probes = report
	if got := orCanary(unknown, ep, seen); got != unknown || probesStatus(ep, seen).Canary != nil {
		t.Errorf("turned off, with a report still: %+v", got)
	}
}

// TestSuspendedEndpointsHaveNoCanaries: the prober is told to be silent.
func TestSuspendedEndpointsHaveNoCanaries(t *testing.T) {
	ep := &v1alpha1.ScepEndpoint{}
	for _, suspended := range []bool{false, true} {
		ep.Spec.Suspend = suspended
		replicas := []replica{{name: "a", ready: true}}
		nameProber(ep, replicas)
		if got := replicas[0].prober; got.name != "a" || got.noCanaries != suspended || got.anew != "" {
			t.Errorf("%+v", got)
		}
	}
}

// TestEverythingIsProbedAnew: the prober is told when somebody asks, by a word that is as long
// as another and says nothing.
func TestEverythingIsProbedAnew(t *testing.T) {
	ep := &v1alpha1.ScepEndpoint{}
	words := map[string]bool{}
	for _, asked := range []string{"", "monday", "tuesday", "monday"} {
		ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: asked}
		replicas := []replica{{name: "a", ready: true}}
		nameProber(ep, replicas)
		words[replicas[0].prober.anew] = true
	}
	if !words[""] || len(words) != 3 {
		t.Errorf("words %v", words)
	}
}

// TestCanaryChangesTheStatus: what became of canaries is in the status soon.
func TestCanaryChangesTheStatus(t *testing.T) {
	f := newFixture(t)
	f.makeIngressClass("sung", "traefik.io/ingress-controller")
	f.makeAll(withHost("sung"), func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure.Hosts[0].TLS = nil })
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if _, config := f.config(); config.Probes == nil || config.Probes.Canary == nil || config.Probes.Canary.IntervalSeconds != 300 {
		t.Errorf("%+v", config.Probes)
	}
	report := func(change func(*raconfig.ProbeReport)) *raconfig.ProbeReport {
		r := &raconfig.ProbeReport{Vantage: v1alpha1.VantageCluster, Server: passes("http://127.0.0.1:8080/scep"), URLs: []raconfig.ProbeResult{passes(probedPlain)}}
		change(r)
		return r
	}
	good := sang("", false, raconfig.ProbeFailure{})
	f.report(report(sings(sang(v1alpha1.CanaryReply, true, unfit("not signed by the RA")), good)))
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionFalse, v1alpha1.ReasonCanaryFailed, "not signed by the RA")
	f.waitForCanary(v1alpha1.CanaryFailed)
	f.report(report(sings(good, sang(v1alpha1.CanaryPKIOperation, false, raconfig.ProbeFailure{Kind: raconfig.FailureReset}))))
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonCanaryFailed, probedPlain)
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests)
	f.report(report(sings(good, good)))
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitForCanary(v1alpha1.CanaryPassed)
}

func (f *fixture) waitForCanary(want v1alpha1.CanaryOutcome) {
	f.t.Helper()
	testenv.Eventually(f.t, "canary "+string(want), func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		if ep.Status.Probes == nil || ep.Status.Probes.Canary == nil || ep.Status.Probes.Canary.Result != want {
			return fmt.Errorf("%+v", ep.Status.Probes)
		}
		return nil
	})
}
