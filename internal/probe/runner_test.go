package probe

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// limit is for what a test waits for.
const limit = time.Minute

// rig is a memory with an own server, a URL, and a fault that can be put before the latter.
type rig struct {
	memory
	t      *testing.T
	prober *Prober
	own    Target
	fault  faults.Switch
	clock  time.Time
	wanted raconfig.Probes
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, clock: time.Now(), wanted: raconfig.Probes{URLs: []string{plain}, IntervalSeconds: 30, URLIntervalSeconds: 600}}
	r.prober = prober(endpointKey, serve(t, r.fault.Wrap(healthy())))
	throughHop := r.prober.Dial
	own := serve(t, healthy())
	direct := prober(nil, own).Dial
	r.prober.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == own {
			return direct(ctx, network, address)
		}
		return throughHop(ctx, network, address)
	}
	r.prober.Now = func() time.Time { return r.clock }
	var err error
	if r.own, err = OwnTarget(own); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) look() *raconfig.ProbeReport {
	r.t.Helper()
	report := r.round(r.t.Context(), r.prober, r.own, &r.wanted)
	if report.Server.Failure != nil || !report.Server.Proved {
		r.t.Errorf("own server: %+v", report.Server)
	}
	return report
}

func TestFailureCountsTheSecondTime(t *testing.T) {
	r := newRig(t)
	if first := r.look().URLs; len(first) != 1 || first[0].Failure != nil || first[0].Shape == nil {
		t.Fatalf("%+v", first)
	}
	r.fault.Break(faults.Status(http.StatusBadGateway))
	if again := r.look().URLs[0]; again.Failure != nil || !r.hasty() {
		t.Errorf("after one failure: %+v", again)
	}
	broken := r.look().URLs[0]
	if broken.Failure == nil || broken.Failure.Status != http.StatusBadGateway {
		t.Errorf("after two failures: %+v", broken)
	}
	if broken.Shape == nil {
		t.Error("what passed before is forgotten")
	}
	r.fault.Mend()
	if healed := r.look().URLs[0]; healed.Failure != nil || r.hasty() {
		t.Errorf("%+v", healed)
	}
}

func TestFirstFailureIsNoResult(t *testing.T) {
	r := newRig(t)
	r.fault.Break(faults.Closed)
	if first := r.look().URLs; len(first) != 0 {
		t.Errorf("%+v", first)
	}
	if second := r.look().URLs; len(second) != 1 || second[0].Failure == nil {
		t.Errorf("%+v", second)
	}
	for range maxHasty {
		r.look()
	}
	if r.hasty() {
		t.Error("what stays broken is asked in haste for ever")
	}
}

// TestShapeWhenDue: at its interval, and at once when a URL works again.
func TestShapeWhenDue(t *testing.T) {
	r := newRig(t)
	first := r.look().URLs[0].Shape
	r.clock = r.clock.Add(5 * time.Minute)
	if again := r.look().URLs[0].Shape; again != first {
		t.Error("tried before its time")
	}
	r.clock = r.clock.Add(7 * time.Minute)
	second := r.look().URLs[0].Shape
	if second == first {
		t.Error("not tried when it was due")
	}
	r.fault.Break(faults.Closed)
	r.look()
	r.look()
	r.fault.Mend()
	if healed := r.look().URLs[0].Shape; healed == second {
		t.Error("not tried when the URL worked again")
	}
}

// TestAnew: when somebody asks, what is rarely tried is tried at once, and once.
func TestAnew(t *testing.T) {
	rig := newRig(t)
	runner, err := NewRunner(rig.own.host, *rig.prober)
	if err != nil {
		t.Fatal(err)
	}
	order := func() (*raconfig.Probes, probemark.Keys) { return &rig.wanted, endpointKeys }
	shape := func(seen *memory) *raconfig.ProbeShape {
		runner.look(t.Context(), order, seen)
		return runner.Report().URLs[0].Shape
	}
	seen := &memory{}
	runner.Choose(true, true, "monday")
	first := shape(seen)
	if again := shape(seen); again != first {
		t.Error("tried again though nobody asked")
	}
	runner.Choose(true, true, "tuesday")
	second := shape(seen)
	if second == first {
		t.Error("not tried though somebody asked")
	}
	runner.Choose(true, true, "tuesday")
	if again := shape(seen); again != second {
		t.Error("tried again for the same word")
	}
}

