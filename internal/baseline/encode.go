package baseline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrNotUnderstood is of what Encode did not make, or another version of it.
var ErrNotUnderstood = errors.New("baseline: not understood")

const (
	format = "v1"
	// maxFamilies bounds what is read of families; there are fewer.
	maxFamilies = 32
)

// document is a Memory at rest.
type document struct {
	Format   string                  `json:"format"`
	First    time.Time               `json:"first"`
	Families map[string]familyAtRest `json:"families"`
}

// familyAtRest is a track, without the runs: what came while nobody looked is not known.
type familyAtRest struct {
	Hour   int64                `json:"hour"`
	Hops   map[string]hopAtRest `json:"hops"`
	Pauses [weeks]time.Duration `json:"pauses"` // in nanoseconds
}

type hopAtRest struct {
	Present []byte        `json:"present"`
	Last    time.Time     `json:"last"`
	Longest [weeks]uint64 `json:"longest"`
	Arrived [weeks]uint64 `json:"arrived"`
}

// Changed says whether something came since Encode, or since Decode.
func (m *Memory) Changed() bool { return m.changed }

// Kept tells the memory that what Encode gave is kept.
func (m *Memory) Kept() { m.changed = false }

// Encode is what is learned, as JSON: about 2 KiB for a family. Breaks are not in it.
func (m *Memory) Encode() ([]byte, error) {
	out := document{Format: format, First: m.first.UTC(), Families: map[string]familyAtRest{}}
	for name, t := range m.tracks {
		f := familyAtRest{Hour: t.hour, Hops: map[string]hopAtRest{}, Pauses: t.pauses}
		for h := range hops {
			if !t.last[h].IsZero() {
				f.Hops[h.String()] = hopAtRest{t.present[h], t.last[h].UTC(), t.longest[h], t.arrived[h]}
			}
		}
		out.Families[name] = f
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode baseline: %w", err)
	}
	return raw, nil
}

// Decode reads what Encode made, at a time that is not before what it tells of. It does
// not trust it: whoever may edit the object that it is kept in can write anything.
func Decode(raw []byte, now time.Time) (*Memory, error) {
	var in document
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotUnderstood, err)
	}
	if in.Format != format || in.First.After(now) || in.First.Year() < 2000 || len(in.Families) > maxFamilies {
		return nil, fmt.Errorf("%w: format %.8q", ErrNotUnderstood, in.Format)
	}
	m := New()
	m.first = in.First
	for name, f := range in.Families {
		t, err := f.track(now)
		if err != nil {
			return nil, err
		}
		m.tracks[name] = t
	}
	return m, nil
}

func (f familyAtRest) track(now time.Time) (*track, error) {
	if f.Hour > hourOf(now) || f.Hour < 0 || slices.Min(f.Pauses[:]) < 0 || slices.Max(f.Pauses[:]) > quietFor {
		return nil, fmt.Errorf("%w: of another time", ErrNotUnderstood)
	}
	t := newTrack(now)
	t.hour, t.pauses = f.Hour, f.Pauses
	for name, from := range f.Hops {
		h, ok := HopOf(name)
		if !ok || len(from.Present) != kept/8 || from.Last.After(now) {
			return nil, fmt.Errorf("%w: hop %.16q", ErrNotUnderstood, name)
		}
		t.present[h], t.last[h], t.longest[h], t.arrived[h] = from.Present, from.Last, from.Longest, from.Arrived
	}
	return t, nil
}
