package scependpoint

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// adminRemedies say what to do where the page of challenges cannot be reached; what is
// not named is on the way.
var adminRemedies = map[string]string{
	v1alpha1.ReasonNameNotResolved: "make a DNS record that leads to Service %s, unless management systems alone are to resolve it",
	v1alpha1.ReasonTLSInvalid:      "see that the name leads to Service %s, and that nothing on the way ends TLS",
	v1alpha1.ReasonServersFail:     "see the condition ServersAvailable and the log of the servers behind Service %s",
}

const onTheWayToAdmin = "see that the name leads to Service %s, and firewalls and NetworkPolicies on the way"

// withPage adds to what is well that the prober does not find the page of challenges. It
// stays well: devices are served, and the page's name may be known elsewhere alone.
func withPage(ep *v1alpha1.ScepEndpoint, seen *observation, well metav1.Condition) metav1.Condition {
	report := proberReport(ep, seen)
	if report == nil || report.Admin == nil {
		return withKeptPage(ep, well)
	}
	r := *report.Admin
	v := judgeAdmin(ep, r)
	if v.reason == "" {
		return well
	}
	at := ""
	if addresses := sameAddresses(ep, r, v.reason); len(addresses) > 0 {
		at = " (at " + bounded(addresses) + ")"
	}
	return conditions.True(well.Type, v1alpha1.ReasonAdminUnreachable, fmt.Sprintf(
		"%s; but of exposure.admin, %s, the servers say: %s%s: %s", well.Message, r.URL, v.cause, at, v.remedy))
}

// withKeptPage repeats what was said of the page, while there is no result.
func withKeptPage(ep *v1alpha1.ScepEndpoint, well metav1.Condition) metav1.Condition {
	was, before := keptAdmin(ep), conditions.Find(ep.Status.Conditions, well.Type)
	if was == nil || before == nil || before.Reason != v1alpha1.ReasonAdminUnreachable {
		return well
	}
	return *before
}

// keptAdmin is what was found of the page, if it is wanted still.
func keptAdmin(ep *v1alpha1.ScepEndpoint) *v1alpha1.ProbedURL {
	wanted := render.Probes(ep, nil)
	if ep.Status.Probes == nil || ep.Status.Probes.Admin == nil || wanted == nil || ep.Status.Probes.Admin.URL != wanted.Admin {
		return nil
	}
	return ep.Status.Probes.Admin
}

// judgeAdmin says what is wrong with the page of challenges. Its answer to somebody who
// does not say who he is has the status 401.
func judgeAdmin(ep *v1alpha1.ScepEndpoint, r raconfig.ProbeResult) verdict {
	if r.Failure == nil {
		return verdict{}
	}
	v := judgeFailure(r.Failure)
	if r.Proved && r.Failure.Kind == raconfig.FailureStatus {
		v = verdict{reason: v1alpha1.ReasonServersFail, cause: "a server of this endpoint answers " + whatCame(r.Failure)}
	}
	remedy, known := adminRemedies[v.reason]
	if !known {
		remedy = onTheWayToAdmin
	}
	v.remedy = fmt.Sprintf(remedy, render.AdminServiceName(ep.Name))
	return v
}

// probedAdmin is what the status says of the page.
func probedAdmin(ep *v1alpha1.ScepEndpoint, r *raconfig.ProbeResult) *v1alpha1.ProbedURL {
	if r == nil {
		return keptAdmin(ep)
	}
	out := v1alpha1.ProbedURL{URL: r.URL, Result: v1alpha1.ProbePassed}
	if v := judgeAdmin(ep, *r); v.reason != "" {
		out.Result, out.Message, out.Addresses = v.reason, messageOf(v), sameAddresses(ep, *r, v.reason)
	}
	if r.TLS != nil {
		end := metav1.NewTime(r.TLS.NotAfter)
		out.TLSNotAfter = &end
	}
	return &out
}
