package scependpoint

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
)

// When to look again at what no watch tells of. Everything else wakes the
// controller by itself.
const (
	// restInterval is for Secrets of the user's own (challenges, TLS). They are
	// read by name and not watched, because a watch would need the right to
	// list every Secret. The kubelet brings a changed password to the servers
	// by itself within about a minute, so nothing waits for this look.
	restInterval = 5 * time.Minute
	// caInterval is for CA certificates, in Secrets and ConfigMaps alike: devices are to
	// learn of a new one soon.
	caInterval = 30 * time.Second
	// missingInterval is for such a Secret that is not there yet or that a service does not
	// accept, for a name that is taken, and for a cluster without Gateway API.
	missingInterval = 15 * time.Second
	// pruneInterval is for the next batch of old CertificateRequests.
	pruneInterval = 5 * time.Second
	// settleMin and settleMax bound the looks at servers that are about to load something.
	settleMin = 2 * time.Second
	settleMax = 30 * time.Second
	// funnelMin bounds the looks at the traffic of an endpoint that learns for a short time only.
	funnelMin = 10 * time.Second
)

// soonest is what is left of a wait that is shortened: it must not become no wait at all.
const soonest = 100 * time.Millisecond

// paced is the time to wait in place of the usual one.
func (r *Reconciler) paced(usual time.Duration) time.Duration {
	return max(usual/r.pace, min(usual, soonest))
}

// wake is the time until the earliest thing to look at.
func wake(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan, d *done, next *v1alpha1.ScepEndpointStatus, now time.Time) time.Duration {
	after := restInterval
	_, withoutGateway := gatewayProblem(ep, seen)
	_, withoutAdmin := adminProblem(ep, seen)
	if withoutGateway || withoutAdmin || secretsMissing(seen) || namesTaken(d) || seen.ca.problem() != "" {
		after = min(after, missingInterval)
	}
	if servicesRefuse(next) {
		after = min(after, missingInterval)
	}
	if seen.ca.looksAtCA() || hasBundles(ep, seen) {
		after = min(after, caInterval)
	}
	if len(p.expired) >= maxPrunedAtOnce || len(p.claims) == maxPrunedAtOnce {
		after = min(after, pruneInterval)
	}
	after = min(after, untilFunnel(ep))
	after = min(after, untilPeers(ep, seen, d, now), untilSignersLoaded(seen, p, next, now))
	if p.rollover.Next != "" {
		after = min(after, settle(p.rollover.Since, now))
	}
	if until := ep.Spec.Logging.Until; until != nil && until.After(now) {
		after = min(after, until.Sub(now))
	}
	if at := p.rollover.Wake; at.After(now) {
		after = min(after, at.Sub(now))
	}
	after = min(after, untilRemedy(p, now), untilUncollected(ep, seen, now), untilTrial(ep, seen, p.trials, now), untilCanary(ep, seen, now))
	after = min(after, untilLoaded(seen, p, next, now), untilOverdue(ep, seen.requests, now), untilClients(seen, p.clients, now), untilKeys(p, d, now))
	return after
}

// untilFunnel is the time until the next look at the traffic: whoever learns for minutes
// wants to be told within minutes.
func untilFunnel(ep *v1alpha1.ScepEndpoint) time.Duration {
	if ep.Spec.Funnel.Mode == v1alpha1.FunnelDisabled {
		return restInterval
	}
	return min(max(learning(ep)/6, funnelMin), restInterval)
}

// settle looks often at first and ever less often: a tenth of the time waited so far.
func settle(since, now time.Time) time.Duration {
	return min(max(now.Sub(since)/10, settleMin), settleMax)
}

// untilLoaded is the time until the next look at ready servers that do not report
// the configuration they should have. While too few do, it grows with the time
// that this has lasted. Where enough do, a straggler is looked at often only for
// as long as it is being nudged.
func untilLoaded(seen *observation, p *plan, next *v1alpha1.ScepEndpointStatus, now time.Time) time.Duration {
	return untilCurrent(seen.replicas, p, next, now, func(r replica) bool { return r.status.ConfigHash == p.configHash })
}

// untilSignersLoaded likewise, of the signers: they have more than the configuration to see.
func untilSignersLoaded(seen *observation, p *plan, next *v1alpha1.ScepEndpointStatus, now time.Time) time.Duration {
	return untilCurrent(seen.signers.replicas, p, next, now, func(r replica) bool { return !seen.signers.isBehind(r, p) })
}

func untilCurrent(seen read[[]replica], p *plan, next *v1alpha1.ScepEndpointStatus, now time.Time, current func(replica) bool) time.Duration {
	after := restInterval
	if p.config == nil || seen.value == nil {
		return after
	}
	available := conditions.Find(next.Conditions, v1alpha1.ConditionServersAvailable)
	for _, r := range *seen.value {
		switch {
		case !r.ready || r.status != nil && current(r):
		case available != nil && available.Status != metav1.ConditionTrue:
			after = min(after, settle(available.LastTransitionTime.Time, now))
		case r.status == nil || nudgedEnough(r.nudge):
			after = min(after, settleMax)
		default:
			after = min(after, settleMin)
		}
	}
	return after
}

func secretsMissing(seen *observation) bool {
	for _, c := range seen.challenges {
		if !c.complete() {
			return true
		}
	}
	for _, s := range seen.exposure.secrets {
		if !s.found || !s.hasKeys {
			return true
		}
	}
	return false
}

// servicesRefuse says whether a service does not accept what the servers prove themselves
// with: another Secret is to come to them soon.
func servicesRefuse(next *v1alpha1.ScepEndpointStatus) bool {
	c := conditions.Find(next.Conditions, v1alpha1.ConditionEnrolling)
	return c != nil && slices.Contains([]string{
		v1alpha1.ReasonServiceUnauthenticated, v1alpha1.ReasonAuthenticationDiffers, v1alpha1.ReasonServiceForbidden, v1alpha1.ReasonClientRefused,
	}, c.Reason)
}

// namesTaken says whether a child is not as wanted because of somebody else.
// hasBundles says whether the endpoint names bundles of CA certificates of the user's own.
func hasBundles(ep *v1alpha1.ScepEndpoint, seen *observation) bool {
	isBundle := func(s sourceFact) bool { return s.ConfigMap != "" }
	admin := ep.Spec.Exposure.Admin
	return admin != nil && admin.ClientCertificates != nil ||
		slices.ContainsFunc(seen.challenges, func(c challengeFact) bool { return slices.ContainsFunc(c.sources, isBundle) }) ||
		slices.ContainsFunc(seen.recording, func(f recordingFact) bool { return slices.ContainsFunc(f.sources, isBundle) })
}

func namesTaken(d *done) bool {
	for _, o := range d.outcomes {
		if o.Action == apply.Failed || o.Action == apply.Contested {
			return true
		}
	}
	return false
}
