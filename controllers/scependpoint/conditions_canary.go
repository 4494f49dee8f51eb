package scependpoint

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// lostCanary is one that did not come to its end.
type lostCanary struct {
	url string // "": it was sent to the prober's own server
	*raconfig.CanaryFailure
}

// serversFault is true where the way has nothing to do with it: nothing was between, or
// a server signed for its answer, and that arrived as it was.
func (l lostCanary) serversFault() bool {
	return l.url == "" || l.Proved && l.Cause.Kind != raconfig.FailureAltered
}

// lostCanaries are those of the report, the own server's first. Where the other probes
// fail already, they say why.
func lostCanaries(ep *v1alpha1.ScepEndpoint, seen *observation) []lostCanary {
	report := proberReport(ep, seen)
	if report == nil || report.Server.Failure != nil || wantedCanary(ep, seen) == nil {
		return nil
	}
	var lost []lostCanary
	add := func(url string, r raconfig.ProbeResult) {
		if r.Failure == nil && r.Canary != nil && r.Canary.Failure != nil {
			lost = append(lost, lostCanary{url, r.Canary.Failure})
		}
	}
	add("", report.Server)
	for _, r := range report.URLs {
		add(r.URL, r)
	}
	if issued := issuedCanary(report, wantedCanary(ep, seen)); issued != nil && issued.Failure != nil {
		lost = append(lost, lostCanary{issued.URL, issued.Failure})
	}
	return lost
}

// canaryOnTheWay says by which URL an exchange does not come through that the servers
// themselves take.
func canaryOnTheWay(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	lost := lostCanaries(ep, seen)
	i := slices.IndexFunc(lost, func(l lostCanary) bool { return !l.serversFault() })
	if i < 0 || lost[0].url == "" {
		return metav1.Condition{}, false
	}
	return conditions.False(v1alpha1.ConditionExposed, v1alpha1.ReasonCanaryFailed, fmt.Sprintf(
		"%s: an exchange like a device's ends at %s, but the servers take it: %s", lost[i].url, lost[i].Step, describeWay(lost[i]))), true
}

// orCanary puts what the servers' own exchange came to in the place of a condition that
// is not False: what became of devices weighs more.
func orCanary(c metav1.Condition, ep *v1alpha1.ScepEndpoint, seen *observation) metav1.Condition {
	if c.Status == metav1.ConditionFalse {
		return c
	}
	if awaitsReport(ep, seen) {
		before := conditions.Find(ep.Status.Conditions, v1alpha1.ConditionEnrolling)
		if before != nil && before.Reason == v1alpha1.ReasonCanaryFailed && wantedCanary(ep, seen) != nil {
			return *before
		}
		return c
	}
	for _, l := range lostCanaries(ep, seen) {
		if l.serversFault() {
			return conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonCanaryFailed, fmt.Sprintf(
				"an exchange like a device's that %s ends at %s: %s", sentBy(l), l.Step, describeLost(seen, l)))
		}
	}
	return c
}

func sentBy(l lostCanary) string {
	if l.url == "" {
		return "a server tries with itself"
	}
	return "is tried by " + l.url
}

// serversRemedies say what is wrong with the servers at each step, and what to do.
var serversRemedies = map[v1alpha1.CanaryStep]string{
	v1alpha1.CanaryGetCACaps:    "they do not answer it (%s); " + serversRemedy,
	v1alpha1.CanaryGetCACert:    "devices cannot use its certificates (%s); see the condition CredentialReady, and name the rest of the chain in spec.ca",
	v1alpha1.CanaryPKIOperation: "they do not answer the request (%s); " + serversRemedy,
	v1alpha1.CanaryReply:        "devices would refuse the answer (%s); see that the RACredential's keys go with its certificates",
	v1alpha1.CanaryIssuance:     "the issuer makes no certificate for it (%s); " + serversRemedy,
	v1alpha1.CanaryAnswer:       "devices would be refused (%s); see the conditions CredentialReady and IssuerReady, and the servers' log",
}

// describeLost says more of an issuer than describeServers can.
func describeLost(seen *observation, l lostCanary) string {
	if l.Step == v1alpha1.CanaryIssuance {
		return describeIssuance(seen, l)
	}
	return describeServers(l)
}

func describeServers(l lostCanary) string {
	return fmt.Sprintf(cmp.Or(serversRemedies[l.Step], "%s; "+serversRemedy), saidOf(l))
}

