package scependpoint

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// probeReasons are those of Exposed that probes find.
var probeReasons = sets.New(
	v1alpha1.ReasonNameNotResolved, v1alpha1.ReasonHopUnreachable, v1alpha1.ReasonHopFailed, v1alpha1.ReasonRedirected,
	v1alpha1.ReasonTLSInvalid, v1alpha1.ReasonPOSTRefused, v1alpha1.ReasonAltered, v1alpha1.ReasonClocksDiffer, v1alpha1.ReasonServersFail,
	v1alpha1.ReasonCanaryFailed,
)

// verdict is what is to be said of a URL; no reason: devices can enrol by it.
type verdict struct{ reason, cause, remedy string }

// probeProblem says what the probes found, of the first URL that does not pass.
func probeProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	const exposed = v1alpha1.ConditionExposed
	if awaitsReport(ep, seen) {
		before := conditions.Find(ep.Status.Conditions, exposed)
		if before != nil && probeReasons.Has(before.Reason) {
			return *before, true
		}
		return metav1.Condition{}, false
	}
	report := proberReport(ep, seen)
	if report == nil {
		return metav1.Condition{}, false
	}
	for _, r := range report.URLs {
		if v := judgeProbe(report.Server, r); v.reason != "" {
			return conditions.False(exposed, v.reason, fmt.Sprintf("%s: %s%s: %s", r.URL, v.cause, where(ep, seen, r, v), v.remedy)), true
		}
	}
	return metav1.Condition{}, false
}

// probedWell adds to what is well that it was tried.
func probedWell(ep *v1alpha1.ScepEndpoint, seen *observation) string {
	if proberReport(ep, seen) == nil {
		return ""
	}
	return "; from within the cluster every URL answers as the servers do"
}

// where tells the addresses that a name leads to, and that they are not the ingress's.
func where(ep *v1alpha1.ScepEndpoint, seen *observation, r raconfig.ProbeResult, v verdict) string {
	if v.reason == v1alpha1.ReasonServersFail {
		return ""
	}
	var reported []string
	for _, way := range exposureStatus(ep, seen) {
		reported = append(reported, way.Addresses...)
	}
	addresses := sameAddresses(ep, r, v.reason)
	switch {
	case len(reported) == 0 && len(addresses) == 0:
		return ""
	case len(addresses) == 0:
		return " (the way in is at " + bounded(reported) + ")"
	case !comparable(reported) || overlap(addresses, reported):
		return " (at " + bounded(addresses) + ")"
	}
	return fmt.Sprintf(" (the name leads to %s, but the way in is at %s: correct its DNS record if that is not meant)", bounded(addresses), bounded(reported))
}

// comparable is true where all that is reported are IP addresses: those of a name may
// change, and those with a port are of something that others lead to.
func comparable(reported []string) bool {
	return len(reported) > 0 && !slices.ContainsFunc(reported, func(a string) bool { return net.ParseIP(a) == nil })
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(one string) bool { return slices.Contains(b, one) })
}

// judgeProbe says what is wrong with a URL, and at whose door it lies: that of the
// servers, if the prober's own does not answer or a server signed for a bad answer.
func judgeProbe(server, r raconfig.ProbeResult) verdict {
	switch {
	case r.Failure != nil && server.Failure != nil:
		return verdict{v1alpha1.ReasonServersFail, "the servers themselves give no good answer: " + whatCame(server.Failure), serversRemedy}
	case r.Failure != nil && r.Proved && r.Failure.Kind == raconfig.FailureStatus:
		return verdict{v1alpha1.ReasonServersFail, "a server of this endpoint answers " + whatCame(r.Failure), serversRemedy}
	case r.Failure != nil:
		return judgeFailure(r.Failure)
	case time.Duration(r.ClockSkewSeconds)*time.Second > maxClockSkew, time.Duration(-r.ClockSkewSeconds)*time.Second > maxClockSkew:
		return verdict{v1alpha1.ReasonClocksDiffer, fmt.Sprintf("its clock differs from the servers' by more than %d minutes", maxClockSkew/time.Minute), "set the time by NTP on the nodes and on what is in front of them: certificates look expired or not yet valid otherwise"}
	case r.Shape == nil:
		return verdict{}
	}
	return judgeShape(r.Shape)
}

const (
	serversRemedy = "see the condition ServersAvailable and the servers' log"
	// maxClockSkew is what certificates are backdated by, at least, almost everywhere.
	maxClockSkew = 5 * time.Minute
)

