package scependpoint

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// hook is the service of a challenge, as a prober found it.
func hook(changes ...func(*raconfig.ProbedDependency)) raconfig.ProbedDependency {
	d := raconfig.ProbedDependency{Dependency: raconfig.DependencyChallenge, Name: "mdm", Host: "hook.example.com:443", Since: noon}
	for _, change := range changes {
		change(&d)
	}
	return d
}

func fails(kind raconfig.FailureKind) func(*raconfig.ProbedDependency) {
	return func(d *raconfig.ProbedDependency) { d.Failure = &raconfig.ProbeFailure{Kind: kind} }
}

func of(what raconfig.Dependency) func(*raconfig.ProbedDependency) {
	return func(d *raconfig.ProbedDependency) { d.Dependency, d.Name = what, "" }
}

func skewed(seconds int64) func(*raconfig.ProbedDependency) {
	return func(d *raconfig.ProbedDependency) { d.ClockSkewSeconds = seconds }
}

func byProxy(status int) func(*raconfig.ProbedDependency) {
	return func(d *raconfig.ProbedDependency) {
		d.Proxy, d.AtProxy = "proxy.example.com:3128", true
		if status != 0 {
			d.Failure = &raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: status}
		}
	}
}

// dependingEndpoint is one at rest, whose prober reports dependencies.
func dependingEndpoint(found ...raconfig.ProbedDependency) (*v1alpha1.ScepEndpoint, *observation) {
	ep, seen := probedEndpoint()
	one := proberOf(*seen.replicas.value)
	status := *one.status
	status.Dependencies = found
	one.status = &status
	return ep, seen
}

// well is the condition of an endpoint at which devices enrol.
var well = conditions.True(v1alpha1.ConditionEnrolling, v1alpha1.ReasonSucceeded, "granted")

