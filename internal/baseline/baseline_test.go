package baseline

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// soon is for traffic of minutes.
var soon = Settings{Learning: time.Minute}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// script is a server that counts what a test says, a look every minute.
type script struct {
	m     *Memory
	at    time.Time
	total Counts
}

func newScript() *script {
	s := &script{m: New(), at: noon}
	s.look(Counts{})
	return s
}

func (s *script) look(came Counts) []Break {
	s.at = s.at.Add(time.Minute)
	s.total = s.total.plus(came)
	s.m.See(s.at, map[string]Server{"a": {"Apple": s.total}})
	return s.m.Judge(soon)
}

// whole enrolments.
func whole(n uint64) Counts { return Counts{2 * n, n, n, n, n, n} }

// upTo a hop, and no further.
func upTo(h Hop, n uint64) Counts {
	c := whole(n)
	for ; h < hops; h++ {
		c[h] = 0
	}
	return c
}

func TestNamesTheHop(t *testing.T) {
	t.Parallel()
	for cut := PKIOperation; cut < hops; cut++ {
		s := newScript()
		for range 5 {
			if found := s.look(whole(10)); found != nil {
				t.Fatalf("%s: %v before anything broke", cut, found)
			}
		}
		var found []Break
		for range 3 {
			found = s.look(upTo(cut, 20))
		}
		want := Break{Family: "Apple", Hop: cut, Since: noon, Missed: found0(found).Missed}
		if len(found) != 1 || found[0] != want || want.Missed < 20 {
			t.Errorf("found %v, want %v", found, want)
		}
		if again := s.look(upTo(cut, 20)); len(again) != 1 || again[0] != want {
			t.Errorf("what was found changed to %v", again)
		}
		if s.look(whole(1)); len(s.m.Judge(soon)) != 1 {
			t.Errorf("%s: one stray enrolment ended it", cut)
		}
		if ended := s.look(whole(10)); ended != nil {
			t.Errorf("%s: it goes on as before, and %v stands", cut, ended)
		}
	}
}

func found0(found []Break) Break {
	if len(found) == 0 {
		return Break{}
	}
	return found[0]
}

func TestNothingIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		play func(s *script) []Break
	}{
		{"while too little is known", func(s *script) []Break {
			s.look(whole(10))
			return s.look(upTo(PKIOperation, 500))
		}},
		{"of a burst that is no longer than others were", func(s *script) []Break {
			for range 20 {
				s.look(upTo(PKIOperation, 100))
				s.look(whole(5))
			}
			return s.look(upTo(PKIOperation, 100))
		}},
		{"of a family that never came further", func(s *script) []Break {
			for range 20 {
				s.look(upTo(PKIOperation, 100))
			}
			return s.m.Judge(soon)
		}},
		{"of a server that started anew", func(s *script) []Break {
			for range 5 {
				s.look(whole(10))
			}
			s.total = Counts{}
			s.look(Counts{})
			return s.look(whole(1))
		}},
		{"of what came while nobody looked", func(s *script) []Break {
			for range 5 {
				s.look(whole(10))
			}
			s.at = s.at.Add(3 * time.Hour)
			return s.look(upTo(PKIOperation, 500))
		}},
	} {
		if found := c.play(newScript()); found != nil {
			t.Errorf("%s: %v", c.name, found)
		}
	}
}

// TestNothingArrivesAnyMore: with a short time of learning, silence is told that is three
// times as long as any before, and a quarter of that time more.
func TestNothingArrivesAnyMore(t *testing.T) {
	t.Parallel()
	for usual, want := range map[int]int{0: 2, 1: 4, 5: 16} { // in looks
		s := newScript()
		for range 5 {
			s.look(whole(10))
			for range usual {
				if found := s.look(Counts{}); found != nil {
					t.Errorf("a pause of %d is usual, and told: %v", usual, found)
				}
			}
		}
		s.look(whole(10))
		quiet := 1
		for s.look(Counts{}) == nil && quiet < 100 {
			quiet++
		}
		found := s.m.Judge(soon)
		if quiet != want || len(found) != 1 || found[0].Hop != Arrives {
			t.Errorf("pauses of %d are usual: told after %d, want %d: %v", usual, quiet, want, found)
		}
		if ended := s.look(whole(10)); ended != nil {
			t.Errorf("they come again, and %v stands", ended)
		}
	}
}

// TestAWeekIsNotHurried: who learns for a week is not told of minutes without a request.
func TestAWeekIsNotHurried(t *testing.T) {
	t.Parallel()
	m, total := New(), whole(40)
	for minute, want := range []Counts{{}, total, total, total, total} {
		m.See(noon.Add(8*24*time.Hour*time.Duration(btoi(minute > 0))+time.Duration(minute)*time.Minute), map[string]Server{"a": {"Apple": want}})
	}
	if m.Judge(aWeek) != nil || m.Judge(soon) == nil {
		t.Error("three minutes are told of an endpoint that learns for a week, or not of one that learns for a minute")
	}
}

func TestManyServersCountAsOne(t *testing.T) {
	t.Parallel()
	m := New()
	a, b := Counts{}, Counts{}
	look := func(minute int) []Break {
		m.See(noon.Add(time.Duration(minute)*time.Minute), map[string]Server{"a": {"Apple": a}, "b": {"Apple": b}})
		return m.Judge(soon)
	}
	for minute := range 10 { // one is asked, the other has the messages
		look(minute)
		a, b = a.plus(Counts{Arrives: 20}), b.plus(Counts{0, 10, 10, 10, 10, 10})
	}
	if found := look(10); found != nil {
		t.Errorf("found %v", found)
	}
	a = a.plus(Counts{Arrives: 300})
	if found := look(11); len(found) != 1 || found[0].Hop != PKIOperation {
		t.Errorf("found %v", found)
	}
}

func TestServersThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	at := noon
	m := New()
	look := func(servers map[string]Server) uint64 {
		at = at.Add(time.Minute)
		m.See(at, servers)
		if m.tracks["Apple"] == nil {
			return 0
		}
		var n uint64
		for _, in := range m.tracks["Apple"].arrived[Issued] {
			n += in
		}
		return n
	}
	apple := func(n uint64) Server { return Server{"Apple": whole(n)} }
	for i, c := range []struct {
		servers map[string]Server
		want    uint64
	}{
		{map[string]Server{"old": apple(100), "silent": nil}, 0}, // nobody knows when that came
		{map[string]Server{"old": apple(101), "silent": apple(500)}, 1},
		{map[string]Server{"old": nil, "silent": apple(501)}, 2},
		{map[string]Server{"old": apple(103), "silent": apple(501), "new": apple(4)}, 8},
		{map[string]Server{"new": apple(5)}, 9},
		{map[string]Server{"new": apple(1)}, 10}, // its container started anew
	} {
		if got := look(c.servers); got != c.want {
			t.Errorf("look %d: %d in all, want %d", i, got, c.want)
		}
	}
}

func TestSurvivesARestart(t *testing.T) {
	t.Parallel()
	w, m := newWorld(fleets[0], 1), New()
	end := newYear.AddDate(0, 3, 6)
	play(w, m, newYear, end, func(time.Time, []Break) bool { return true })
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 4<<10 {
		t.Errorf("one family takes %d bytes", len(raw))
	}
	restored, err := Decode(raw, end)
	if err != nil {
		t.Fatal(err)
	}
	again, err := restored.Encode()
	if err != nil || string(again) != string(raw) {
		t.Errorf("another came back: %v\n%s\n%s", err, raw, again)
	}
	standing := Break{Family: "Apple", Hop: Opened, Since: end.Add(-time.Hour), Missed: 100}
	restored.Standing(standing, end)
	restored.See(end, map[string]Server{"a": {"Apple": w.total}})
	if found := restored.Judge(aWeek); len(found) != 1 || found[0] != standing {
		t.Errorf("what stood is %v", found)
	}
}

func TestDecodeTrustsNothing(t *testing.T) {
	t.Parallel()
	hop := func(name, present, last string) string {
		return `{"format":"v1","first":"2026-01-01T00:00:00Z","families":{"Apple":{"hour":1,"hops":{"` + name + `":{"present":"` + present + `","last":"` + last + `"}}}}}`
	}
	full := strings.Repeat("AAAA", kept/8/3)
	for name, raw := range map[string]string{
		"no JSON":              `{`,
		"another format":       `{"format":"v2","first":"2026-01-01T00:00:00Z"}`,
		"of the future":        `{"format":"v1","first":"2036-01-01T00:00:00Z"}`,
		"without a beginning":  `{"format":"v1"}`,
		"an hour to come":      `{"format":"v1","first":"2026-01-01T00:00:00Z","families":{"Apple":{"hour":999999999}}}`,
		"an hour long ago":     `{"format":"v1","first":"2026-01-01T00:00:00Z","families":{"Apple":{"hour":-5}}}`,
		"a pause below zero":   `{"format":"v1","first":"2026-01-01T00:00:00Z","families":{"Apple":{"hour":1,"pauses":[-1]}}}`,
		"a pause of a year":    `{"format":"v1","first":"2026-01-01T00:00:00Z","families":{"Apple":{"hour":1,"pauses":[31536000000000000]}}}`,
		"an unknown hop":       hop("Nowhere", full, "2026-01-01T00:00:00Z"),
		"too few hours":        hop("Opened", "AAAA", "2026-01-01T00:00:00Z"),
		"an arrival to come":   hop("Opened", full, "2036-01-01T00:00:00Z"),
		"hours that are no64s": hop("Opened", "?", "2026-01-01T00:00:00Z"),
	} {
		if _, err := Decode([]byte(raw), noon); !errors.Is(err, ErrNotUnderstood) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode([]byte(hop("Opened", full, "2026-01-01T00:00:00Z")), noon); err != nil {
		t.Error(err)
	}
}

func TestHops(t *testing.T) {
	t.Parallel()
	for h := range hops {
		if back, ok := HopOf(h.String()); !ok || back != h {
			t.Errorf("%s is %v", h, back)
		}
	}
	if _, ok := HopOf("Nowhere"); ok || Hop(-1).String() != "Unknown" {
		t.Error("an unknown hop has a name")
	}
	got := CountsOf(map[string]uint64{"GetCACaps": 1, "GetCACert": 2, "PKIOperation": 9, "opened": 8, "recalled": 3, "authenticated": 4, "judged": 2, "issued": 5, "refused": 7})
	if want := (Counts{3, 9, 8, 7, 5, 5}); got != want {
		t.Errorf("counts %v, want %v", got, want)
	}
}

func TestRounded(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]uint64{0: 0, 1: 1, 3: 2, 9: 5, 10: 10, 19: 10, 49: 20, 50: 50, 999: 500, 1234: 1000} {
		if got := Rounded(n); got != want {
			t.Errorf("%d is rounded to %d, want %d", n, got, want)
		}
	}
}
