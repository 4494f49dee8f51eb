package failures

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Proof measures one row in its test. The steps of a fault, in their order:
//
//	Injected  the fault is there
//	Detected  the condition, Event or refusals that the row names tell of it
//	Remedied  what caused it is gone; left out where Scepter itself takes it away
//	Healed    the object is as it should be
//	Served    a device enrolled afterwards
//
// A feature is Used, once for each of its tiers.
type Proof struct {
	Row *Row

	t        testing.TB
	now      func() time.Time
	injected time.Time
	remedied time.Time
	steps    []string
	used     []string
	figure   Figure
}

// Begin starts the proof of a row. When the test ends, steps that are missing fail it.
func Begin(t testing.TB, id string) *Proof {
	t.Helper()
	row, err := Find(id)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proof{Row: row, t: t, now: time.Now}
	t.Cleanup(p.end)
	return p
}

// Names of a fault's steps.
const (
	injected = "Injected"
	detected = "Detected"
	healed   = "Healed"
	served   = "Served"
)

func (p *Proof) step(name string) { p.steps = append(p.steps, name) }

// Injected starts the clock.
func (p *Proof) Injected() {
	p.injected = p.now()
	p.remedied = p.injected
	p.step(injected)
}

// Detected takes the time at which the fault was told by what Promise.Tells lists.
func (p *Proof) Detected(by ...string) {
	p.t.Helper()
	promise := p.Row.Promise
	if !slices.Equal(by, promise.Tells()) {
		p.t.Errorf("%s was told by %s; the catalogue promises %s", p.Row.ID, strings.Join(by, " "), strings.Join(promise.Tells(), " "))
	}
	p.figure.Detected = p.within("detected", p.injected, promise.Detected.Duration)
	p.step(detected)
}

// Remedied starts the clock of the healing anew.
func (p *Proof) Remedied() { p.remedied = p.now() }

// Healed takes the time at which all was well again.
func (p *Proof) Healed() {
	p.t.Helper()
	p.figure.Healed = p.within("healed", p.remedied, p.Row.Promise.Healed.Duration)
	p.step(healed)
}

// Served says that a device enrolled after the healing.
func (p *Proof) Served() { p.step(served) }

// Used says that a feature did on a tier what it is for.
func (p *Proof) Used(tier string) { p.used = append(p.used, tier) }

// within fails the test if more time has passed than is promised.
func (p *Proof) within(what string, since time.Time, limit time.Duration) int {
	p.t.Helper()
	took := p.now().Sub(since)
	if took > limit {
		p.t.Errorf("%s was %s after %s; the catalogue promises %s", p.Row.ID, what, took.Round(time.Second), limit)
	}
	p.t.Logf("%s %s after %s", p.Row.ID, what, took.Round(100*time.Millisecond))
	return seconds(took)
}

// end checks that nothing was left out. A test that failed has said enough.
func (p *Proof) end() {
	p.t.Helper()
	if p.t.Failed() {
		return
	}
	if missing := p.missing(); len(missing) > 0 {
		p.t.Errorf("the proof of %s lacks %q", p.Row.ID, missing)
		return
	}
	if p.Row.Kind == Fault {
		measure(p.Row.ID, p.figure)
	}
}

// missing lists what the proof should have had.
func (p *Proof) missing() []string {
	have, want := p.used, p.Row.Promise.Tiers
	if p.Row.Kind == Fault {
		have, want = p.steps, []string{injected, detected, healed, served}
	}
	return slices.DeleteFunc(slices.Clone(want), func(step string) bool { return slices.Contains(have, step) })
}
