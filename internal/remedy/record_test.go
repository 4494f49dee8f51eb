package remedy

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func free(Cause) Hold { return NoHold }

func record(state State, attempts int, since time.Time) *Record {
	return &Record{Cause: CauseAccount, State: state, Since: since, Attempts: attempts, NotBefore: since.Add(backoff(attempts))}
}

func TestDecide(t *testing.T) {
	template := record(Begun, 1, noon)
	template.Cause = CauseTemplate
	far := &Record{Cause: CauseAccount, State: Settled, Since: noon, Attempts: 1, NotBefore: noon.Add(100 * time.Hour)}
	for name, c := range map[string]struct {
		situation Situation
		admit     Hold
		state     State // "" for no record
		attempts  int
		act       bool
		hold      Hold
		wake      time.Time
	}{
		"at rest":                          {Situation{Whole: true}, NoHold, "", 0, false, NoHold, time.Time{}},
		"a need is claimed first":          {Situation{Need: CauseAccount, Whole: true}, NoHold, Claimed, 1, false, NoHold, noon},
		"what is claimed is done":          {Situation{Need: CauseAccount, Record: record(Claimed, 1, noon)}, HoldBudget, Claimed, 1, true, NoHold, time.Time{}},
		"it has begun":                     {Situation{Record: record(Claimed, 1, noon)}, NoHold, Begun, 1, false, NoHold, time.Time{}},
		"it has ended":                     {Situation{Record: record(Begun, 1, noon), Whole: true}, NoHold, Settled, 1, false, NoHold, time.Time{}},
		"the need is gone before it began": {Situation{Record: record(Claimed, 1, noon), Whole: true}, NoHold, Settled, 1, false, NoHold, time.Time{}},
		"remembered, without a write":      {Situation{Record: record(Settled, 2, noon.Add(-time.Hour)), Whole: true}, NoHold, Settled, 2, false, NoHold, time.Time{}},
		"counted anew after a while":       {Situation{Need: CauseAccount, Record: record(Settled, 2, noon.Add(-40*time.Second)), Whole: true}, NoHold, Claimed, 1, false, NoHold, noon},
		"a template, at once":              {Situation{Need: CauseTemplate, Record: record(Settled, 2, noon)}, NoHold, Claimed, 3, false, NoHold, noon},
		"not so soon again":                {Situation{Need: CauseAccount, Record: record(Settled, 2, noon.Add(-10*time.Second))}, NoHold, Settled, 2, false, HoldBackoff, noon.Add(10 * time.Second)},
		"not again while it is under way":  {Situation{Need: CauseAccount, Record: record(Begun, 1, noon)}, NoHold, Begun, 1, false, HoldBackoff, noon.Add(10 * time.Second)},
		"again, with a longer wait":        {Situation{Need: CauseAccount, Record: record(Settled, 2, noon.Add(-20*time.Second))}, NoHold, Claimed, 3, false, NoHold, noon},
		"at once when asked":               {Situation{Need: CauseAccount, Record: record(Settled, 2, noon), Asked: true}, NoHold, Claimed, 3, false, NoHold, noon},
		"the clock was set back":           {Situation{Need: CauseAccount, Record: far}, NoHold, Claimed, 2, false, NoHold, noon},
		"the clock was set back, at rest":  {Situation{Record: far, Whole: true}, NoHold, Settled, 1, false, NoHold, time.Time{}},
		"put back as often as it comes":    {Situation{Need: CauseTemplate, Record: template}, HoldBudget, Begun, 1, true, NoHold, time.Time{}},
		"others come first":                {Situation{Need: CauseAccount}, HoldBudget, "", 0, false, HoldBudget, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			c.situation.Now = noon
			got := Decide(c.situation, func(Cause) Hold { return c.admit })
			state, attempts := State(""), 0
			if got.Record != nil {
				state, attempts = got.Record.State, got.Record.Attempts
			}
			if state != c.state || attempts != c.attempts || got.Act != c.act || got.Hold != c.hold || !got.Wake.Equal(c.wake) {
				t.Errorf("%+v, record %+v", got, got.Record)
			}
		})
	}
}

// TestARemedyThatDoesNotHelpIsRepeatedEverMoreRarely has a service account that somebody
// makes anew as soon as the servers have been replaced.
func TestARemedyThatDoesNotHelpIsRepeatedEverMoreRarely(t *testing.T) {
	var last *Record
	var claims []time.Time
	for now := noon; now.Before(noon.Add(24 * time.Hour)); now = now.Add(time.Second) {
		s := Situation{Need: CauseAccount, Record: last, Now: now}
		if last.Open() { // it takes a second
			s.Need, s.Whole = "", true
		}
		d := Decide(s, free)
		if d.Record != nil && d.Record.State == Claimed {
			claims = append(claims, now)
		}
		last = d.Record
	}
	want := minBackoff
	for i := 1; i < len(claims); i++ {
		if gap := claims[i].Sub(claims[i-1]); gap < want {
			t.Errorf("remedy %d came %s after the one before, which is less than %s", i+1, gap, want)
		}
		want = min(2*want, maxBackoff)
	}
	if len(claims) < 24 || len(claims) > 36 {
		t.Errorf("%d remedies in a day", len(claims))
	}
}

func TestShare(t *testing.T) {
	for text, want := range map[string]int{"10%": 12, "1%": 1, "100%": 120, "3": 3, "0.5": -1, "0": -1, "0%": -1, "101%": -1, "-1": -1, "": -1, "%": -1, "many": -1, "70000": -1} {
		var s Share
		err := s.Set(text)
		if want < 0 {
			if err == nil {
				t.Errorf("%q is read as %s", text, s)
			}
			continue
		}
		if err != nil || s.Of(120) != want || s.String() != text {
			t.Errorf("%q: %s of 120 is %d, want %d (%v)", text, s, s.Of(120), want, err)
		}
	}
	if DefaultShare.Of(3) != 1 || DefaultShare.Of(0) != 1 {
		t.Error("a tenth of few endpoints is not one")
	}
}

func TestSystemic(t *testing.T) {
	var s Systemic
	for i, step := range []struct {
		counts map[string]int
		of     int
		want   string
	}{
		{map[string]int{"A": 20}, 100, ""}, // a fifth, not more
		{map[string]int{"A": 4}, 4, ""},    // too few
		{map[string]int{"A": 15, "B": 15}, 100, ""},
		{map[string]int{"A": 15, "B": 21}, 100, "B"},
		{map[string]int{"A": 40, "B": 11}, 100, "B"}, // one at a time
		{map[string]int{"A": 40, "B": 10}, 100, "A"},
		{map[string]int{"A": 11}, 100, "A"},
		{map[string]int{"A": 10}, 100, ""},
		{map[string]int{"A": 20}, 100, ""},
		{map[string]int{"A": 6, "B": 6}, 20, "A"},
		{nil, 20, ""},
		{map[string]int{"A": 5}, 20, "A"},
		{map[string]int{}, 0, ""},
	} {
		if s = s.next(step.counts, step.of); s.Reason != step.want {
			t.Errorf("step %d: %+v, want %q", i, s, step.want)
		}
	}
}
