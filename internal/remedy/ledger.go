package remedy

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// waveLimit is how long a wave may take to become Ready before it counts as stopped. A
	// Deployment of Kubernetes gives up after as long.
	waveLimit = 10 * time.Minute
	// remedyLimit is how long a remedy holds a place in the budget: one that does not end
	// must not keep others from being mended for ever.
	remedyLimit = 10 * time.Minute
)

// Endpoint is what a Ledger has to know of one.
type Endpoint struct {
	// Key names it: namespace/name.
	Key string
	// Suspended endpoints get no remedy, hold no place and are in no count.
	Suspended bool
	// NotReady is the reason for which it is not Ready; "" if it is, or only waits for
	// something that was set in motion.
	NotReady string
	// Behind says that its servers run, and run another image than they are to.
	Behind bool
	// Record of its status, as it is known.
	Record *Record
}

// claims says whether a remedy of a kind is under way.
func (e *Endpoint) claims(image bool) bool {
	return e.Record.Open() && (e.Record.Cause == CauseImage) == image
}

// Limits are what a Ledger allows.
type Limits struct {
	// Budget is how many endpoints may have remedies under way.
	Budget Share
	// Wave is how many endpoints get another image at a time.
	Wave Share
}

// Outlook is what a Ledger knows of all endpoints.
type Outlook struct {
	Systemic Systemic
	// Remedies are those under way, without images; Budget is how many there may be.
	Remedies, Budget int
	// Behind are the endpoints whose image is another one.
	Behind int
	// Wave lists the endpoints that have their turn, in order.
	Wave []string
	// Held lists the endpoints that were last refused a remedy, in order.
	Held []string
	// Stopped says that the wave has not become Ready in time: nothing follows.
	Stopped bool
}

// Ledger decides what concerns more than one endpoint. It holds nothing that the
// endpoints' records do not tell, but for the wave that is being begun and for the
// hysteresis of Systemic; both are found again after a crash. It is safe for
// concurrent use.
type Ledger struct {
	limits Limits

	mu    sync.Mutex
	fleet []Endpoint
	// noted are the records as they were written or claimed last by this process: what
	// the fleet was read from may lag behind.
	noted  map[string]*Record
	held   map[string]bool
	wave   []string
	opened time.Time
	last   Outlook
}

// NewLedger makes a Ledger that knows of no endpoint.
func NewLedger(limits Limits) *Ledger {
	return &Ledger{limits: limits, noted: map[string]*Record{}, held: map[string]bool{}}
}

// Look takes note of all endpoints as they are, and of whose turn it is.
func (l *Ledger) Look(fleet []Endpoint, now time.Time) Outlook {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.take(fleet)
	counts, of, behind := map[string]int{}, 0, 0
	for i := range l.fleet {
		if e := &l.fleet[i]; !e.Suspended {
			of++
			if e.NotReady != "" {
				counts[e.NotReady]++
			}
			if e.Behind {
				behind++
			}
		}
	}
	l.turn(of, now)
	l.last = Outlook{
		Systemic: l.last.Systemic.next(counts, of), Remedies: l.remedies("", now), Budget: l.limits.Budget.Of(of), Behind: behind,
		Wave: slices.Clone(l.wave), Held: slices.Sorted(maps.Keys(l.held)), Stopped: len(l.wave) > 0 && now.Sub(l.begun()) >= waveLimit,
	}
	return l.last
}

// Last is the outlook of the latest Look.
func (l *Ledger) Last() Outlook {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// take sorts the fleet into the order of the waves, and puts in what is known better.
func (l *Ledger) take(fleet []Endpoint) {
	l.fleet = slices.Clone(fleet)
	known, held := map[string]*Record{}, map[string]bool{}
	for i := range l.fleet {
		e := &l.fleet[i]
		if r, ok := l.noted[e.Key]; ok {
			known[e.Key], e.Record = r, r
		}
		if l.held[e.Key] && !e.Suspended {
			held[e.Key] = true
		}
	}
	l.noted, l.held = known, held
	slices.SortFunc(l.fleet, func(a, b Endpoint) int {
		return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(a.Key, b.Key))
	})
}

// last is 1 for endpoints that come after the others: those that are not Ready could not
// tell a good image from a bad one.
func last(e Endpoint) int {
	if e.NotReady != "" {
		return 1
	}
	return 0
}

// turn keeps those in the wave that are not done yet, and opens the next when none is left.
func (l *Ledger) turn(of int, now time.Time) {
	var left, next []string
	size := l.limits.Wave.Of(of)
	for i := range l.fleet {
		e := &l.fleet[i]
		switch {
		case e.Suspended:
		case e.claims(true), e.Behind && slices.Contains(l.wave, e.Key):
			left = append(left, e.Key)
		case e.Behind && len(next) < size:
			next = append(next, e.Key)
		}
	}
	if len(left) == 0 && len(next) > 0 {
		left, l.opened = next, now
	}
	l.wave = left
}

// begun is when the wave was: after a crash the records tell.
func (l *Ledger) begun() time.Time {
	at := l.opened
	for i := range l.fleet {
		if e := &l.fleet[i]; !e.Suspended && e.claims(true) && (at.IsZero() || e.Record.Since.Before(at)) {
			at = e.Record.Since
		}
	}
	return at
}

// remedies counts those under way, but for images and for one endpoint's own.
func (l *Ledger) remedies(but string, now time.Time) int {
	n := 0
	for i := range l.fleet {
		if e := &l.fleet[i]; !e.Suspended && e.Key != but && e.claims(false) && now.Sub(e.Record.Since) < remedyLimit {
			n++
		}
	}
	return n
}

// Admit says whether an endpoint of the latest Look may claim a remedy. What is admitted
// counts from now on, whether or not the claim is written.
func (l *Ledger) Admit(key string, cause Cause, asked bool, now time.Time) Hold {
	l.mu.Lock()
	defer l.mu.Unlock()
	if hold := l.hold(key, cause, asked, now); hold != NoHold {
		l.held[key] = true
		return hold
	}
	delete(l.held, key)
	l.note(key, &Record{Cause: cause, State: Claimed, Since: now})
	return NoHold
}

func (l *Ledger) hold(key string, cause Cause, asked bool, now time.Time) Hold {
	switch {
	case cause == CauseImage && slices.Contains(l.wave, key):
		return NoHold
	case cause == CauseImage && l.last.Stopped:
		return HoldStopped
	case cause == CauseImage:
		return HoldWave
	case asked:
		return NoHold
	case l.last.Systemic.Active():
		return HoldSystemic
	case l.remedies(key, now) >= l.last.Budget:
		return HoldBudget
	}
	return NoHold
}

// Note takes note of the record that an endpoint's status has now; nil for none.
func (l *Ledger) Note(key string, r *Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(key, r)
}

func (l *Ledger) note(key string, r *Record) {
	i := slices.IndexFunc(l.fleet, func(e Endpoint) bool { return e.Key == key })
	if i < 0 {
		return // not looked at yet: the next look sees what was written
	}
	l.noted[key], l.fleet[i].Record = r, r
}
