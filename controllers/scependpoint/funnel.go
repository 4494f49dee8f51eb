package scependpoint

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/baseline"
	"github.com/scepter-pki/scepter/internal/render"
)

// keepInterval is how often, at most, what was learned of an endpoint's traffic is
// written down, and only if something came since: an operator that starts anew then
// lacks a day of it at most.
const keepInterval = 24 * time.Hour

// funnelFact is what is unusual of an endpoint's traffic.
type funnelFact struct {
	known  bool // it could be judged
	breaks []baseline.Break
	// keep is what was learned, to be written down; nil while it is not time.
	keep []byte
	err  error
}

// funnelMemory holds what is known of each endpoint's traffic, for as long as the
// operator runs. Endpoints are reconciled side by side, each by one at a time.
type funnelMemory struct {
	mu sync.Mutex
	of map[types.NamespacedName]*habits
}

type habits struct {
	uid    types.UID
	memory *baseline.Memory
	kept   time.Time // when it was written down last
}

func (f *funnelMemory) get(ep *v1alpha1.ScepEndpoint) *habits {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.of[client.ObjectKeyFromObject(ep)]; one != nil && one.uid == ep.UID {
		return one
	}
	return nil
}

func (f *funnelMemory) put(ep *v1alpha1.ScepEndpoint, one *habits) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[types.NamespacedName]*habits{}
	}
	f.of[client.ObjectKeyFromObject(ep)] = one
}

func (f *funnelMemory) forget(endpoint types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.of, endpoint)
}

// observeFunnel takes a look at what the servers have counted, and judges it.
func (r *Reconciler) observeFunnel(ctx context.Context, ep *v1alpha1.ScepEndpoint, servers read[[]replica], leaving []replica) funnelFact {
	if ep.Spec.Funnel.Mode == v1alpha1.FunnelDisabled {
		r.funnels.forget(client.ObjectKeyFromObject(ep))
		return funnelFact{known: true}
	}
	if servers.value == nil {
		return funnelFact{}
	}
	now := r.clock.Now()
	one := r.funnels.get(ep)
	if one == nil {
		var err error
		if one, err = r.recallFunnel(ctx, ep, now); err != nil {
			return funnelFact{err: err}
		}
		r.funnels.put(ep, one)
	}
	counted := map[string]baseline.Server{}
	countServers(counted, *servers.value)
	countServers(counted, leaving)
	one.memory.See(now, counted)
	seen := funnelFact{known: true, breaks: one.memory.Judge(baseline.Settings{Learning: learning(ep)})}
	if one.memory.Changed() && now.Sub(one.kept) >= keepInterval {
		seen.keep, seen.err = one.memory.Encode()
	}
	return seen
}

func learning(ep *v1alpha1.ScepEndpoint) time.Duration {
	if ep.Spec.Funnel.Learning == nil {
		return 7 * 24 * time.Hour
	}
	return ep.Spec.Funnel.Learning.Duration
}

// countServers adds what each server has counted. One that does not answer is there all the same.
func countServers(to map[string]baseline.Server, servers []replica) {
	for _, r := range servers {
		to[r.name] = nil
		if r.status == nil {
			continue
		}
		server := baseline.Server{}
		for _, row := range r.status.Funnel {
			server[row.Family] = baseline.CountsOf(row.Steps)
		}
		to[r.name] = server
	}
}

