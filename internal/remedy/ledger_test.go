package remedy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world plays a cluster of endpoints, with an operator that can crash between any two
// writes: what it has in memory is gone then, and what an endpoint's status says stays.
type world struct {
	t         *testing.T
	now       time.Time
	endpoints []*simulated
	ledger    *Ledger
	limits    Limits
	// good says whether servers of an endpoint serve with an image.
	good func(e *simulated, image string) bool
	// target is the image that all are to have.
	target string
	// chance is the same in each run.
	chance *rand.Rand
	// most is how many were replaced at a time, by cause.
	most map[bool]int
}

// simulated is one endpoint with its servers.
type simulated struct {
	key       string
	suspended bool
	reason    string // why it is not Ready, for another cause than its servers
	image     string
	account   int // of its service account
	token     int // the account that its servers know
	until     time.Time
	record    *Record
}

const (
	replacing = 20 * time.Second
	first     = "ra:1"
	second    = "ra:2"
)

func newWorld(t *testing.T, n int) *world {
	w := &world{
		t: t, now: noon, target: first, limits: Limits{Budget: DefaultShare, Wave: DefaultShare},
		good: func(*simulated, string) bool { return true }, most: map[bool]int{},
		chance: rand.New(rand.NewPCG(1, 2)), //nolint:gosec // a test
	}
	for i := range n {
		w.endpoints = append(w.endpoints, &simulated{key: fmt.Sprintf("pki/corp-%03d", i), image: first})
	}
	w.crash()
	return w
}

func (w *world) crash() { w.ledger = NewLedger(w.limits) }

// whole says whether an endpoint's servers run what they are to run, and serve.
func (w *world) whole(e *simulated) bool { return !w.now.Before(e.until) && w.good(e, e.image) }

// replaced says whether servers of an endpoint are being replaced, or came out bad.
func (w *world) replaced(e *simulated) bool { return !w.whole(e) }

func (w *world) fleet() []Endpoint {
	var out []Endpoint
	for _, e := range w.endpoints {
		one := Endpoint{Key: e.key, Suspended: e.suspended, NotReady: e.reason, Behind: e.image != w.target, Record: e.record}
		out = append(out, one)
	}
	slices.Reverse(out) // the caches have no order
	return out
}

// reconcile does what the controller does, and crashes after so many of its three writes.
func (w *world) reconcile(e *simulated, crashAfter int) {
	if e.suspended {
		return
	}
	need := Cause("")
	switch {
	case e.token != e.account:
		need = CauseAccount
	case e.image != w.target:
		need = CauseImage
	}
	d := Decide(Situation{Need: need, Record: e.record, Whole: w.whole(e), Now: w.now}, func(c Cause) Hold {
		w.ledger.Look(w.fleet(), w.now)
		return w.ledger.Admit(e.key, c, false, w.now)
	})
	if crashAfter == 0 {
		w.crash()
		return
	}
	if d.Act {
		e.image, e.token, e.until = w.target, e.account, w.now.Add(replacing)
	}
	if crashAfter == 1 {
		w.crash()
		return
	}
	e.record = d.Record
	if crashAfter == 2 {
		w.crash()
		return
	}
	w.ledger.Note(e.key, d.Record)
}

// pass lets some time go by: each endpoint is reconciled, in any order, and with some
// chance the operator crashes on the way.
func (w *world) pass(crashes bool) {
	for _, i := range w.chance.Perm(len(w.endpoints)) {
		at := 3
		if crashes && w.chance.IntN(100) == 0 {
			at = w.chance.IntN(3)
		}
		w.reconcile(w.endpoints[i], at)
	}
	for _, image := range []bool{true, false} {
		n := 0
		for _, e := range w.endpoints {
			if w.replaced(e) && e.record.Open() && (e.record.Cause == CauseImage) == image {
				n++
			}
		}
		w.most[image] = max(w.most[image], n)
	}
	w.now = w.now.Add(5 * time.Second)
}

func (w *world) passUntil(what string, crashes bool, done func() bool) {
	w.t.Helper()
	for range 3000 {
		if done() {
			return
		}
		w.pass(crashes)
	}
	w.t.Fatalf("in vain: %s", what)
}