// judgements are what each kind of failure of the first questions means.
var judgements = map[raconfig.FailureKind]verdict{
	raconfig.FailureNameUnknown:    {v1alpha1.ReasonNameNotResolved, "the name does not resolve in the cluster", "make a DNS record that leads to the ingress, or correct exposure.hosts; set probes.mode to Disabled if only devices can resolve it"},
	raconfig.FailureResolver:       {v1alpha1.ReasonNameNotResolved, "no resolver answers for the name", "see the cluster's DNS and the name servers of the domain"},
	raconfig.FailureAddress:        {v1alpha1.ReasonNameNotResolved, "the name leads to an address that no device can reach", "correct its DNS record"},
	raconfig.FailureRefused:        {v1alpha1.ReasonHopUnreachable, "nothing listens there, but the servers answer", "start what publishes the endpoint: the ingress controller, Gateway, connector or load balancer at this address"},
	raconfig.FailureUnreachable:    {v1alpha1.ReasonHopUnreachable, "there is no way to its address, but the servers answer", "see routes, firewalls and NetworkPolicies between the cluster and this address"},
	raconfig.FailureTimeout:        {v1alpha1.ReasonHopUnreachable, "no answer in time, but the servers answer", "see what publishes the endpoint at this address and where that leads in turn, and firewalls and NetworkPolicies on the way"},
	raconfig.FailureReset:          {v1alpha1.ReasonHopUnreachable, "the connection is cut, but the servers answer", "see the log of what publishes the endpoint at this address, and firewalls on the way"},
	raconfig.FailureClosed:         {v1alpha1.ReasonHopUnreachable, "the connection ends before the answer does, but the servers answer", "see the log of what publishes the endpoint at this address"},
	raconfig.FailureTLS:            {v1alpha1.ReasonTLSInvalid, "the TLS handshake fails", "see that TLS ends there, by version 1.2 or later, and that the certificate of this host is loaded"},
	raconfig.FailureTLSName:        {v1alpha1.ReasonTLSInvalid, "the TLS certificate is for another name", "see that the name leads to this endpoint's ingress and that it has loaded the certificate of this host"},
	raconfig.FailureTLSExpired:     {v1alpha1.ReasonTLSInvalid, "the TLS certificate has expired", "renew it, and see that what ends TLS has loaded the new one"},
	raconfig.FailureTLSNotYetValid: {v1alpha1.ReasonTLSInvalid, "the TLS certificate is not yet valid", "compare the clocks of the nodes and of its issuer"},
	raconfig.FailureNotHTTP:        {v1alpha1.ReasonHopFailed, "what answers there does not speak HTTP", "see that this host and port lead to the ingress"},
	raconfig.FailureStatus:         {v1alpha1.ReasonHopFailed, "something in front of the servers answers in their place", "see its log, and that it routes the whole host to this endpoint"},
	raconfig.FailureForeign:        {v1alpha1.ReasonHopFailed, "something else answers, not the servers of this endpoint", "see that the host belongs to this endpoint alone, and that its name leads to this cluster's ingress"},
	raconfig.FailureAltered:        {v1alpha1.ReasonAltered, "something in front of the servers changes their answers", "turn off caching and rewriting of content for this host"},
	raconfig.FailureRedirect:       {v1alpha1.ReasonRedirected, "something in front of the servers redirects, and SCEP clients do not follow", "turn the redirect off for this host: plain HTTP and HTTPS have to be served side by side"},
}

func judgeFailure(f *raconfig.ProbeFailure) verdict {
	v := judgements[f.Kind]
	if gateway, is := gatewayStatuses[f.Status]; is && f.Kind == raconfig.FailureStatus {
		v = gateway
	}
	if said := whatCame(f); said != "" {
		v.cause += ", " + said
	}
	return v.lookedFor(f)
}

// judgeShape says what is wrong with requests of other shapes; long URLs have a
// condition of their own.
func judgeShape(s *raconfig.ProbeShape) verdict {
	switch {
	case s.Post != nil && s.Post.Kind == raconfig.FailureAltered:
		return verdict{v1alpha1.ReasonAltered, "what is sent by POST arrives changed", "turn off what rewrites requests for this host"}
	case s.Post != nil:
		return verdict{v1alpha1.ReasonPOSTRefused, "messages of 16 KiB do not pass by POST, " + whatCame(s.Post), "allow POST, and bodies of 64 KiB, for this host and every path"}.lookedFor(s.Post)
	case s.Path != nil && s.Path.Kind == raconfig.FailureRedirect:
		return verdict{v1alpha1.ReasonRedirected, "a customary path is redirected, and SCEP clients do not follow, " + whatCame(s.Path), "turn off redirects of trailing slashes for this host"}.lookedFor(s.Path)
	case s.Path != nil:
		return verdict{v1alpha1.ReasonHopFailed, "a customary path does not lead to the servers as it is, " + whatCame(s.Path), "route the whole host to this endpoint, without rewriting paths"}.lookedFor(s.Path)
	case s.PostPath != nil:
		return verdict{v1alpha1.ReasonPOSTRefused, "by a customary path GET leads to the servers and POST does not, as with a folder, " + whatCame(s.PostPath), "allow POST for this host and every path, and route the whole host to this endpoint"}.lookedFor(s.PostPath)
	case s.Query != nil:
		return verdict{v1alpha1.ReasonAltered, "URLs do not arrive as they are sent, " + whatCame(s.Query), "turn off rewriting and normalising of queries for this host: messages sent by GET break"}
	}
	return verdict{}
}