// TestUnfitShapeCountsTheSecondTime: a server that is replaced while shapes are tried is no
// property of the way, and neither is it one until the next hour.
func TestUnfitShapeCountsTheSecondTime(t *testing.T) {
	r := newRig(t)
	first := r.look().URLs[0].Shape
	due := func() { r.clock = r.clock.Add(12 * time.Minute) }

	r.fault.Break(refusePOST)
	due()
	if again := r.look().URLs[0].Shape; again != first || !r.hasty() {
		t.Errorf("after one trial that failed: %+v", again)
	}
	if refused := r.look().URLs[0].Shape; refused.Post == nil || r.hasty() {
		t.Errorf("after two: %+v", refused)
	}
	r.fault.Mend()
	r.clock = r.clock.Add(2 * unfitInterval)
	if mended := r.look().URLs[0].Shape; mended.Post != nil {
		t.Errorf("half a minute later: %+v", mended)
	}
	r.fault.Break(refusePOST)
	due()
	r.look()
	r.fault.Mend()
	if passed := r.look().URLs[0].Shape; !fits(passed) || r.hasty() {
		t.Errorf("after one that failed and one that passed: %+v", passed)
	}
}

func refusePOST(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	healthy().ServeHTTP(w, r)
}

// TestUnfitShapeSoon: while something does not pass, it is tried more often.
func TestUnfitShapeSoon(t *testing.T) {
	for unfit, want := range map[int]time.Duration{
		0: time.Hour, 1: 0, 2: unfitInterval, 3: 2 * unfitInterval, 6: 16 * unfitInterval, 7: maxUnfitInterval, 1000: maxUnfitInterval,
	} {
		if d := untilShape(unfit, time.Hour); d != want {
			t.Errorf("after %d: %s, not %s", unfit, d, want)
		}
	}
	if d := untilShape(7, time.Minute); d != time.Minute {
		t.Errorf("rarer than what passes: %s", d)
	}
	if !fits(&raconfig.ProbeShape{HTTP10: &raconfig.ProbeFailure{Kind: raconfig.FailureStatus}}) {
		t.Error("HTTP/1.0 is not for all devices")
	}
}

func TestURLsComeAndGo(t *testing.T) {
	r := newRig(t)
	r.look()
	r.wanted.URLs = []string{"http://other.example.com/scep", "not a URL"}
	got := r.look().URLs
	if len(got) != 2 || got[0].URL != r.wanted.URLs[0] || got[0].Shape == nil || got[1].Failure == nil || len(r.urls) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestRunnerWorksWhileChosen(t *testing.T) {
	rig := newRig(t)
	runner, err := NewRunner(rig.own.host, Prober{Dial: rig.prober.Dial, Lookup: rig.prober.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		runner.Run(ctx, func() (*raconfig.Probes, probemark.Keys) { return &rig.wanted, endpointKeys })
	}()
	defer func() { cancel(); <-done }()
	if got := runner.Report(); got != nil {
		t.Errorf("%+v before it was chosen", got)
	}
	runner.Choose(true, true, "")
	eventually(t, func() bool { report := runner.Report(); return report != nil && len(report.URLs) == 1 })
	runner.Choose(true, true, "")
	if runner.Report() == nil {
		t.Error("told again, it forgot")
	}
	runner.Choose(false, true, "")
	if got := runner.Report(); got != nil {
		t.Errorf("%+v after another was chosen", got)
	}
}

func TestRunnerWithoutOrder(t *testing.T) {
	runner, err := NewRunner("127.0.0.1:1", Prober{})
	if err != nil {
		t.Fatal(err)
	}
	runner.Choose(true, true, "")
	for _, wanted := range []*raconfig.Probes{nil, {}} {
		wait := runner.look(t.Context(), func() (*raconfig.Probes, probemark.Keys) { return wanted, probemark.Keys{} }, &memory{})
		if wait != idleInterval || runner.Report() != nil {
			t.Errorf("%v, %+v", wait, runner.Report())
		}
	}
}

func TestSpread(t *testing.T) {
	low, high := spread(time.Hour), time.Duration(0)
	for range 1000 {
		d := spread(time.Hour)
		low, high = min(low, d), max(high, d)
	}
	if low < 54*time.Minute || high > 66*time.Minute || low == high {
		t.Errorf("%v to %v", low, high)
	}
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(limit)
	for !done() {
		select {
		case <-late:
			t.Fatal("not in time")
		case <-tick.C:
		}
	}
}