func (w *world) behind() int {
	n := 0
	for _, e := range w.endpoints {
		if e.image != w.target {
			n++
		}
	}
	return n
}

func (w *world) mustKeep(image bool, limit int) {
	w.t.Helper()
	if most := w.most[image]; most > limit || most == 0 {
		w.t.Errorf("%d endpoints had their servers replaced at a time (image %v), the limit is %d", most, image, limit)
	}
}

func TestAnImageComesInWaves(t *testing.T) {
	for _, crashes := range []bool{false, true} {
		w := newWorld(t, 120)
		w.target = second
		w.passUntil("the image everywhere", crashes, func() bool { return w.behind() == 0 })
		w.mustKeep(true, 12)
		w.passUntil("rest", crashes, func() bool {
			return !slices.ContainsFunc(w.endpoints, func(e *simulated) bool { return e.record.Open() })
		})
	}
}

func TestWavesGoInOrder(t *testing.T) {
	w := newWorld(t, 100)
	w.target = second
	w.endpoints[0].reason = "HostConflict"
	w.endpoints[1].suspended = true
	out := w.ledger.Look(w.fleet(), w.now)
	if len(out.Wave) != 9 || out.Wave[0] != "pki/corp-002" || out.Wave[8] != "pki/corp-010" || out.Behind != 99 {
		t.Fatalf("the wave is %v, %d behind", out.Wave, out.Behind)
	}
	if again := w.ledger.Look(w.fleet(), w.now); !slices.Equal(again.Wave, out.Wave) {
		t.Errorf("another look shows %v", again.Wave)
	}
	if hold := w.ledger.Admit("pki/corp-011", CauseImage, true, w.now); hold != HoldWave {
		t.Errorf("out of turn: %q", hold)
	}
	w.passUntil("the image where it may come", false, func() bool { return w.behind() == 1 })
	if e := w.endpoints[0]; e.image != second {
		t.Error("an endpoint that is not Ready never had its turn")
	}
	if w.endpoints[1].image != first {
		t.Error("a suspended endpoint got the image")
	}
}

// TestABrokenWaveStopsAll has an image that does not run on one endpoint of the second wave.
func TestABrokenWaveStopsAll(t *testing.T) {
	for _, crashes := range []bool{false, true} {
		w := newWorld(t, 100)
		w.target = second
		w.good = func(e *simulated, image string) bool { return e.key != "pki/corp-015" || image != second }
		for range 200 {
			w.pass(crashes)
		}
		// A crash while a wave is begun makes it smaller, and so the next one begins elsewhere.
		if got := 100 - w.behind(); got > 25 || !crashes && got != 20 {
			t.Fatalf("%d endpoints have the image (crashes %v)", got, crashes)
		}
		w.mustKeep(true, 10)
		out := w.ledger.Look(w.fleet(), w.now)
		if !out.Stopped || !slices.Equal(out.Wave, []string{"pki/corp-015"}) {
			t.Errorf("outlook: %+v", out)
		}
		if hold := w.ledger.Admit("pki/corp-050", CauseImage, false, w.now); hold != HoldStopped {
			t.Errorf("the others wait for %q", hold)
		}
		// A better image comes: what is broken is mended first, and then all get it.
		w.target, w.good = "ra:3", func(*simulated, string) bool { return true }
		w.crash()
		w.passUntil("the better image everywhere", crashes, func() bool { return w.behind() == 0 })
		w.mustKeep(true, 10)
	}
}

func TestASuspendedEndpointHoldsNoPlace(t *testing.T) {
	w := newWorld(t, 30)
	w.target = second
	w.good = func(e *simulated, image string) bool { return e.key != "pki/corp-001" || image != second }
	w.passUntil("the wave that breaks", false, func() bool { return w.endpoints[1].image == second })
	w.endpoints[1].suspended = true
	w.passUntil("the image everywhere else", false, func() bool { return w.behind() == 0 })
}

