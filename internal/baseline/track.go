package baseline

import "time"

const (
	hour  = int64(3600) // in seconds
	week  = 7 * 24      // in hours
	weeks = 8
	kept  = weeks * week

	// quietFor is how long a family or a hop may be silent before that is its habit.
	quietFor = 28 * 24 * time.Hour
)

// hourOf numbers the hours since 1970.
func hourOf(t time.Time) int64 { return t.Unix() / hour }

// presence says for each of the last 8 × 168 hours whether something came: a ring of bits.
type presence []byte

func newPresence() presence { return make(presence, kept/8) }

func (p presence) at(h int64) bool { return p[h%kept/8]&(1<<(h%8)) != 0 }

func (p presence) set(h int64, came bool) {
	if came {
		p[h%kept/8] |= 1 << (h % 8)
		return
	}
	p[h%kept/8] &^= 1 << (h % 8)
}

// track is what is known of one family.
type track struct {
	hour    int64 // the newest that present tells of
	present [hops]presence
	last    [hops]time.Time // when something came to a hop; zero: never seen
	run     [hops]uint64    // what came to the hop before since then
	longest [hops][weeks]uint64
	arrived [hops][weeks]uint64
	// pauses are the longest in which nothing arrived, and quiet is the present one: from
	// the look that saw something to the last that saw nothing, so 0 where each look did.
	pauses [weeks]time.Duration
	quiet  time.Duration
	missed int // looks that saw nothing arrive, in a row
	broken [hops]*standing
}

// standing is a break that was found, and what came since.
type standing struct {
	hop          Hop
	since        time.Time
	missed       uint64
	here, before uint64 // that came to the hop and to the one before it, in the present attempt
}

func newTrack(at time.Time) *track {
	t := &track{hour: hourOf(at)}
	for h := range t.present {
		t.present[h] = newPresence()
	}
	return t
}

// add takes what came since the last look.
func (t *track) add(at time.Time, came Counts) {
	t.advance(hourOf(at))
	t.pause(at, came)
	for h := range hops {
		t.heal(h, came)
		t.count(h, at, came)
	}
}

// advance forgets what is eight weeks old.
func (t *track) advance(to int64) {
	from := max(t.hour, to-kept)
	for h := from + 1; h <= to; h++ {
		for hop := range t.present {
			t.present[hop].set(h, false)
			if h%week == 0 {
				t.longest[hop][h/week%weeks], t.arrived[hop][h/week%weeks] = 0, 0
			}
		}
		if h%week == 0 {
			t.pauses[h/week%weeks] = 0
		}
	}
	t.hour = max(t.hour, to)
}

// pause notes for how long nothing arrives.
func (t *track) pause(at time.Time, came Counts) {
	switch longest := &t.pauses[t.hour/week%weeks]; {
	case came.at(Arrives):
		*longest, t.quiet, t.missed = min(max(*longest, t.quiet), quietFor), 0, 0
	case !t.last[Arrives].IsZero():
		t.quiet, t.missed = at.Sub(t.last[Arrives]), t.missed+1
	}
}

func (t *track) count(h Hop, at time.Time, came Counts) {
	before := came.before(h)
	if !came.at(h) {
		t.run[h] += before
		return
	}
	slot := t.hour / week % weeks
	t.longest[h][slot] = max(t.longest[h][slot], t.learnable(h, t.run[h]+between(before, came[h])))
	t.arrived[h][slot] += came[h]
	t.present[h].set(t.hour, true)
	t.run[h], t.last[h] = 0, at
}

// between is how many of those that came to the hop before may have come in a row, where
// some came on during the same look: they mingle, so it is a few times the mean.
func between(before, here uint64) uint64 {
	return min(before, 4*(before/max(here, 1)+1))
}

// at says whether something came. What skips the questions arrives as well.
func (c Counts) at(h Hop) bool { return c[h] > 0 || h == Arrives && c[PKIOperation] > 0 }

// before is what came to the hop before.
func (c Counts) before(h Hop) uint64 {
	if h == Arrives {
		return 0
	}
	return c[h-1]
}

// learnable bounds what one run teaches: a break that lasted is not to hide the next.
func (t *track) learnable(h Hop, run uint64) uint64 {
	if !t.known(h) {
		return run
	}
	most := t.record(h)
	return min(run, most+most/2+slack/2)
}

// record is the longest run of eight weeks.
func (t *track) record(h Hop) uint64 {
	var most uint64
	for _, n := range t.longest[h] {
		most = max(most, n)
	}
	return most
}

// known says whether enough came to a hop to know its habits.
func (t *track) known(h Hop) bool {
	var n uint64
	for _, in := range t.arrived[h] {
		n += in
	}
	return n >= minArrivals
}

// forgotten says whether a family has not been seen for so long that nothing is kept of it.
func (t *track) forgotten(at time.Time) bool {
	last := t.last[Arrives]
	for _, b := range t.broken {
		if b != nil && b.since.After(last) {
			last = b.since
		}
	}
	return at.Sub(last) > quietFor
}

// heal counts what comes after a break, and ends it when the hop is as it was.
func (t *track) heal(h Hop, came Counts) {
	b := t.broken[h]
	if b == nil || b.here == 0 && !came.at(h) {
		return
	}
	b.here += max(came[h], uint64(btoi(came.at(h))))
	b.before += came.before(h)
	limit := t.record(h) + 1
	switch {
	case b.before > limit*(b.here+enoughAgain):
		b.here, b.before = 0, 0 // a stray one: not as it was
	case b.here >= enoughAgain && b.before <= limit*b.here:
		t.broken[h] = nil
	}
}

func btoi(is bool) int {
	if is {
		return 1
	}
	return 0
}
