package scependpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

const (
	// probeWatchInterval is between two looks at what the probers found, about.
	probeWatchInterval = 15 * time.Second
	// othersEvery is how many looks at the probers there are for one at all servers: these
	// tell only what their own devices suffer from.
	othersEvery = 2
	// maxWaiting is how many endpoints may wait to be reconciled because of them.
	maxWaiting = 1000
)

// probeWatch asks the probers whether they have found something new, and all servers half
// as often whether something fails them or devices come by paths of a mistaken profile, and
// wakes the controller only then: at rest a look costs some small HTTP requests an endpoint
// and nothing of the API server.
type probeWatch struct {
	reader   client.Reader // the cache
	replicas ReplicaStatusReader
	changed  chan event.GenericEvent
	interval time.Duration

	looks int // so far

	mu   sync.Mutex
	seen map[types.UID]map[string]string // what each server told last, by its name
}

func newProbeWatch(reader client.Reader, replicas ReplicaStatusReader, interval time.Duration) *probeWatch {
	return &probeWatch{
		reader: reader, replicas: replicas, interval: interval,
		changed: make(chan event.GenericEvent, maxWaiting), seen: map[types.UID]map[string]string{},
	}
}

// Start implements manager.Runnable: it looks until the context ends.
func (w *probeWatch) Start(ctx context.Context) error {
	wait.JitterUntilWithContext(ctx, w.look, w.interval, 0.1, true)
	return nil
}

// look asks all probers, some at a time.
func (w *probeWatch) look(ctx context.Context) {
	var endpoints v1alpha1.ScepEndpointList
	if err := w.reader.List(ctx, &endpoints); err != nil {
		return // the cache is not ready
	}
	w.forget(endpoints.Items)
	everybody := w.looks%othersEvery == 0
	w.looks++
	var all sync.WaitGroup
	slots := make(chan struct{}, maxStatusReads)
	for i := range endpoints.Items {
		for _, one := range w.toAsk(ctx, &endpoints.Items[i], everybody) {
			all.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				w.lookAt(ctx, &endpoints.Items[i], one)
			})
		}
	}
	all.Wait()
}

func (w *probeWatch) lookAt(ctx context.Context, ep *v1alpha1.ScepEndpoint, one replica) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := w.replicas.ReadStatus(ctx, one.ip, one.prober)
	if err != nil {
		return // its readiness tells, not this
	}
	if w.isNew(ep.UID, one.name, findings(status)+ailments(status)+misled(status.Paths)) {
		select {
		case w.changed <- event.GenericEvent{Object: &v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: ep.Namespace, Name: ep.Name}}}:
		case <-ctx.Done():
		}
	}
}

// toAsk are the server that probes an endpoint, if there is one, or everybody who may answer.
func (w *probeWatch) toAsk(ctx context.Context, ep *v1alpha1.ScepEndpoint, everybody bool) []replica {
	var pods corev1.PodList
	err := w.reader.List(ctx, &pods, client.InNamespace(ep.Namespace), client.MatchingLabels(render.PodSelector(ep.Name)))
	if err != nil {
		return nil
	}
	var replicas []replica
	for i := range pods.Items {
		if !podEnded(&pods.Items[i]) {
			replicas = append(replicas, podFacts(&pods.Items[i]))
		}
	}
	slices.SortFunc(replicas, func(a, b replica) int { return strings.Compare(a.name, b.name) })
	nameProber(ep, replicas)
	w.keep(ep.UID, replicas)
	return slices.DeleteFunc(replicas, func(r replica) bool { return r.ip == "" || !everybody && r.name != r.prober.name })
}

// isNew says whether a server told something else before, and keeps it.
func (w *probeWatch) isNew(uid types.UID, server, found string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[uid] == nil {
		w.seen[uid] = map[string]string{}
	}
	before, known := w.seen[uid][server]
	w.seen[uid][server] = found
	return before != found && (known || found != "")
}

// keep drops servers of an endpoint that are gone.
func (w *probeWatch) keep(uid types.UID, left []replica) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.seen[uid], func(server, _ string) bool {
		return !slices.ContainsFunc(left, func(r replica) bool { return r.name == server })
	})
}

// forget drops endpoints that are gone.
func (w *probeWatch) forget(left []v1alpha1.ScepEndpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for uid := range w.seen {
		if !slices.ContainsFunc(left, func(ep v1alpha1.ScepEndpoint) bool { return ep.UID == uid }) {
			delete(w.seen, uid)
		}
	}
}

// ailments are what fails a server, without what differs with each failure; "" if nothing does.
func ailments(status *raconfig.ReplicaStatus) string {
	var parts []string
	for _, a := range status.Away {
		parts = append(parts, fmt.Sprintf("%s %q %s %d %q %t", a.Dependency, a.Name, a.Reason, a.HTTPStatus, a.Wants, a.Tolerated))
	}
	for _, t := range status.Troubles {
		parts = append(parts, string(t.Kind))
	}
	parts = append(parts, status.MissingRights...)
	if parts == nil {
		return ""
	}
	return hashOf(parts...)
}

// findings are what a prober reports without what differs at each look; "" without any.
func findings(status *raconfig.ReplicaStatus) string {
	if status.Probes == nil && len(status.Dependencies) == 0 {
		return ""
	}
	text, err := json.Marshal(struct {
		Probes       *raconfig.ProbeReport
		Dependencies []raconfig.ProbedDependency
	}{stableReport(status.Probes), stableDependencies(status.Dependencies)})
	if err != nil {
		return ""
	}
	return hashOf(string(text))
}

func stableReport(report *raconfig.ProbeReport) *raconfig.ProbeReport {
	if report == nil {
		return nil
	}
	stable := *report
	stable.Server = stableResult(stable.Server)
	stable.URLs = slices.Clone(stable.URLs)
	for i := range stable.URLs {
		stable.URLs[i] = stableResult(stable.URLs[i])
	}
	if stable.Admin != nil {
		admin := stableResult(*stable.Admin)
		stable.Admin = &admin
	}
	if stable.Issued != nil {
		issued := *stable.Issued
		issued.At, issued.URL = time.Time{}, ""
		stable.Issued = &issued
	}
	return &stable
}

// misled counts the requests that came by paths of mistaken profiles, as far as that
// changes what is said of them; "" where none did.
func misled(paths map[string]uint64) string {
	var out strings.Builder
	for _, m := range mistakeTexts {
		if came := min(paths[string(m.mistake)], minMistakes); came > 0 {
			fmt.Fprintf(&out, " %s %d", m.mistake, came)
		}
	}
	return out.String()
}

// stableResult leaves out times, and what status and conditions leave out.
func stableResult(r raconfig.ProbeResult) raconfig.ProbeResult {
	r.At = time.Time{}
	r.Addresses = nil
	r.ClockSkewSeconds -= r.ClockSkewSeconds % int64(maxClockSkew/time.Second)
	if r.Canary != nil {
		canary := *r.Canary
		canary.At = time.Time{}
		r.Canary = &canary
	}
	if r.Shape != nil {
		shape := *r.Shape
		shape.At = time.Time{}
		r.Shape = &shape
	}
	return r
}
