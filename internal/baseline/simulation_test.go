package baseline

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var aWeek = Settings{Learning: 7 * 24 * time.Hour}

// newYear is a Thursday.
var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// play takes a look every five minutes, and calls found with what is broken when that changes.
func play(w *world, m *Memory, from, to time.Time, found func(at time.Time, breaks []Break) bool) {
	before := ""
	for at := from; at.Before(to); at = at.Add(step) {
		w.step(at)
		m.See(at, map[string]Server{"a": {"Apple": w.total}})
		breaks := m.Judge(aWeek)
		if now := fmt.Sprint(breaks); now != before {
			before = now
			if !found(at, breaks) {
				return
			}
		}
	}
}

// years of each fleet, and breaks of each hop: more of them make better figures.
const (
	years  = 1
	eachOf = 1
)

// TestFalseAlarms plays years in which nothing breaks. The figures are those of
// docs/design/funnel.md.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	total := 0
	for _, f := range fleets {
		var alarms []string
		for seed := range uint64(years) {
			play(newWorld(f, seed), New(), newYear, newYear.AddDate(1, 0, 0), func(at time.Time, breaks []Break) bool {
				for _, b := range breaks {
					alarms = append(alarms, fmt.Sprintf("%s %s", at.Format("Mon 01-02 15:04"), b.Hop))
				}
				return true
			})
		}
		t.Logf("%-50s %.2f a year %s", f.name, float64(len(alarms))/years, strings.Join(alarms, ", "))
		total += len(alarms)
		if float64(len(alarms))/years > 2 {
			t.Errorf("%s: more than two false alarms a year", f.name)
		}
	}
	if mean := float64(total) / float64(years*len(fleets)); mean > 0.5 {
		t.Errorf("%.2f false alarms a year and endpoint", mean)
	}
}

// TestDetection breaks each hop on a Tuesday morning in June, and waits for the name.
func TestDetection(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	breaks := time.Date(2026, 6, 16, 9, 0, 0, 0, time.UTC)
	for _, f := range fleets[:7] {
		delays := map[Hop][]time.Duration{}
		for seed := range uint64(eachOf) {
			w, m := newWorld(f, seed), New()
			delete(w.holidays, breaks.YearDay()+1) // these days are for the break alone
			play(w, m, from, breaks, func(time.Time, []Break) bool { return true })
			for cut := range hops {
				delays[cut] = append(delays[cut], detect(t, w, m, cut, breaks))
			}
		}
		for cut := range hops {
			slices.Sort(delays[cut])
			longest := delays[cut][len(delays[cut])-1]
			t.Logf("%-50s %-14s %s … %s", f.name, cut, delays[cut][0], longest)
			if longest > 9*24*time.Hour {
				t.Errorf("%s: that nothing comes to %s was found after %s", f.name, cut, longest)
			}
		}
	}
}

// detect breaks a hop of a copy of the world.
func detect(t *testing.T, of *world, memory *Memory, cut Hop, breaks time.Time) time.Duration {
	copied := *of
	w, m := &copied, memory.clone()
	w.random, w.cut, w.broken = rand.New(rand.NewPCG(uint64(cut), 45)), cut, true
	var found time.Time
	play(w, m, breaks, breaks.AddDate(0, 0, 14), func(at time.Time, now []Break) bool {
		for _, b := range now {
			if b.Hop == cut {
				found = at
			}
		}
		return found.IsZero()
	})
	if found.IsZero() {
		t.Errorf("%s: nobody found that nothing comes to %s", of.name, cut)
		return 0
	}
	return found.Sub(breaks)
}

func (m *Memory) clone() *Memory {
	out := *m
	out.tracks = map[string]*track{}
	for name, t := range m.tracks {
		copied := *t
		for h := range copied.present {
			copied.present[h] = slices.Clone(t.present[h])
		}
		out.tracks[name] = &copied
	}
	return &out
}
