package scependpoint

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// probing adds to a configuration what the prober is to try.
func probing(c *raconfig.Config, ep *v1alpha1.ScepEndpoint, seen *observation) *raconfig.Config {
	c.Probes = render.Probes(ep, waysIn(ep, seen))
	return c
}

// chosenProber is what servers are told of who probes; no name: nobody does.
type chosenProber struct {
	name       string
	noCanaries bool   // whatever the configuration says, which is not written while suspended
	anew       string // a word of whoever wants everything to be tried now
}

// nameProber notes in all replicas which of them probes: the ready one whose name
// hashes lowest with the endpoint. That is the same one at each look, for as long as
// it is ready, and another for each endpoint.
func nameProber(ep *v1alpha1.ScepEndpoint, replicas []replica) {
	prober, lowest := "", ""
	for _, r := range replicas {
		if hash := hashOf(string(ep.UID), r.name); r.ready && !r.leaving && (prober == "" || hash < lowest) {
			prober, lowest = r.name, hash
		}
	}
	anew := ""
	if asked := ep.Annotations[v1alpha1.AnnotationReconcile]; asked != "" {
		anew = hashOf(asked)
	}
	for i := range replicas {
		replicas[i].prober = chosenProber{name: prober, noCanaries: ep.Spec.Suspend, anew: anew}
	}
}

// proberOf is the replica that probes; nil if there is none.
func proberOf(replicas []replica) *replica {
	for i := range replicas {
		if replicas[i].name == replicas[i].prober.name {
			return &replicas[i]
		}
	}
	return nil
}

// proberReport is what the prober found for URLs that are wanted still; nil while there is nothing.
func proberReport(ep *v1alpha1.ScepEndpoint, seen *observation) *raconfig.ProbeReport {
	wanted := render.Probes(ep, waysIn(ep, seen))
	if seen.replicas.value == nil || wanted == nil {
		return nil
	}
	one := proberOf(*seen.replicas.value)
	if one == nil || one.status == nil || one.status.Probes == nil {
		return nil
	}
	out := *one.status.Probes
	out.URLs = slices.DeleteFunc(slices.Clone(out.URLs), func(r raconfig.ProbeResult) bool { return !slices.Contains(wanted.URLs, r.URL) })
	if out.Admin != nil && out.Admin.URL != wanted.Admin {
		out.Admin = nil
	}
	if len(out.URLs) == 0 && out.Admin == nil {
		return nil
	}
	return &out
}

// awaitsReport is true where results are wanted and there are none at the moment, as
// after a change of the prober: what was said before then stays said.
func awaitsReport(ep *v1alpha1.ScepEndpoint, seen *observation) bool {
	return render.Probes(ep, waysIn(ep, seen)) != nil && proberReport(ep, seen) == nil
}

// probesStatus is nil before the first results.
func probesStatus(ep *v1alpha1.ScepEndpoint, seen *observation) *v1alpha1.EndpointProbes {
	longest := longestReceived(ep, seen)
	if awaitsReport(ep, seen) && ep.Status.Probes != nil {
		kept, wanted := ep.Status.Probes.DeepCopy(), waysIn(ep, seen)
		kept.URLs = slices.DeleteFunc(kept.URLs, func(u v1alpha1.ProbedURL) bool { return !slices.Contains(wanted, u.URL) })
		kept.LongestReceivedBytes, kept.Canary = longest, keptCanary(ep, seen)
		kept.Admin = keptAdmin(ep)
		kept.Dependencies = dependenciesStatus(ep, seen)
		return kept
	}
	report := proberReport(ep, seen)
	services := dependenciesStatus(ep, seen)
	if report == nil {
		return onlyDependencies(services)
	}
	out := &v1alpha1.EndpointProbes{Vantage: report.Vantage, LongestReceivedBytes: longest, Dependencies: services}
	out.Canary = canaryStatus(ep, seen, report)
	for _, r := range report.URLs {
		out.URLs = append(out.URLs, probedURL(ep, report, r))
	}
	out.Admin = probedAdmin(ep, report.Admin)
	if size, _ := narrowest(report); size != nil {
		out.MaxURLBytes = int32(size.Shape.MaxTargetBytes) //nolint:gosec // one of ProbeSizes
	}
	return out
}

