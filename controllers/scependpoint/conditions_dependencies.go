package scependpoint

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// dependencyReasons are those of Enrolling that the look at dependencies finds.
var dependencyReasons = sets.New(
	v1alpha1.ReasonDependencyUnreachable, v1alpha1.ReasonNameNotResolved, v1alpha1.ReasonTLSInvalid,
	v1alpha1.ReasonProxyFailed, v1alpha1.ReasonClocksDiffer,
)

// probedDependencies are those that the prober found; nil before, and where none is tried.
func probedDependencies(ep *v1alpha1.ScepEndpoint, seen *observation) []raconfig.ProbedDependency {
	if seen.replicas.value == nil || render.Needs(ep) == nil {
		return nil
	}
	one := proberOf(*seen.replicas.value)
	if one == nil || one.status == nil {
		return nil
	}
	return one.status.Dependencies
}

// awaitsDependencies is true where they are tried and there are no results at the moment.
func awaitsDependencies(ep *v1alpha1.ScepEndpoint, seen *observation) bool {
	return render.Needs(ep) != nil && len(probedDependencies(ep, seen)) == 0
}

// orDependency puts what the servers do not reach at present before what became of
// requests: without it there are none. Clocks that differ come after what is known to
// fail, for enrolments may go on for a while. What stops no enrolment is only mentioned.
func orDependency(c metav1.Condition, ep *v1alpha1.ScepEndpoint, seen *observation) metav1.Condition {
	if awaitsDependencies(ep, seen) {
		before := conditions.Find(ep.Status.Conditions, v1alpha1.ConditionEnrolling)
		if before != nil && dependencyReasons.Has(before.Reason) {
			return *before
		}
		return c
	}
	found := probedDependencies(ep, seen)
	for _, d := range found {
		if v := judgeDependency(d); v.reason != "" && stops(ep, d) && !toldByUse(c, d, v) {
			return conditions.False(v1alpha1.ConditionEnrolling, v.reason, describeDependency(d, v)+"; until then "+consequence(ep, d))
		}
	}
	if v := judgeClocks(found); v.reason != "" && c.Status != metav1.ConditionFalse {
		return conditions.False(v1alpha1.ConditionEnrolling, v.reason, v.cause+": "+v.remedy)
	}
	return mention(c, found)
}

// mention adds to a condition the first service that is not reached, unless the condition
// is of it.
func mention(c metav1.Condition, found []raconfig.ProbedDependency) metav1.Condition {
	for _, d := range found {
		v := judgeDependency(d)
		if v.reason != "" && !toldOfRevocation(c, d) && !toldByUse(c, d, v) {
			c.Message += "; besides, " + describeDependency(d, v)
			break
		}
	}
	return c
}

// toldOfRevocation says whether what the servers met with a source of revocation is told already.
func toldOfRevocation(c metav1.Condition, d raconfig.ProbedDependency) bool {
	return d.Dependency == raconfig.DependencyRevocation && (c.Reason == v1alpha1.ReasonRevocationUnknown || c.Reason == v1alpha1.ReasonRevocationStale)
}

// serviceReasons are those that real use of a challenge's service finds.
var serviceReasons = sets.New(
	v1alpha1.ReasonNameNotResolved, v1alpha1.ReasonDependencyUnreachable, v1alpha1.ReasonTLSInvalid, v1alpha1.ReasonClientRefused,
	v1alpha1.ReasonServiceUnauthenticated, v1alpha1.ReasonAuthenticationDiffers, v1alpha1.ReasonServiceForbidden, v1alpha1.ReasonServiceFails,
)

// toldByUse says whether what devices met with a challenge's service is told already, which
// names what to change in more detail. Only a proxy's failure is known better here.
func toldByUse(c metav1.Condition, d raconfig.ProbedDependency, v verdict) bool {
	ofChallenge := d.Dependency == raconfig.DependencyChallenge || d.Dependency == raconfig.DependencyNotification
	return ofChallenge && c.Status == metav1.ConditionFalse && serviceReasons.Has(c.Reason) && v.reason != v1alpha1.ReasonProxyFailed
}

// describeDependency names a service, what is wrong, and what to do.
func describeDependency(d raconfig.ProbedDependency, v verdict) string {
	return fmt.Sprintf("%s (%s) is not reached from the servers: %s: %s", calledIn(d), d.Host, v.cause, v.remedy)
}

// callings are how messages call dependencies; those with a verb are of a challenge.
var callings = map[raconfig.Dependency]string{
	raconfig.DependencyAPIServer:    "the API server",
	raconfig.DependencySigner:       "the signers' Service",
	raconfig.DependencyChallenge:    "the service of challenge %s",
	raconfig.DependencyNotification: "the service that challenge %s notifies",
	raconfig.DependencyRevocation:   "the source of revocation that renewals ask",
	raconfig.DependencyAuditSink:    "the audit sink",
	raconfig.DependencyTracing:      "the collector of traces",
}

func calledIn(d raconfig.ProbedDependency) string {
	calling := cmp.Or(callings[d.Dependency], string(d.Dependency))
	if d.Name == "" {
		return calling
	}
	return fmt.Sprintf(calling, d.Name)
}