func TestDependenciesShowOnEnrolling(t *testing.T) {
	apiServer, sink := of(raconfig.DependencyAPIServer), of(raconfig.DependencyAuditSink)
	cases := []struct {
		name   string
		found  []raconfig.ProbedDependency
		reason string // "": as before
		says   []string
	}{
		{"all reached", []raconfig.ProbedDependency{hook(apiServer), hook()}, "", nil},
		{"no name", []raconfig.ProbedDependency{hook(fails(raconfig.FailureNameUnknown))}, v1alpha1.ReasonNameNotResolved, []string{"the service of challenge mdm (hook.example.com:443)", "does not resolve", "DNS record", "told to come again"}},
		{"no resolver", []raconfig.ProbedDependency{hook(fails(raconfig.FailureResolver))}, v1alpha1.ReasonNameNotResolved, []string{"no resolver"}},
		{"dropped", []raconfig.ProbedDependency{hook(apiServer), hook(fails(raconfig.FailureTimeout))}, v1alpha1.ReasonDependencyUnreachable, []string{"no answer in time", "firewall", "NetworkPolic"}},
		{"rejected", []raconfig.ProbedDependency{hook(fails(raconfig.FailureRefused))}, v1alpha1.ReasonDependencyUnreachable, []string{"refused"}},
		{"not trusted", []raconfig.ProbedDependency{hook(fails(raconfig.FailureTLSUntrusted))}, v1alpha1.ReasonTLSInvalid, []string{"caBundle"}},
		{"not yet valid", []raconfig.ProbedDependency{hook(fails(raconfig.FailureTLSNotYetValid))}, v1alpha1.ReasonClocksDiffer, []string{"NTP"}},
		{"the API server", []raconfig.ProbedDependency{hook(apiServer, fails(raconfig.FailureTimeout))}, v1alpha1.ReasonDependencyUnreachable, []string{"the API server"}},
		{"the proxy refuses", []raconfig.ProbedDependency{hook(byProxy(403))}, v1alpha1.ReasonProxyFailed, []string{"the proxy proxy.example.com:3128 refuses to connect to it, HTTP 403", "noProxy"}},
		{"the proxy wants a password", []raconfig.ProbedDependency{hook(byProxy(407))}, v1alpha1.ReasonProxyFailed, []string{"user name"}},
		{"the proxy is away", []raconfig.ProbedDependency{hook(byProxy(0), fails(raconfig.FailureRefused))}, v1alpha1.ReasonProxyFailed, []string{"the proxy proxy.example.com:3128 cannot be used (the connection is refused)"}},
		{"the service's certificate behind a proxy", []raconfig.ProbedDependency{hook(byProxy(0), fails(raconfig.FailureTLSExpired), func(d *raconfig.ProbedDependency) { d.AtProxy = false })}, v1alpha1.ReasonTLSInvalid, []string{"expired"}},
		{"a sink that may be away", []raconfig.ProbedDependency{hook(sink, fails(raconfig.FailureRefused))}, "", []string{"granted; besides, the audit sink"}},
		{"revocation", []raconfig.ProbedDependency{hook(of(raconfig.DependencyRevocation), fails(raconfig.FailureRefused))}, "", []string{"besides, the source of revocation"}},
		{"traces", []raconfig.ProbedDependency{hook(of(raconfig.DependencyTracing), fails(raconfig.FailureRefused))}, "", []string{"besides, the collector"}},
		{"its clock is behind", []raconfig.ProbedDependency{hook(apiServer), hook(skewed(-3590))}, v1alpha1.ReasonClocksDiffer, []string{"the clock of the service of challenge mdm (hook.example.com:443) is about 60 minutes behind the servers'", "NTP"}},
		{"the API server's clock", []raconfig.ProbedDependency{hook(apiServer, skewed(7300)), hook()}, v1alpha1.ReasonClocksDiffer, []string{"the clock of the API server", "about 2 hours ahead of the servers'"}},
		{"our own clock", []raconfig.ProbedDependency{hook(apiServer, skewed(3610)), hook(skewed(3590))}, v1alpha1.ReasonClocksDiffer, []string{"the clock of the node that the server runs on is about 60 minutes behind that of the API server"}},
		{"days", []raconfig.ProbedDependency{hook(apiServer), hook(skewed(30 * 86400))}, v1alpha1.ReasonClocksDiffer, []string{"about 30 days ahead of"}},
		{"a clock a little off", []raconfig.ProbedDependency{hook(skewed(290))}, "", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ep, seen := dependingEndpoint(c.found...)
			want := metav1.ConditionFalse
			if c.reason == "" {
				want, c.reason = metav1.ConditionTrue, v1alpha1.ReasonSucceeded
			}
			got := orDependency(well, ep, seen)
			wantSays(t, got, want, c.reason, c.says...)
			if want == metav1.ConditionFalse && !dependencyReasons.Has(got.Reason) {
				t.Errorf("%s is not among the reasons of dependencies", got.Reason)
			}
			if len(got.Message) > 600 {
				t.Errorf("%d characters: %s", len(got.Message), got.Message)
			}
		})
	}
}

// TestDependenciesAmongOtherReasons: what cannot be reached now comes before what became
// of requests, but a difference of clocks does not.
func TestDependenciesAmongOtherReasons(t *testing.T) {
	denied := conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonRequestsFailing, "denied")
	ep, seen := dependingEndpoint(hook(fails(raconfig.FailureRefused)))
	wantSays(t, orDependency(denied, ep, seen), metav1.ConditionFalse, v1alpha1.ReasonDependencyUnreachable)
	used := conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonTLSInvalid, "as devices met it")
	if got := orDependency(used, ep, seen); got != used {
		t.Errorf("%+v", got)
	}
	silent := conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonRevocationUnknown, "as renewals met it")
	ep, seen = dependingEndpoint(hook(of(raconfig.DependencyRevocation), fails(raconfig.FailureRefused)))
	if got := orDependency(silent, ep, seen); got != silent {
		t.Errorf("%+v", got)
	}
	ep, seen = dependingEndpoint(hook(byProxy(403)))
	wantSays(t, orDependency(used, ep, seen), metav1.ConditionFalse, v1alpha1.ReasonProxyFailed)
	ep, seen = dependingEndpoint(hook(of(raconfig.DependencyAPIServer), fails(raconfig.FailureTimeout)))
	wantSays(t, orDependency(used, ep, seen), metav1.ConditionFalse, v1alpha1.ReasonDependencyUnreachable, "the API server")
	ep, seen = dependingEndpoint(hook(skewed(3600)))
	wantSays(t, orDependency(denied, ep, seen), metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing)
}

