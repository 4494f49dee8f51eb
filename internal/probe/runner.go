package probe

import (
	"cmp"
	"context"
	"crypto/rsa"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const (
	// retryAfter is between a first failure and the second look that makes it count, and
	// between the looks that follow while there are not more than maxHasty.
	retryAfter = 5 * time.Second
	maxHasty   = 12
	// idleInterval is between looks whether there is something to do.
	idleInterval = 30 * time.Second
	// unfitInterval is between the first trials of shapes that do not all pass, and doubles up
	// to maxUnfitInterval: somebody may be raising a limit.
	unfitInterval    = 15 * time.Second
	maxUnfitInterval = 5 * time.Minute
	// jitter is the part by which every interval differs at random.
	jitter = 0.1
	// maxAtOnce bounds how many URLs are tried side by side.
	maxAtOnce = 4
)

// Order is what a Runner is to try, and the endpoint's keys; nil: nothing.
type Order = func() (*raconfig.Probes, probemark.Keys)

// Runner tries an endpoint's URLs, and what its servers depend on, again and again, for
// as long as it is the chosen one of the endpoint's servers. First it asks its own server, then the URLs, so that
// a fault is laid at the right door. It is safe for concurrent use.
type Runner struct {
	prober Prober
	own    Target
	woken  chan struct{}

	wokenNeeds chan struct{}

	mu     sync.Mutex
	chosen bool
	silent bool   // without canaries
	asked  string // the word with which everything was to be tried anew last
	anew   bool   // that is yet to be done
	report *raconfig.ProbeReport

	dependencies []raconfig.ProbedDependency
}

// NewRunner makes one for the server at an address of this host ("127.0.0.1:8080").
// The prober's keys are those of the order.
func NewRunner(own string, p Prober) (*Runner, error) {
	target, err := OwnTarget(own)
	if err != nil {
		return nil, err
	}
	return &Runner{prober: p, own: target, woken: make(chan struct{}, 1), wokenNeeds: make(chan struct{}, 1)}, nil
}

// Choose says whether this server is the one that probes, and whether it may send canaries.
// When anew changes, everything is tried now, what is rarely tried included.
func (r *Runner) Choose(chosen, canaries bool, anew string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = !canaries
	same := r.asked == anew
	r.asked = anew
	switch {
	case r.chosen != chosen:
		r.chosen, r.report, r.dependencies = chosen, nil, nil
	case chosen && !same:
		r.anew = true
	default:
		return
	}
	for _, woken := range []chan struct{}{r.woken, r.wokenNeeds} {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
}

// Report is what was found last; nil before, and in servers that are not chosen. It is
// not to be changed.
func (r *Runner) Report() *raconfig.ProbeReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report
}

// publish keeps a report, unless another server was chosen meanwhile.
func (r *Runner) publish(report *raconfig.ProbeReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chosen {
		r.report = report
	}
}

// isAnew says, once, whether everything is to be tried.
func (r *Runner) isAnew() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	anew := r.anew
	r.anew = false
	return anew
}

func (r *Runner) isChosen() (chosen, canaries bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chosen, !r.silent
}