// recallFunnel starts with what was written down, and with the breaks that stand.
// What cannot be understood is begun anew.
func (r *Reconciler) recallFunnel(ctx context.Context, ep *v1alpha1.ScepEndpoint, now time.Time) (*habits, error) {
	one := &habits{uid: ep.UID, memory: baseline.New(), kept: ep.CreationTimestamp.Time}
	written := get(ctx, r.client, ep.Namespace, render.FunnelName(ep.Name), &corev1.ConfigMap{})
	if written.err != nil {
		return nil, written.err
	}
	if c := written.value; c != nil && metav1.IsControlledBy(c, ep) {
		if memory, err := baseline.Decode([]byte(c.Data[render.FunnelBaselineKey]), now); err == nil {
			one.memory = memory
		}
		if kept, err := time.Parse(time.RFC3339, c.Data[render.FunnelKeptKey]); err == nil && !kept.After(now) {
			one.kept = kept
		}
	}
	if ep.Status.Funnel != nil {
		for _, b := range ep.Status.Funnel.Breaks {
			if hop, ok := baseline.HopOf(string(b.Hop)); ok {
				one.memory.Standing(baseline.Break{Family: b.Family, Hop: hop, Since: b.Since.UTC(), Missed: uint64(max(b.Missed, 0))}, now) //nolint:gosec // not negative
			}
		}
	}
	return one, nil
}

// keepFunnel writes down what was learned.
func (r *Reconciler) keepFunnel(ctx context.Context, ep *v1alpha1.ScepEndpoint, learned []byte) ([]apply.Outcome, error) {
	one := r.funnels.get(ep)
	if learned == nil || one == nil {
		return nil, nil
	}
	now := r.clock.Now()
	outcomes, err := r.applier.Apply(ctx, ep, render.Funnel(ep, learned, now))
	if err != nil {
		return outcomes, err
	}
	one.kept = now
	one.memory.Kept()
	return nil, nil // nobody needs an Event of it
}

// funnelStatus is nil where nothing is unusual. What cannot be judged stays as it was said.
func funnelStatus(ep *v1alpha1.ScepEndpoint, seen *observation) *v1alpha1.EndpointFunnel {
	if !seen.funnel.known {
		return ep.Status.Funnel
	}
	out := v1alpha1.EndpointFunnel{Mistakes: mistakes(seen)}
	for _, b := range seen.funnel.breaks {
		out.Breaks = append(out.Breaks, v1alpha1.FunnelBreak{
			Family: b.Family, Hop: v1alpha1.FunnelHop(b.Hop.String()), Since: metav1.NewTime(b.Since), Missed: int64(b.Missed), //nolint:gosec // a count of requests
		})
	}
	if len(out.Breaks) == 0 && len(out.Mistakes) == 0 {
		return nil
	}
	return &out
}

// minMistakes is how many requests have to come by a path: one may be a person's.
const minMistakes = 3

// mistakes are those that profiles seem to have, by the paths that requests came by: a
// closed set, so that what strangers ask for changes the status a few times at most.
func mistakes(seen *observation) []v1alpha1.PathMistake {
	if seen.replicas.value == nil {
		return nil
	}
	var out []v1alpha1.PathMistake
	for _, m := range mistakeTexts {
		var came uint64
		for _, r := range *seen.replicas.value {
			if r.status != nil {
				came += r.status.Paths[string(m.mistake)]
			}
		}
		if came >= minMistakes {
			out = append(out, m.mistake)
		}
	}
	return out
}

// lastIssued is the hour in which a certificate was issued last, as the servers
// tell: never earlier than it was before, and so written once an hour at most.
func lastIssued(ep *v1alpha1.ScepEndpoint, seen *observation) *metav1.Time {
	var last time.Time
	if before := ep.Status.LastIssuedAt; before != nil {
		last = before.UTC()
	}
	for _, at := range issuedByServers(seen) {
		if hour := at.UTC().Truncate(time.Hour); hour.After(last) {
			last = hour
		}
	}
	if last.IsZero() {
		return nil
	}
	out := metav1.NewTime(last)
	return &out
}

func issuedByServers(seen *observation) []time.Time {
	if seen.replicas.value == nil {
		return nil
	}
	var out []time.Time
	for _, r := range slices.Concat(*seen.replicas.value, seen.leaving) {
		if r.status != nil && r.status.LastIssued != nil {
			out = append(out, *r.status.LastIssued)
		}
	}
	return out
}