// TestWhichDependenciesStopEnrolments goes by what the endpoint is made of.
func TestWhichDependenciesStopEnrolments(t *testing.T) {
	ep, _ := dependingEndpoint()
	refuse := ep.DeepCopy()
	refuse.Spec.Recording = &v1alpha1.Recording{Sink: &v1alpha1.RecordingSink{OnSinkFailure: v1alpha1.SinkFailureRefuse}}
	required := ep.DeepCopy()
	required.Spec.Challenges = []v1alpha1.Challenge{{Name: "mdm", Webhook: &v1alpha1.WebhookChallenge{Notification: &v1alpha1.WebhookNotification{Required: true}}}}
	direct := ep.DeepCopy()
	direct.Spec.Issuance.Mode = v1alpha1.IssuanceDirect
	direct.Spec.Challenges = []v1alpha1.Challenge{{Name: "word", Type: v1alpha1.ChallengeStatic}}
	claims := direct.DeepCopy()
	claims.Spec.Challenges = []v1alpha1.Challenge{{Name: "once", Type: v1alpha1.ChallengeOneTime}}
	cases := []struct {
		ep   *v1alpha1.ScepEndpoint
		what raconfig.Dependency
		want bool
	}{
		{ep, raconfig.DependencyAPIServer, true},
		{direct, raconfig.DependencyAPIServer, false},
		{claims, raconfig.DependencyAPIServer, true},
		{direct, raconfig.DependencySigner, true},
		{ep, raconfig.DependencyChallenge, true},
		{ep, raconfig.DependencyNotification, false},
		{required, raconfig.DependencyNotification, true},
		{ep, raconfig.DependencyAuditSink, false},
		{refuse, raconfig.DependencyAuditSink, true},
		{ep, raconfig.DependencyRevocation, false},
		{ep, raconfig.DependencyTracing, false},
	}
	for _, c := range cases {
		if got := stops(c.ep, raconfig.ProbedDependency{Dependency: c.what, Name: "mdm"}); got != c.want {
			t.Errorf("%s of %s with %v: %v", c.what, c.ep.Spec.Issuance.Mode, c.ep.Spec.Challenges, got)
		}
	}
}

// TestDependenciesWhileAnotherBegins: between two probers what was said stays said.
func TestDependenciesWhileAnotherBegins(t *testing.T) {
	ep, seen := dependingEndpoint()
	before := conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonDependencyUnreachable, "away")
	ep.Status.Conditions = []metav1.Condition{before}
	wantSays(t, orDependency(well, ep, seen), metav1.ConditionFalse, v1alpha1.ReasonDependencyUnreachable, "away")
	ep.Spec.Probes.Mode = v1alpha1.ProbesDisabled
	wantSays(t, orDependency(well, ep, seen), metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestEveryFailureOfADependencyIsJudged(t *testing.T) {
	for kind := range dependencyJudgements {
		v := judgeDependency(hook(fails(kind)))
		if v.reason == "" || v.cause == "" || v.remedy == "" || strings.HasSuffix(v.remedy, ".") {
			t.Errorf("%s: %+v", kind, v)
		}
	}
	if v := judgeDependency(hook(fails("of a newer version"))); v.reason != v1alpha1.ReasonDependencyUnreachable {
		t.Errorf("%+v", v)
	}
}

// TestFindingsOfDependencies: what is the same at each look wakes nobody.
func TestFindingsOfDependencies(t *testing.T) {
	report := func(d raconfig.ProbedDependency) string {
		return findings(&raconfig.ReplicaStatus{Dependencies: []raconfig.ProbedDependency{d}})
	}
	one := report(hook(skewed(3600)))
	if other := report(hook(skewed(3590), func(d *raconfig.ProbedDependency) { d.Addresses = []string{"192.0.2.1"} })); one != other {
		t.Error("what differs at each look counts")
	}
	for name, other := range map[string]string{"a failure": report(hook(fails(raconfig.FailureRefused))), "a clock": report(hook()), "nothing": findings(&raconfig.ReplicaStatus{})} {
		if one == other {
			t.Errorf("%s does not count", name)
		}
	}
}
