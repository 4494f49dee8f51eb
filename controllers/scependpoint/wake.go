package scependpoint

import (
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
	// missingInterval is for such a Secret that is not there yet, for a name that is
	// taken, and for a cluster without Gateway API.
	missingInterval = 15 * time.Second
	// pruneInterval is for the next batch of old CertificateRequests.
	pruneInterval = 5 * time.Second
	// settleMin and settleMax bound the looks at servers that are about to load something.
	settleMin = 2 * time.Second
	settleMax = 30 * time.Second
)

// wake is the time until the earliest thing to look at.
func wake(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan, d *done, next *v1alpha1.ScepEndpointStatus, now time.Time) time.Duration {
	after := restInterval
	_, withoutGateway := gatewayProblem(ep, seen)
	_, withoutAdmin := adminProblem(ep, seen)
	if withoutGateway || withoutAdmin || secretsMissing(seen) || namesTaken(d) {
		after = min(after, missingInterval)
	}
	if len(p.expired) == maxPrunedAtOnce {
		after = min(after, pruneInterval)
	}
	if p.rollover.next != "" {
		after = min(after, settle(p.rollover.since, now))
	}
	after = min(after, untilLoaded(seen, p, next, now))
	if end := next.RACredential.NotAfter; end != nil && end.After(now) {
		after = min(after, end.Sub(now))
	}
	return after
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
	after := restInterval
	if p.config == nil || seen.replicas.value == nil {
		return after
	}
	available := conditions.Find(next.Conditions, v1alpha1.ConditionServersAvailable)
	for _, r := range *seen.replicas.value {
		switch {
		case !r.ready || r.status != nil && r.status.ConfigHash == p.configHash:
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

func namesTaken(d *done) bool {
	for _, o := range d.outcomes {
		if o.Action == apply.Failed {
			return true
		}
	}
	return false
}