// describeWay says what came of the way, in the words of the other probes.
func describeWay(l lostCanary) string {
	switch v := judgeFailure(&l.Cause); {
	case l.Step == v1alpha1.CanaryPKIOperation && l.Cause.Kind == raconfig.FailureStatus:
		return fmt.Sprintf("a message by POST is answered by something in front of the servers, %s; allow POST with the type application/x-pki-message for this host", saidOf(l))
	case v.reason != "":
		return v.cause + "; " + v.remedy
	default:
		return saidOf(l) + "; see what is in front of the servers"
	}
}

func saidOf(l lostCanary) string { return cmp.Or(whatCame(&l.Cause), string(l.Cause.Kind)) }

// wantedCanary is nil where none is sent.
func wantedCanary(ep *v1alpha1.ScepEndpoint, seen *observation) *raconfig.Canary {
	wanted := render.Probes(ep, waysIn(ep, seen))
	if wanted == nil || ep.Spec.Suspend {
		return nil
	}
	return wanted.Canary
}

// canaryStatus is nil before the first canaries, and where none is sent.
func canaryStatus(ep *v1alpha1.ScepEndpoint, seen *observation, report *raconfig.ProbeReport) *v1alpha1.CanaryStatus {
	wanted := wantedCanary(ep, seen)
	if wanted == nil {
		return nil
	}
	var out *v1alpha1.CanaryStatus
	for i, r := range append([]raconfig.ProbeResult{report.Server}, report.URLs...) {
		one := canaryOf(r, wanted.Level)
		if one == nil {
			continue
		}
		if i == 0 {
			one.URL = ""
		}
		if out = one; one.Result == v1alpha1.CanaryFailed {
			break
		}
	}
	if out != nil && out.Result == v1alpha1.CanaryPassed {
		out.URL = ""
		if wanted.IssueIntervalSeconds > 0 {
			out = issuedStatus(issuedCanary(report, wanted))
		}
	}
	return sinceBefore(ep, out)
}

// issuedStatus is what counts where all else went well; nil before the first certificate.
func issuedStatus(issued *raconfig.IssuedCanary) *v1alpha1.CanaryStatus {
	if issued == nil {
		return nil
	}
	out := &v1alpha1.CanaryStatus{Level: issued.Level, Result: v1alpha1.CanaryPassed, Since: metav1.NewTime(issued.At)}
	if issued.Failure != nil {
		out.Result, out.Step, out.URL = v1alpha1.CanaryFailed, issued.Failure.Step, issued.URL
	}
	return out
}

// canaryOf is what a result says of its canary; nil if nothing.
func canaryOf(r raconfig.ProbeResult, level v1alpha1.CanaryLevel) *v1alpha1.CanaryStatus {
	out := &v1alpha1.CanaryStatus{Level: level, Result: v1alpha1.CanaryFailed, URL: r.URL, Since: metav1.NewTime(r.At)}
	switch {
	case r.Failure != nil:
		out.Step = v1alpha1.CanaryProbes
		return out
	case r.Canary == nil || r.Canary.Level != level:
		return nil
	case r.Canary.Failure != nil:
		out.Step = r.Canary.Failure.Step
	default:
		out.Result = v1alpha1.CanaryPassed
	}
	out.Since = metav1.NewTime(r.Canary.At)
	return out
}

// sinceBefore keeps the time of what was so before.
func sinceBefore(ep *v1alpha1.ScepEndpoint, now *v1alpha1.CanaryStatus) *v1alpha1.CanaryStatus {
	if now == nil || ep.Status.Probes == nil || ep.Status.Probes.Canary == nil {
		return now
	}
	same := *ep.Status.Probes.Canary
	same.Since = now.Since
	if same == *now {
		now.Since = ep.Status.Probes.Canary.Since
	}
	return now
}

// keptCanary is what was said before, where there are no results at the moment and it
// may be so still.
func keptCanary(ep *v1alpha1.ScepEndpoint, seen *observation) *v1alpha1.CanaryStatus {
	before, wanted := ep.Status.Probes.Canary, wantedCanary(ep, seen)
	gone := before != nil && before.URL != "" && !slices.Contains(waysIn(ep, seen), before.URL)
	if before == nil || wanted == nil || before.Level != wanted.Level || gone {
		return nil
	}
	return before.DeepCopy()
}