// Run works until the context ends.
func (r *Runner) Run(ctx context.Context, order Order) {
	seen := &memory{}
	for {
		timer := time.NewTimer(spread(r.look(ctx, order, seen)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-r.woken:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// look makes one round, and says when the next is due.
func (r *Runner) look(ctx context.Context, order Order, seen *memory) time.Duration {
	wanted, keys := order()
	chosen, canaries := r.isChosen()
	if !chosen || wanted == nil || len(wanted.URLs) == 0 && wanted.Admin == "" {
		*seen = memory{}
		r.publish(nil)
		return idleInterval
	}
	prober := r.prober
	prober.Key = keys.Probe
	if canaries {
		prober.CanaryKey, prober.FullKey = keys.Canary, keys.Full
	}
	if r.isAnew() {
		seen.forgetTimes()
	}
	report := seen.round(ctx, &prober, r.own, wanted)
	if ctx.Err() == nil {
		r.publish(report)
	}
	if seen.hasty() {
		return retryAfter
	}
	return time.Duration(wanted.IntervalSeconds) * time.Second
}

// memory is what is known from rounds before.
type memory struct {
	own   remembered
	urls  map[string]*remembered
	admin remembered
	asked string          // the URL that admin is of
	key   *rsa.PrivateKey // of canaries; nil before the first
	full  fullState
}

// forgetTimes has the next round try what is rarely tried.
func (m *memory) forgetTimes() {
	m.own.shapeDue, m.own.canary.due, m.full.due = time.Time{}, time.Time{}, time.Time{}
	for _, one := range m.urls {
		one.shapeDue, one.canary.due = time.Time{}, time.Time{}
	}
}

// remembered is what is known of one URL.
type remembered struct {
	canary   canaryState
	result   raconfig.ProbeResult // no URL: there is none yet
	known    Known
	failures int // one after another
	shapeDue time.Time
	unfit    int // trials of shapes that did not all pass, one after another
}

// round asks the own server and then all URLs.
func (m *memory) round(ctx context.Context, p *Prober, own Target, wanted *raconfig.Probes) *raconfig.ProbeReport {
	every := time.Duration(wanted.URLIntervalSeconds) * time.Second
	sender := m.sender(p, wanted)
	m.own.look(ctx, p, own, Known{}, every)
	m.own.sendCanary(ctx, p, own, sender)
	m.keep(wanted.URLs)
	slots := make(chan struct{}, maxAtOnce)
	var wait sync.WaitGroup
	for _, url := range wanted.URLs {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			m.urls[url].lookAt(ctx, p, url, m.own.known, every, sender)
		})
	}
	wait.Wait()
	m.issue(ctx, p, own, sender)
	m.lookAdmin(ctx, p, wanted.Admin)
	report := &raconfig.ProbeReport{Vantage: v1alpha1.VantageCluster, Server: m.own.result, Issued: m.full.result}
	if result := m.admin.result; result.URL != "" {
		report.Admin = &result
	}
	for _, url := range wanted.URLs {
		if result := m.urls[url].result; result.URL != "" {
			report.URLs = append(report.URLs, result)
		}
	}
	return report
}

// keep forgets URLs that are not wanted any more.
func (m *memory) keep(urls []string) {
	kept := map[string]*remembered{}
	for _, url := range urls {
		if kept[url] = m.urls[url]; kept[url] == nil {
			kept[url] = &remembered{}
		}
	}
	m.urls = kept
}

// hasty is true while something has begun to fail.
func (m *memory) hasty() bool {
	for _, one := range m.urls {
		if one.hasty() || one.canary.hasty() {
			return true
		}
	}
	return m.own.hasty() || m.own.canary.hasty() || m.admin.hasty() || m.full.hasty() || m.full.key != nil && m.full.failures == 0
}

func (o *remembered) hasty() bool {
	return o.failures > 0 && o.failures <= maxHasty || o.unfit == 1
}

func (o *remembered) lookAt(ctx context.Context, p *Prober, url string, known Known, every time.Duration, sender *canarySender) {
	target, err := NewTarget(url)
	if err != nil {
		o.result = raconfig.ProbeResult{
			URL: url, At: p.now().UTC(), Failure: &raconfig.ProbeFailure{Kind: raconfig.FailureNameUnknown, Detail: bounded(err.Error())},
		}
		return
	}
	o.look(ctx, p, target, known, every)
	o.sendCanary(ctx, p, target, sender)
}

// look makes the exchange, and the rarer trials when they are due. A failure counts
// when it is seen twice.
func (o *remembered) look(ctx context.Context, p *Prober, t Target, known Known, every time.Duration) {
	result, got := p.Exchange(ctx, t, known)
	if result.Failure != nil {
		if o.failures++; o.failures > 1 {
			result.Shape, result.Canary = o.result.Shape, o.result.Canary
			result.Answer = cmp.Or(result.Answer, o.result.Answer)
			o.result = result
		}
		return
	}
	result.Shape, result.Canary = o.result.Shape, o.result.Canary
	recovered := o.failures > 1
	o.result, o.known, o.failures = result, got, 0
	if recovered {
		o.canary.due = time.Time{}
	}
	if recovered || !p.now().Before(o.shapeDue) {
		o.tryShape(ctx, p, t, every)
	}
}

// tryShape makes the rarer trials of a URL whose exchange passed. What does not pass counts
// when it is seen twice: a server may have been replaced meanwhile.
func (o *remembered) tryShape(ctx context.Context, p *Prober, t Target, every time.Duration) {
	shape := p.Shape(ctx, t, o.known)
	if o.unfit++; fits(shape) {
		o.unfit = 0
	}
	if o.unfit != 1 {
		o.result.Shape = shape
	}
	o.shapeDue = p.now().Add(spread(untilShape(o.unfit, every)))
}

func fits(s *raconfig.ProbeShape) bool {
	return s.Target == nil && s.Query == nil && s.Path == nil && s.Post == nil && s.PostPath == nil
}

// untilShape is the time until the rarer trials are due again, after so many that did not
// all pass.
func untilShape(unfit int, every time.Duration) time.Duration {
	switch unfit {
	case 0:
		return every
	case 1:
		return 0 // with the next look, which comes soon
	}
	return min(every, maxUnfitInterval, unfitInterval<<min(unfit-2, 8))
}

// spread makes an interval differ a little, so that endpoints do not probe in step.
func spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + jitter*(2*rand.Float64()-1))) //nolint:gosec // no secret
}