// whatCame says what came, in words.
func whatCame(f *raconfig.ProbeFailure) string {
	var parts []string
	if f.Status != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", f.Status))
	}
	if f.Server != "" {
		parts = append(parts, "Server: "+f.Server)
	}
	if one, known := route.SoftwareByID(f.Software); known && f.Server == "" {
		parts = append(parts, "a page of "+one.Name)
	}
	if f.Detail != "" {
		parts = append(parts, f.Detail)
	}
	if len(parts) == 0 {
		return silences[f.Kind]
	}
	return strings.Join(parts, ", ")
}

// silences say what came where nothing did.
var silences = map[raconfig.FailureKind]string{
	raconfig.FailureTimeout: "no answer in time",
	raconfig.FailureReset:   "the connection is cut",
	raconfig.FailureClosed:  "the connection is closed",
	raconfig.FailureRefused: "nothing listens",
}

// probeWarnings tell what only some devices miss.
func probeWarnings(r raconfig.ProbeResult) []string {
	var out []string
	if r.Failure == nil && !r.Proved {
		out = append(out, "header fields of requests or answers are dropped on the way: whether long URLs and plus signs arrive whole is not known")
	}
	if r.TLS != nil && !r.TLS.Chain {
		out = append(out, "the TLS certificates shown are no chain: devices that do not know the intermediate CA will not trust them")
	}
	if r.Shape != nil && r.Shape.HTTP10 != nil {
		out = append(out, "HTTP/1.0 does not pass ("+cmp.Or(whatCame(r.Shape.HTTP10), string(r.Shape.HTTP10.Kind))+"): some routers speak nothing else")
	}
	return out
}

// largestSize is the goal.
var largestSize = raconfig.ProbeSizes[len(raconfig.ProbeSizes)-1]

// triedURLs is the verdict on long URLs where they have been tried.
func triedURLs(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	const long = v1alpha1.ConditionLongURLs
	if awaitsReport(ep, seen) {
		if before := conditions.Find(ep.Status.Conditions, long); before != nil && ep.Status.Probes != nil && len(ep.Status.Probes.URLs) > 0 {
			return *before, true
		}
		return metav1.Condition{}, false
	}
	report := proberReport(ep, seen)
	if report == nil {
		return metav1.Condition{}, false
	}
	one, all := narrowest(report)
	switch {
	case one == nil:
		return metav1.Condition{}, false
	case one.Shape.MaxTargetBytes < largestSize && ep.Spec.Exposure.Service != nil && slices.ContainsFunc(report.URLs, takesAll):
		return conditions.True(long, v1alpha1.ReasonBypassed, fmt.Sprintf(
			"%s; devices that send long requests by GET have Service %s as a way past it", describeCut(report.Server, *one), render.ExposureServiceName(ep.Name))), true
	case one.Shape.MaxTargetBytes < largestSize:
		return conditions.False(long, v1alpha1.ReasonURLsCut, describeCut(report.Server, *one)+advice(ep, seen, one.Shape.Target)), true
	case !all:
		return metav1.Condition{}, false
	}
	return conditions.True(long, v1alpha1.ReasonSucceeded, fmt.Sprintf(
		"URLs of %d bytes pass, as tried from within the cluster; a load balancer outside of it may still cut them: status.probes.longestReceivedBytes is what devices got through", largestSize)), true
}

func takesAll(r raconfig.ProbeResult) bool {
	return r.Shape != nil && r.Shape.MaxTargetBytes == largestSize
}

func describeCut(server, r raconfig.ProbeResult) string {
	if server.Shape != nil && server.Shape.MaxTargetBytes <= r.Shape.MaxTargetBytes {
		return fmt.Sprintf("the servers themselves take URLs of %d bytes only; %s", server.Shape.MaxTargetBytes, serversRemedy)
	}
	f := r.Shape.Target
	why := string(f.Kind)
	if said := whatCame(f); said != "" {
		why = said
	}
	if r.Shape.MaxTargetBytes == 0 {
		return fmt.Sprintf("%s: a URL of %d bytes does not pass (%s), but the servers take it", r.URL, f.Bytes, why)
	}
	return fmt.Sprintf("%s: a URL of %d bytes passes and one of %d does not (%s), but the servers take it", r.URL, r.Shape.MaxTargetBytes, f.Bytes, why)
}
