package probe

import (
	"context"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

const (
	// retryNeed is between a first failure of a service and the second look that counts.
	retryNeed = 2 * time.Second
	// needsPace bounds the time until a change of what is needed is noticed.
	needsPace = 5 * time.Second
)

// Needs are the services to be tried, and how often each of them is, about; 0: nothing is.
type Needs = func() ([]raconfig.Need, time.Duration)

// RunNeeds tries services, one at a time, until the context ends, for as long as the
// server is the chosen one.
func (r *Runner) RunNeeds(ctx context.Context, needs Needs) {
	seen := needsMemory{}
	for {
		timer := time.NewTimer(r.lookAtNeeds(ctx, needs, seen))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-r.wokenNeeds:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// Dependencies is what was found last; nil before, and in servers that are not chosen.
// It is not to be changed.
func (r *Runner) Dependencies() []raconfig.ProbedDependency {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dependencies
}

// publishDependencies keeps what was found. The first time it has to be all: what fails
// still must not seem to be gone because another server has begun to look.
func (r *Runner) publishDependencies(found []raconfig.ProbedDependency, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chosen && (all || r.dependencies != nil) {
		r.dependencies = found
	}
}

// lookAtNeeds tries what is due, and says how long to wait.
func (r *Runner) lookAtNeeds(ctx context.Context, needs Needs, seen needsMemory) time.Duration {
	wanted, every := needs()
	if chosen, _ := r.isChosen(); !chosen || every <= 0 {
		clear(seen)
		r.publishDependencies(nil, true)
		return needsPace
	}
	wanted = wanted[:min(len(wanted), raconfig.MaxDependencies)]
	seen.keep(wanted)
	for i := range wanted {
		if one := seen[needKey(&wanted[i])]; !r.prober.now().Before(one.due) && ctx.Err() == nil {
			one.look(ctx, &r.prober, &wanted[i], every)
			found := seen.report(wanted)
			r.publishDependencies(found, len(found) == len(wanted))
		}
	}
	return seen.untilDue(r.prober.now())
}

// needsMemory is what is known of services.
type needsMemory map[string]*rememberedNeed

type rememberedNeed struct {
	result   raconfig.ProbedDependency // no host: there is none yet
	failures int                       // one after another
	due      time.Time
}

// needKey tells services apart, and ways to them.
func needKey(n *raconfig.Need) string {
	proxy := ""
	if n.Proxy != nil {
		proxy = n.Proxy.String()
	}
	return strings.Join([]string{string(n.Dependency), n.Name, n.URL.String(), proxy}, "\x00")
}

// keep forgets what is not wanted any more.
func (m needsMemory) keep(wanted []raconfig.Need) {
	kept := map[string]bool{}
	for i := range wanted {
		key := needKey(&wanted[i])
		if kept[key] = true; m[key] == nil {
			m[key] = &rememberedNeed{}
		}
	}
	for key := range m {
		if !kept[key] {
			delete(m, key)
		}
	}
}

func (m needsMemory) report(wanted []raconfig.Need) []raconfig.ProbedDependency {
	var out []raconfig.ProbedDependency
	for i := range wanted {
		if one := m[needKey(&wanted[i])]; one.result.Host != "" {
			out = append(out, one.result)
		}
	}
	return out
}

// untilDue is until the next look, and not longer than a change may go unnoticed.
func (m needsMemory) untilDue(now time.Time) time.Duration {
	wait := needsPace
	for _, one := range m {
		wait = min(wait, one.due.Sub(now))
	}
	return max(wait, 0)
}

// look tries a service. A failure counts when it is seen twice, a success at once.
func (o *rememberedNeed) look(ctx context.Context, p *Prober, n *raconfig.Need, every time.Duration) {
	found := p.Try(ctx, n)
	if ctx.Err() != nil {
		return
	}
	if found.Failure == nil {
		o.failures = 0
	} else {
		o.failures++
	}
	o.due = p.now().Add(spread(o.pause(every)))
	if o.failures != 1 {
		found.Since = o.since(&found, p.now())
		o.result = found
	}
}

// pause is until the next look: short while something has begun to fail.
func (o *rememberedNeed) pause(every time.Duration) time.Duration {
	switch {
	case o.failures == 1:
		return retryNeed
	case o.failures > 0 && o.failures <= maxHasty:
		return min(retryAfter, every)
	}
	return every
}

// since keeps the time of what was so before.
func (o *rememberedNeed) since(now *raconfig.ProbedDependency, at time.Time) time.Time {
	if o.result.Host != "" && sameFailure(o.result.Failure, now.Failure) && o.result.AtProxy == now.AtProxy {
		return o.result.Since
	}
	return at.UTC().Truncate(time.Second)
}

func sameFailure(a, b *raconfig.ProbeFailure) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Kind == b.Kind && a.Status == b.Status
}