// stops says whether devices cannot enrol without a service. The others are missed by
// renewals alone, or by nobody but who reads records.
func stops(ep *v1alpha1.ScepEndpoint, d raconfig.ProbedDependency) bool {
	switch d.Dependency {
	case raconfig.DependencySigner, raconfig.DependencyChallenge:
		return true
	case raconfig.DependencyAPIServer:
		return !render.IsDirect(ep) || slices.ContainsFunc(ep.Spec.Challenges, isOneTime)
	case raconfig.DependencyNotification:
		return slices.ContainsFunc(ep.Spec.Challenges, func(c v1alpha1.Challenge) bool {
			return c.Name == d.Name && c.Webhook != nil && c.Webhook.Notification != nil && c.Webhook.Notification.Required
		})
	case raconfig.DependencyAuditSink:
		r := ep.Spec.Recording
		return r != nil && r.Sink != nil && r.Sink.OnSinkFailure == v1alpha1.SinkFailureRefuse
	}
	return false
}

func isOneTime(c v1alpha1.Challenge) bool { return c.Type == v1alpha1.ChallengeOneTime }

// consequence says which devices suffer.
func consequence(ep *v1alpha1.ScepEndpoint, d raconfig.ProbedDependency) string {
	if d.Name != "" && len(ep.Spec.Challenges) > 1 {
		return fmt.Sprintf("devices that challenge %s lets in are told to come again", d.Name)
	}
	return "devices are told to come again"
}

// judgeDependency says what is wrong with the way to a service; no reason: nothing.
func judgeDependency(d raconfig.ProbedDependency) verdict {
	f := d.Failure
	if f == nil {
		return verdict{}
	}
	v, known := dependencyJudgements[f.Kind]
	if !known {
		v = dependencyJudgements[raconfig.FailureClosed]
	}
	if said := whatCame(f); said != "" && said != silences[f.Kind] {
		v.cause += ", " + said
	}
	if d.AtProxy {
		return judgeProxy(d, v)
	}
	return v
}

const wayRemedy = "see routes, firewalls and NetworkPolicies between the servers' pods and this host"

// dependencyJudgements are what each kind of failure means.
var dependencyJudgements = map[raconfig.FailureKind]verdict{
	raconfig.FailureNameUnknown:    {v1alpha1.ReasonNameNotResolved, "its name does not resolve in the cluster", "make a DNS record that the cluster's DNS finds, or correct the URL"},
	raconfig.FailureResolver:       {v1alpha1.ReasonNameNotResolved, "no resolver answers for its name", "see the cluster's DNS, the name servers of the domain, and whether a NetworkPolicy keeps the servers from them"},
	raconfig.FailureAddress:        {v1alpha1.ReasonNameNotResolved, "its name leads to an address that is not called", "correct its DNS record"},
	raconfig.FailureRefused:        {v1alpha1.ReasonDependencyUnreachable, "the connection is refused", "start the service at this host and port, or see which firewall rejects the connection"},
	raconfig.FailureUnreachable:    {v1alpha1.ReasonDependencyUnreachable, "there is no way to its address", wayRemedy},
	raconfig.FailureTimeout:        {v1alpha1.ReasonDependencyUnreachable, "no answer in time", "a firewall or NetworkPolicy may drop what is sent: " + wayRemedy + ", and whether the service is up"},
	raconfig.FailureReset:          {v1alpha1.ReasonDependencyUnreachable, "the connection is cut", "see the service's log, and firewalls that look into TLS"},
	raconfig.FailureClosed:         {v1alpha1.ReasonDependencyUnreachable, "the connection ends too early", "see the service's log, and firewalls that look into TLS"},
	raconfig.FailureTLS:            {v1alpha1.ReasonTLSInvalid, "the TLS handshake fails", "see that TLS by version 1.2 or later is served at this port"},
	raconfig.FailureTLSName:        {v1alpha1.ReasonTLSInvalid, "its TLS certificate is for another name", "have one issued for this host, or correct the URL"},
	raconfig.FailureTLSExpired:     {v1alpha1.ReasonTLSInvalid, "its TLS certificate has expired", "renew it"},
	raconfig.FailureTLSNotYetValid: {v1alpha1.ReasonClocksDiffer, "its TLS certificate is not yet valid by the servers' clock", "compare the clocks of the nodes and of the certificate's issuer with NTP"},
	raconfig.FailureTLSUntrusted:   {v1alpha1.ReasonTLSInvalid, "its TLS certificate is of no CA that the servers trust", "name its CA in caBundle, or see whether a proxy or firewall on the way shows a certificate of its own"},
	raconfig.FailureNotHTTP:        {v1alpha1.ReasonDependencyUnreachable, "what answers does not speak HTTP", "see that this host and port are the service's"},
	raconfig.FailureStatus:         {v1alpha1.ReasonDependencyUnreachable, "it is answered for", "see its log"},
}