// onlyDependencies is what there is to say without URLs; nil if nothing.
func onlyDependencies(services []v1alpha1.ProbedService) *v1alpha1.EndpointProbes {
	if len(services) == 0 {
		return nil
	}
	return &v1alpha1.EndpointProbes{Vantage: v1alpha1.VantageCluster, Dependencies: services}
}

func probedURL(ep *v1alpha1.ScepEndpoint, report *raconfig.ProbeReport, r raconfig.ProbeResult) v1alpha1.ProbedURL {
	out := v1alpha1.ProbedURL{URL: r.URL, Result: v1alpha1.ProbePassed, Warnings: probeWarnings(r), Answer: probedAnswer(ep, r)}
	if v := judgeProbe(report.Server, r); v.reason != "" {
		out.Result, out.Message, out.Addresses = v.reason, messageOf(v), sameAddresses(ep, r, v.reason)
	}
	if r.Shape != nil {
		out.MaxURLBytes = int32(r.Shape.MaxTargetBytes) //nolint:gosec // one of ProbeSizes
	}
	if r.TLS != nil {
		end := metav1.NewTime(r.TLS.NotAfter)
		out.TLSNotAfter = &end
	}
	return out
}

// maxProbeMessage is the API's limit, in bytes.
const maxProbeMessage = 512

// messageOf is ASCII: what comes from elsewhere is so by the prober.
func messageOf(v verdict) string { return v.cause[:min(len(v.cause), maxProbeMessage)] }

// probedAnswer is what a URL answered last. A prober that begins does not know it of a URL that
// does not pass, but the status may.
func probedAnswer(ep *v1alpha1.ScepEndpoint, r raconfig.ProbeResult) *v1alpha1.ProbedAnswer {
	if r.Answer == nil {
		return answeredBefore(ep, r.URL)
	}
	out := &v1alpha1.ProbedAnswer{Capabilities: r.Answer.Capabilities}
	for _, c := range r.Answer.Certificates {
		out.Certificates = append(out.Certificates, v1alpha1.ProbedCertificate{
			Role: c.Role, Subject: c.Subject, SHA256: c.Fingerprint, NotAfter: metav1.NewTime(c.NotAfter),
		})
	}
	return out
}

func answeredBefore(ep *v1alpha1.ScepEndpoint, url string) *v1alpha1.ProbedAnswer {
	if ep.Status.Probes == nil {
		return nil
	}
	for _, before := range ep.Status.Probes.URLs {
		if before.URL == url {
			return before.Answer
		}
	}
	return nil
}

// sameAddresses are those of a URL that does not pass; while the reason stays the
// same they stay too, for some names have others at each look.
func sameAddresses(ep *v1alpha1.ScepEndpoint, r raconfig.ProbeResult, reason string) []string {
	if ep.Status.Probes != nil {
		known := ep.Status.Probes.URLs
		if admin := ep.Status.Probes.Admin; admin != nil {
			known = append(slices.Clone(known), *admin)
		}
		for _, before := range known {
			if before.URL == r.URL && before.Result == reason && len(before.Addresses) > 0 {
				return before.Addresses
			}
		}
	}
	return r.Addresses
}

// longestReceived is the longest URL that a device has sent, rounded down to a size
// that is probed. Servers forget it when they end; this does not.
func longestReceived(ep *v1alpha1.ScepEndpoint, seen *observation) int32 {
	longest := 0
	if ep.Status.Probes != nil {
		longest = int(ep.Status.Probes.LongestReceivedBytes)
	}
	if seen.replicas.value == nil {
		return int32(longest) //nolint:gosec // was one
	}
	for _, r := range *seen.replicas.value {
		if r.status == nil {
			continue
		}
		for _, size := range raconfig.ProbeSizes {
			if size <= r.status.LongestTargetBytes {
				longest = max(longest, size)
			}
		}
	}
	return int32(longest) //nolint:gosec // one of ProbeSizes
}

// narrowest is the URL that lets the shortest targets through, of those that were
// tried, and whether all were.
func narrowest(report *raconfig.ProbeReport) (one *raconfig.ProbeResult, all bool) {
	all = true
	for i := range report.URLs {
		r := &report.URLs[i]
		if r.Shape == nil {
			all = false
			continue
		}
		if one == nil || r.Shape.MaxTargetBytes < one.Shape.MaxTargetBytes {
			one = r
		}
	}
	return one, all
}
