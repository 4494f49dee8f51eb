package baseline

import (
	"math"
	"slices"
	"time"
)

const (
	// minArrivals is how often a hop has to have been reached before it is missed.
	minArrivals = 30
	// A run is unheard of that is more than so many times the record, and so much longer.
	factor = 2
	slack  = 10
	// A hop has to be silent for so long that it would be by chance once in a thousand
	// times: the logarithm of that, for a Learning of a week. An hour counts for one in
	// ten at most, however sure it is that something comes: hours are not independent.
	surprise     = 6.9
	mostSurprise = 2.3
	// enoughAgain is what has to come for a break to end.
	enoughAgain = 3

	// An hour is habitual in which something came in so many of the seven weeks before.
	habit = 5
	// Silence is unheard of after so many working days, the last of them for so many
	// habitual hours, and so many of those in all.
	missedDays  = 3
	missedHours = 3
	missedInAll = 9
	// Or after so many times the longest pause of at least five weeks, and six hours more.
	// Pauses are told from habits only where something comes in one of four hours.
	pauses     = 3
	pauseSlack = 6
	oneIn      = 4
	// Where less than a week is learned there are no habits of hours to tell it by: after so
	// many times the longest pause, and a part of Learning more; by two looks at least, since
	// what a server counted that has just started anew is not known.
	quarter     = 4
	enoughLooks = 2
)

// view is what a judgement depends on beside the track.
type view struct {
	now, watched, first time.Time
	surprise            float64 // that silence has to be
	learning            time.Duration
}

func (t *track) firstBreak() *standing {
	for _, b := range t.broken {
		if b != nil {
			return b
		}
	}
	return nil
}

func (t *track) judge(v view) {
	for h := range hops {
		switch {
		case t.broken[h] != nil && h != Arrives && v.now.Sub(t.broken[h].since) > quietFor:
			t.forgetHop(h)
		case t.broken[h] == nil && t.known(h) && (t.outran(h, v) || t.silent(h, v) || h == Arrives && t.hushed(v)):
			t.broken[h] = &standing{hop: h, since: t.last[h].UTC().Truncate(time.Hour), missed: Rounded(t.run[h])}
		}
	}
}

// forgetHop: what was a break is a habit by now.
func (t *track) forgetHop(h Hop) {
	t.present[h], t.broken[h], t.run[h] = newPresence(), nil, 0
	t.longest[h], t.arrived[h] = [weeks]uint64{}, [weeks]uint64{}
}

// outran says whether far more came to the hop before than ever without one that came
// on, while something should have.
func (t *track) outran(h Hop, v view) bool {
	if h == Arrives || t.run[h] <= factor*t.record(h)+slack {
		return false
	}
	return t.surprise(h, v) >= v.surprise
}

// surprise is how unlikely it is that a hop is silent for so long, as the negative
// logarithm of the probability: each hour by how often something came to the hop in the
// same hour of the weeks before.
func (t *track) surprise(h Hop, v view) float64 {
	from := t.silentFrom(h, v)
	var sum float64
	for at := max(hourOf(from), t.hour-kept+1); at <= t.hour; at++ {
		begin, end := time.Unix(at*hour, 0), time.Unix((at+1)*hour, 0)
		if begin.Before(from) {
			begin = from
		}
		if end.After(v.now) {
			end = v.now
		}
		sum += min(mostSurprise, -math.Log1p(-t.chance(h, at, v))) * end.Sub(begin).Hours()
	}
	return sum
}

// silentFrom is since when a hop is known to be silent.
func (t *track) silentFrom(h Hop, v view) time.Time {
	if t.last[h].Before(v.watched) {
		return v.watched
	}
	return t.last[h]
}

// chance is how likely it is that something comes to a hop in an hour, by the same hour
// of the weeks before and one more in which nothing came; 1 where no such week is known.
func (t *track) chance(h Hop, at int64, v view) float64 {
	active, known := t.habits(h, at, v)
	if known == 0 {
		return 1
	}
	return float64(active) / float64(known+1)
}

// habits looks at the same hour of up to seven weeks before.
func (t *track) habits(h Hop, at int64, v view) (active, known int) {
	oldest := max(hourOf(v.first), t.hour-kept+1)
	for past := at - week; past >= oldest; past -= week {
		known++
		active += btoi(t.present[h].at(past))
	}
	return active, known
}

// silent says whether a hop has been silent for longer than is its habit. One that
// depends on another is missed only if that one is not silent as well.
func (t *track) silent(h Hop, v view) bool {
	from := t.silentFrom(h, v)
	if v.now.Sub(from) < pauseSlack*time.Hour || h != Arrives && t.run[h] < slack {
		return false
	}
	begin := hourOf(from) + 1
	return t.missedDays(h, begin, v) || t.outlasted(h, begin, v)
}

// hushed says whether nothing has arrived for far longer than ever, for those who do not
// wait until habits are known.
func (t *track) hushed(v view) bool {
	if v.learning >= week*time.Hour || t.missed < enoughLooks {
		return false
	}
	return v.now.Sub(t.silentFrom(Arrives, v)) > pauses*slices.Max(t.pauses[:])+v.learning/quarter
}

// missedDays counts the working days on which nothing came: a day begins with the first
// habitual hour that was missed, and lasts for 24 hours.
func (t *track) missedDays(h Hop, begin int64, v view) bool {
	days, inDay, inAll, end := 0, 0, 0, int64(math.MinInt64)
	for at := max(begin, t.hour-kept+1); at < t.hour; at++ {
		if active, _ := t.habits(h, at, v); active < habit {
			continue
		}
		if at >= end {
			days, inDay, end = days+1, 0, at+24
		}
		inDay, inAll = inDay+1, inAll+1
		if days >= missedDays && inDay >= missedHours && inAll >= missedInAll {
			return true
		}
	}
	return false
}

// outlasted compares the pause with the longest of the weeks before, if there are enough.
func (t *track) outlasted(h Hop, begin int64, v view) bool {
	oldest := max(hourOf(v.first), t.hour-kept+1)
	if begin-oldest < habit*week {
		return false
	}
	var longest, pause, active int64
	for at := oldest; at < begin; at++ {
		if pause++; t.present[h].at(at) {
			pause, active = 0, active+1
		}
		longest = max(longest, pause)
	}
	return active*oneIn >= begin-oldest && t.hour-begin >= pauses*longest+pauseSlack
}

// Rounded is a number, rounded down to 1, 2 or 5 times a power of ten.
func Rounded(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	unit := uint64(1)
	for n/unit >= 10 {
		unit *= 10
	}
	switch lead := n / unit; {
	case lead >= 5:
		return 5 * unit
	case lead >= 2:
		return 2 * unit
	}
	return unit
}