func TestTheBudgetIsKept(t *testing.T) {
	for _, crashes := range []bool{false, true} {
		w := newWorld(t, 100)
		for _, e := range w.endpoints {
			e.account++
		}
		w.passUntil("new servers everywhere", crashes, func() bool {
			return !slices.ContainsFunc(w.endpoints, func(e *simulated) bool { return e.token != e.account })
		})
		w.mustKeep(false, 10)
	}
}

// TestWhatIsSystemicStopsRemedies but not another image, which may be what mends it.
func TestWhatIsSystemicStopsRemedies(t *testing.T) {
	for _, crashes := range []bool{false, true} {
		w := newWorld(t, 100)
		for i, e := range w.endpoints {
			if e.account++; i < 30 {
				e.reason = "ServersUnavailable"
			}
		}
		for range 100 {
			w.pass(crashes)
		}
		if w.most[false] != 0 {
			t.Fatalf("%d remedies", w.most[false])
		}
		if out := w.ledger.Look(w.fleet(), w.now); out.Systemic != (Systemic{Reason: "ServersUnavailable", Count: 30, Of: 100}) {
			t.Errorf("outlook: %+v", out)
		}
		if hold := w.ledger.Admit("pki/corp-000", CauseAccount, true, w.now); hold != NoHold {
			t.Errorf("what somebody asks for: %q", hold)
		}
		w.ledger.Note("pki/corp-000", nil)
		w.target = second
		w.ledger.Look(w.fleet(), w.now)
		if hold := w.ledger.Admit("pki/corp-030", CauseImage, false, w.now); hold != NoHold {
			t.Errorf("another image: %q", hold)
		}
		w.target = first
		for _, e := range w.endpoints[:20] {
			e.reason = ""
		}
		w.crash()
		w.passUntil("new servers everywhere", crashes, func() bool {
			return !slices.ContainsFunc(w.endpoints, func(e *simulated) bool { return e.token != e.account })
		})
		w.mustKeep(false, 10)
	}
}

// TestWhatWasNotWrittenStillCounts: a claim that could not be written keeps its place
// until the endpoint is reconciled again, and a new ledger knows those that were.
func TestWhatWasNotWrittenStillCounts(t *testing.T) {
	w := newWorld(t, 10)
	for _, e := range w.endpoints {
		e.account++
	}
	w.ledger.Look(w.fleet(), w.now)
	if hold := w.ledger.Admit("pki/corp-003", CauseAccount, false, w.now); hold != NoHold {
		t.Fatal(hold)
	}
	w.ledger.Look(w.fleet(), w.now)
	if hold := w.ledger.Admit("pki/corp-004", CauseAccount, false, w.now); hold != HoldBudget {
		t.Errorf("a second one: %q", hold)
	}
	if hold := w.ledger.Admit("pki/corp-003", CauseAccount, false, w.now); hold != NoHold {
		t.Errorf("the same once more: %q", hold)
	}
	w.endpoints[3].record = record(Claimed, 1, w.now)
	w.crash()
	w.ledger.Look(w.fleet(), w.now)
	if hold := w.ledger.Admit("pki/corp-004", CauseAccount, false, w.now); hold != HoldBudget {
		t.Errorf("after a crash: %q", hold)
	}
	w.endpoints = slices.Delete(w.endpoints, 3, 4)
	w.ledger.Look(w.fleet(), w.now)
	if hold := w.ledger.Admit("pki/corp-004", CauseAccount, false, w.now); hold != NoHold {
		t.Errorf("when that endpoint is gone: %q", hold)
	}
}

func TestARemedyThatDoesNotEndGivesItsPlaceUp(t *testing.T) {
	w := newWorld(t, 10)
	w.endpoints[3].record = record(Begun, 1, w.now)
	for _, step := range []struct {
		after time.Duration
		want  Hold
	}{{remedyLimit - time.Second, HoldBudget}, {remedyLimit, NoHold}} {
		now := w.now.Add(step.after)
		w.ledger.Look(w.fleet(), now)
		if hold := w.ledger.Admit("pki/corp-004", CauseAccount, false, now); hold != step.want {
			t.Errorf("after %s: %q", step.after, hold)
		}
	}
}
