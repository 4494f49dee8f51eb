package render

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// The intervals of the API, for an endpoint without them.
const (
	defaultProbeInterval    = 30 * time.Second
	defaultProbeURLInterval = time.Hour
	defaultCanaryInterval   = 5 * time.Minute
	defaultIssueInterval    = 6 * time.Hour
)

// Probes says what the prober tries of the URLs that lead to an endpoint; nil if nothing.
func Probes(ep *v1alpha1.ScepEndpoint, urls []string) *raconfig.Probes {
	admin := AdminURL(ep)
	if len(urls) == 0 && admin == "" || ep.Spec.Probes.Mode == v1alpha1.ProbesDisabled {
		return nil
	}
	return &raconfig.Probes{
		URLs:               urls,
		Admin:              admin,
		IntervalSeconds:    seconds(ep.Spec.Probes.Interval, defaultProbeInterval),
		URLIntervalSeconds: seconds(ep.Spec.Probes.URLInterval, defaultProbeURLInterval),
		Canary:             canary(ep),
	}
}

// Needs says how often the prober tries what the servers depend on; nil if it does not.
func Needs(ep *v1alpha1.ScepEndpoint) *raconfig.Needs {
	if ep.Spec.Probes.Mode == v1alpha1.ProbesDisabled {
		return nil
	}
	return &raconfig.Needs{IntervalSeconds: seconds(ep.Spec.Probes.Interval, defaultProbeInterval)}
}

// AdminURL is where management systems and people get challenges; "" where there are none.
func AdminURL(ep *v1alpha1.ScepEndpoint) string {
	isOneTime := func(c v1alpha1.Challenge) bool { return c.Type == v1alpha1.ChallengeOneTime }
	if ep.Spec.Exposure.Admin == nil || !slices.ContainsFunc(ep.Spec.Challenges, isOneTime) {
		return ""
	}
	return "https://" + ep.Spec.Exposure.Admin.Host + raconfig.ChallengePagePath
}

// canary is nil where none is sent: to an endpoint that is suspended nobody looks.
func canary(ep *v1alpha1.ScepEndpoint) *raconfig.Canary {
	wanted := ep.Spec.Probes.Canary
	if wanted.Level == v1alpha1.CanaryDisabled {
		return nil
	}
	out := &raconfig.Canary{
		Level:           cmp.Or(wanted.Level, v1alpha1.CanaryProtocol),
		IntervalSeconds: seconds(wanted.Interval, defaultCanaryInterval),
	}
	if wanted.Level == v1alpha1.CanaryFull {
		out.IssueIntervalSeconds = seconds(wanted.IssueInterval, defaultIssueInterval)
	}
	return out
}

func seconds(d *metav1.Duration, otherwise time.Duration) int64 {
	if d != nil && d.Duration > 0 {
		otherwise = d.Duration
	}
	return int64(otherwise / time.Second)
}
