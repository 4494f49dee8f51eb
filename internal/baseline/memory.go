package baseline

import (
	"maps"
	"slices"
	"time"
)

// Server is what one server has counted since it started, by the family of the client;
// nil: it did not answer.
type Server map[string]Counts

// Break is a hop that requests of a family do not come to any more.
type Break struct {
	Family string
	Hop    Hop
	// Since is the hour in which one came last.
	Since time.Time
	// Missed is how many came to the hop before and not on, when the break was found:
	// rounded down to 1, 2 or 5 times a power of ten. 0 where nothing comes at all.
	Missed uint64
}

// Memory is what is known of the traffic of one endpoint. It is not safe for concurrent use.
type Memory struct {
	first   time.Time // since when it learns
	tracks  map[string]*track
	counted map[string]Server // at the last look, by the name of the server
	watched time.Time         // since when no look was missed
	last    time.Time         // the last look
	changed bool              // something came since Encode
}

// maxPause is how long looks may be apart. What is silent meanwhile is no proof.
const maxPause = time.Hour

// New is a memory that knows nothing.
func New() *Memory { return &Memory{tracks: map[string]*track{}} }

// See takes a look: what each server has counted, by its name. Looks are in the order of
// time. What a server that is gone had counted since the last look is lost.
func (m *Memory) See(at time.Time, servers map[string]Server) {
	if m.first.IsZero() {
		m.first = at
	}
	if m.counted == nil || at.Sub(m.last) > maxPause {
		m.watched = at
	}
	came := m.arrivals(servers)
	m.last = at
	for name := range came {
		if m.tracks[name] == nil {
			m.tracks[name] = newTrack(at)
		}
	}
	for name, t := range m.tracks {
		m.changed = m.changed || came[name] != Counts{}
		t.add(at, came[name])
		if t.forgotten(at) {
			delete(m.tracks, name)
		}
	}
}

// arrivals are what came since the last look. Of what a server had counted before its
// first answer nobody knows when it came, unless it was not there at the last look.
func (m *Memory) arrivals(servers map[string]Server) map[string]Counts {
	came, counted := map[string]Counts{}, map[string]Server{}
	for name, server := range servers {
		before, was := m.counted[name]
		counted[name] = server
		switch {
		case server == nil:
			counted[name] = before
		case m.counted != nil && (!was || before != nil):
			server.addTo(came, before)
		}
	}
	m.counted = counted
	return came
}

// addTo adds what came since an earlier look.
func (s Server) addTo(came map[string]Counts, before Server) {
	for family, counts := range s {
		if d := counts.since(before[family]); d != (Counts{}) {
			came[family] = came[family].plus(d)
		}
	}
}

// Settings say how a memory is judged.
type Settings struct {
	// Learning is how long an endpoint is watched before a break is told.
	Learning time.Duration
}

// Judge finds the breaks as of the last look, in the order of the families' names: the
// first hop of each. One that was found stays until enough comes to its hop again.
func (m *Memory) Judge(s Settings) []Break {
	if m.counted == nil || m.last.Sub(m.first) < s.Learning {
		return nil
	}
	var out []Break
	for _, name := range slices.Sorted(maps.Keys(m.tracks)) {
		t := m.tracks[name]
		t.judge(view{now: m.last, watched: m.watched, first: m.first, surprise: surprise * s.Learning.Hours() / week, learning: s.Learning})
		if b := t.firstBreak(); b != nil {
			out = append(out, Break{Family: name, Hop: b.hop, Since: b.since, Missed: b.missed})
		}
	}
	return out
}

// Standing tells a memory of a break that was found before it forgot.
func (m *Memory) Standing(b Break, at time.Time) {
	if b.Hop < 0 || b.Hop >= hops || b.Family == "" {
		return
	}
	if m.tracks[b.Family] == nil {
		m.tracks[b.Family] = newTrack(at)
	}
	t := m.tracks[b.Family]
	t.broken[b.Hop] = &standing{hop: b.Hop, since: b.Since, missed: b.Missed}
	t.last[b.Hop] = b.Since
}