// proxyRemedies are for what proxies answer when they are asked to connect.
var proxyRemedies = map[int]string{
	403: "allow this host and port in the proxy's rules, or name the host in server.proxy.noProxy if it can be reached directly",
	407: "let the servers pass without a user name and password: they have none for proxies",
	502: "the proxy does not reach the service: see its log",
	503: "the proxy does not reach the service: see its log",
	504: "the proxy does not reach the service: see its log",
}

// judgeProxy lays a failure at the proxy's door; v is what it means of a service.
func judgeProxy(d raconfig.ProbedDependency, v verdict) verdict {
	f := d.Failure
	if f.Kind == raconfig.FailureStatus {
		return verdict{
			v1alpha1.ReasonProxyFailed, fmt.Sprintf("the proxy %s refuses to connect to it, %s", d.Proxy, whatCame(f)),
			cmp.Or(proxyRemedies[f.Status], "see the proxy's log"),
		}
	}
	return verdict{v1alpha1.ReasonProxyFailed, fmt.Sprintf("the proxy %s cannot be used (%s)", d.Proxy, v.cause), "correct server.proxy, or see to the proxy and the way to it"}
}

// judgeClocks says whose clock is off, by what services wrote as the date. Where the API
// server and another service agree with each other and not with the servers, it is the
// servers' own.
func judgeClocks(found []raconfig.ProbedDependency) verdict {
	var off []raconfig.ProbedDependency
	for _, d := range found {
		if clockOff(d) {
			off = append(off, d)
		}
	}
	if len(off) == 0 {
		return verdict{}
	}
	const remedy = "set the time by NTP there: certificates look expired or not yet valid otherwise"
	first := off[0]
	switch {
	case first.Dependency != raconfig.DependencyAPIServer:
		return verdict{v1alpha1.ReasonClocksDiffer, fmt.Sprintf("the clock of %s (%s) is %s the servers'", calledIn(first), first.Host, ahead(first.ClockSkewSeconds)), remedy}
	case slices.ContainsFunc(off[1:], func(d raconfig.ProbedDependency) bool {
		return clockStep(d.ClockSkewSeconds) == clockStep(first.ClockSkewSeconds)
	}):
		return verdict{v1alpha1.ReasonClocksDiffer, fmt.Sprintf("the clock of the node that the server runs on is %s that of the API server and of other services, which agree", ahead(-first.ClockSkewSeconds)), "set the time of the nodes by NTP: certificates look expired or not yet valid otherwise"}
	}
	return verdict{v1alpha1.ReasonClocksDiffer, fmt.Sprintf("the clock of the API server (%s) is %s the servers'", first.Host, ahead(first.ClockSkewSeconds)), "set the time by NTP on all nodes, those of the control plane among them: certificates look expired or not yet valid otherwise"}
}

func abs(n int64) int64 { return max(n, -n) }

// clockStep rounds a difference to the nearest five minutes, so that what stays about the
// same is said in the same words.
func clockStep(seconds int64) time.Duration {
	return (time.Duration(seconds) * time.Second).Round(maxClockSkew)
}

// ahead says how far a clock is ahead or behind, roughly.
func ahead(seconds int64) string {
	way, step := "ahead of", clockStep(seconds)
	if step < 0 {
		way, step = "behind", -step
	}
	switch {
	case step < 2*time.Hour:
		return fmt.Sprintf("about %d minutes %s", step/time.Minute, way)
	case step < 48*time.Hour:
		return fmt.Sprintf("about %d hours %s", step.Round(time.Hour)/time.Hour, way)
	}
	return fmt.Sprintf("about %d days %s", step/(24*time.Hour), way)
}

// dependenciesStatus is what was found of each; while there is nothing, what was before.
func dependenciesStatus(ep *v1alpha1.ScepEndpoint, seen *observation) []v1alpha1.ProbedService {
	if awaitsDependencies(ep, seen) && ep.Status.Probes != nil {
		return ep.Status.Probes.Dependencies
	}
	var out []v1alpha1.ProbedService
	for _, d := range probedDependencies(ep, seen) {
		one := v1alpha1.ProbedService{Kind: string(d.Dependency), Name: d.Name, Host: d.Host, Proxy: d.Proxy, Result: v1alpha1.ProbePassed}
		if v := judgeDependency(d); v.reason != "" {
			one.Result = v.reason
		} else if clockOff(d) {
			one.Result = v1alpha1.ReasonClocksDiffer
		}
		out = append(out, one)
	}
	return out
}

// clockOff says whether a service wrote a date that is too far from the servers'.
func clockOff(d raconfig.ProbedDependency) bool {
	return d.Failure == nil && abs(d.ClockSkewSeconds) > int64(maxClockSkew/time.Second)
}

// stableDependencies leave out what differs at each look.
func stableDependencies(found []raconfig.ProbedDependency) []raconfig.ProbedDependency {
	out := slices.Clone(found)
	for i := range out {
		out[i].Since, out[i].Addresses = time.Time{}, nil
		out[i].ClockSkewSeconds = int64(clockStep(out[i].ClockSkewSeconds) / time.Second)
	}
	return out
}
