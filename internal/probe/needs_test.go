package probe

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// needRig is what a prober remembers of one service, which a fault can be put before.
type needRig struct {
	t     *testing.T
	one   rememberedNeed
	p     *Prober
	need  *raconfig.Need
	clock time.Time
	away  bool
}

func newNeedRig(t *testing.T) *needRig {
	t.Helper()
	r := &needRig{t: t, clock: time.Now(), need: needOf(t, "http://"+serviceHost, "", nil)}
	r.p = network{service: serve(t, http.NotFoundHandler())}.prober()
	r.p.Now = func() time.Time { return r.clock }
	through := r.p.Dial
	r.p.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if r.away {
			return nil, context.DeadlineExceeded
		}
		return through(ctx, network, address)
	}
	return r
}

// look returns whether a failure counts, and how long it is to the next look.
func (r *needRig) look() (bool, time.Duration) {
	r.t.Helper()
	r.one.look(r.t.Context(), r.p, r.need, 30*time.Second)
	return r.one.result.Failure != nil, r.one.due.Sub(r.clock)
}

func TestServiceFailsTheSecondTime(t *testing.T) {
	r := newNeedRig(t)
	if failed, wait := r.look(); failed || wait < 27*time.Second || wait > 33*time.Second {
		t.Errorf("healthy: %v, next in %v", failed, wait)
	}
	since := r.one.result.Since
	r.away, r.clock = true, r.clock.Add(time.Minute)
	if failed, wait := r.look(); failed || wait > 3*time.Second {
		t.Errorf("after one failure: %v, next in %v", failed, wait)
	}
	if failed, wait := r.look(); !failed || wait > 6*time.Second {
		t.Errorf("after two failures: %v, next in %v", failed, wait)
	}
	began := r.one.result.Since
	if began.Equal(since) || began.Nanosecond() != 0 {
		t.Errorf("since %v", began)
	}
	r.clock = r.clock.Add(time.Minute)
	for range maxHasty {
		r.look()
	}
	if _, wait := r.look(); wait < 27*time.Second || !r.one.result.Since.Equal(began) {
		t.Errorf("what stays away is asked again in %v, since %v", wait, r.one.result.Since)
	}
	r.away = false
	if failed, _ := r.look(); failed {
		t.Error("a success does not count at once")
	}
}

func TestRunnerTriesNeedsWhileChosen(t *testing.T) {
	var fault faults.Switch
	p := network{service: serve(t, fault.Wrap(http.NotFoundHandler())), proxy: "127.0.0.1:1"}.prober()
	runner, err := NewRunner("127.0.0.1:1", *p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	wanted := []raconfig.Need{*needOf(t, "http://"+serviceHost, "", nil), *needOf(t, "http://"+proxyHost, "", nil)}
	go func() {
		defer close(done)
		runner.RunNeeds(ctx, func() ([]raconfig.Need, time.Duration) { return wanted, time.Hour })
	}()
	defer func() { cancel(); <-done }()
	if runner.Dependencies() != nil {
		t.Error("a report before it was chosen")
	}
	runner.Choose(true, true, "")
	eventually(t, func() bool { return runner.Dependencies() != nil })
	// The second fails, which counts after a second look: until then there is no report.
	got := runner.Dependencies()
	if len(got) != 2 || got[0].Failure != nil || got[1].Failure == nil || got[1].Failure.Kind != raconfig.FailureRefused {
		t.Errorf("%+v", got)
	}
	runner.Choose(false, true, "")
	if got := runner.Dependencies(); got != nil {
		t.Errorf("%+v after another was chosen", got)
	}
}

func TestNeedsComeAndGo(t *testing.T) {
	seen := needsMemory{}
	first, second := *needOf(t, "http://"+serviceHost, "", nil), *needOf(t, "http://"+serviceHost, "http://"+proxyHost, nil)
	seen.keep([]raconfig.Need{first})
	seen[needKey(&first)].result.Host = serviceHost
	seen.keep([]raconfig.Need{first, second})
	if got := seen.report([]raconfig.Need{first, second}); len(seen) != 2 || len(got) != 1 {
		t.Errorf("%d are remembered, %d reported", len(seen), len(got))
	}
	seen.keep([]raconfig.Need{second})
	if len(seen) != 1 {
		t.Errorf("%d are remembered", len(seen))
	}
}
