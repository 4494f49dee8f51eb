package rotation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const keyDay = 24 * time.Hour

var keyEpoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// keyInput is at rest, in the middle of its period.
func keyInput(mods ...func(*KeyInput)) KeyInput {
	in := KeyInput{
		KeySlots: KeySlots{Active: "a"},
		Times:    KeyTimes{Since: keyEpoch.Add(-keyDay), Changed: keyEpoch.Add(-keyDay), LongestSeconds: 3600},
		Servers:  [][]string{{"a"}, {"a"}},
		Longest:  time.Hour, Period: 90 * keyDay, Now: keyEpoch,
	}
	for _, mod := range mods {
		mod(&in)
	}
	return in
}

func withNext(held ...[]string) func(*KeyInput) {
	return func(in *KeyInput) { in.Next, in.Servers = "b", held }
}

// withPrevious has dropped nothing yet; settled is how long all servers have minted with the new key.
func withPrevious(settled time.Duration, held ...[]string) func(*KeyInput) {
	return func(in *KeyInput) {
		in.Previous, in.Servers = "p", held
		if settled >= 0 {
			in.Times.Settled = keyEpoch.Add(-settled)
		}
	}
}

func since(ago time.Duration) func(*KeyInput) {
	return func(in *KeyInput) { in.Times.Since = keyEpoch.Add(-ago) }
}

func TestPlanKeys(t *testing.T) {
	t.Parallel()
	both := []string{"a", "b"}
	after := []string{"a", "p"}
	for name, tc := range map[string]struct {
		in      KeyInput
		want    KeyStep
		waiting bool
		next    time.Duration // from now; zero for never
	}{
		"within the period":          {in: keyInput(), next: 89 * keyDay},
		"its end":                    {in: keyInput(since(90 * keyDay)), want: KeyMake},
		"long after its end":         {in: keyInput(since(900 * keyDay)), want: KeyMake},
		"no key":                     {in: keyInput(func(in *KeyInput) { in.Active = "" })},
		"no one-time challenge":      {in: keyInput(since(900*keyDay), func(in *KeyInput) { in.Longest = 0 })},
		"no times":                   {in: keyInput(func(in *KeyInput) { in.Times = KeyTimes{} }), want: KeyNote},
		"times of a clock ahead":     {in: keyInput(since(-keyDay)), want: KeyNote},
		"a clock a little ahead":     {in: keyInput(since(-time.Minute)), next: 90*keyDay + time.Minute},
		"a longer validity":          {in: keyInput(func(in *KeyInput) { in.Longest = 2 * time.Hour }), want: KeyNote},
		"a shorter validity":         {in: keyInput(func(in *KeyInput) { in.Longest = time.Minute }), next: 89 * keyDay},
		"asked for":                  {in: keyInput(func(in *KeyInput) { in.RotateAfter = keyEpoch.Add(-time.Hour) }), want: KeyMake},
		"asked for before the last":  {in: keyInput(func(in *KeyInput) { in.RotateAfter = keyEpoch.Add(-2 * keyDay) }), next: 89 * keyDay},
		"asked for later":            {in: keyInput(func(in *KeyInput) { in.RotateAfter = keyEpoch.Add(keyDay) }), next: keyDay},
		"next held by all":           {in: keyInput(withNext(both, both)), want: KeySwitch},
		"next held by none":          {in: keyInput(withNext([]string{"a"}, []string{"a"})), waiting: true},
		"next not held by one":       {in: keyInput(withNext(both, []string{"a"})), waiting: true},
		"one does not say":           {in: keyInput(withNext(both, nil)), waiting: true},
		"however long":               {in: keyInput(since(9000*keyDay), withNext(both, nil)), waiting: true},
		"servers not known":          {in: keyInput(withNext(), func(in *KeyInput) { in.Unknown = true }), waiting: true},
		"no server":                  {in: keyInput(withNext()), want: KeySwitch},
		"next just made":             {in: keyInput(withNext(both), func(in *KeyInput) { in.Times.Changed = keyEpoch.Add(-time.Second) }), waiting: true},
		"challenges went meanwhile":  {in: keyInput(withNext(both), func(in *KeyInput) { in.Longest = 0 }), want: KeySwitch},
		"next is the active one":     {in: keyInput(func(in *KeyInput) { in.Next = "a" }), next: 89 * keyDay},
		"all mint with the new":      {in: keyInput(withPrevious(-1, after, after)), want: KeyNote},
		"one mints with the old":     {in: keyInput(withPrevious(-1, after, []string{"p", "a"})), waiting: true},
		"one does not say which":     {in: keyInput(withPrevious(-1, after, nil)), waiting: true},
		"an old one may be good":     {in: keyInput(withPrevious(time.Hour, after)), next: keySlack},
		"no old one is good":         {in: keyInput(withPrevious(time.Hour+keySlack, after)), want: KeyDrop},
		"it was longer once":         {in: keyInput(withPrevious(2*time.Hour, after), func(in *KeyInput) { in.Times.LongestSeconds = 86400 }), next: 22*time.Hour + keySlack},
		"settled by a clock ahead":   {in: keyInput(withPrevious(0, after), func(in *KeyInput) { in.Times.Settled = keyEpoch.Add(keyDay) }), want: KeyNote},
		"previous is the active one": {in: keyInput(func(in *KeyInput) { in.Previous = "a" }), next: 89 * keyDay},
		"three keys":                 {in: keyInput(withPrevious(time.Minute, both), func(in *KeyInput) { in.Next = "b" }), next: time.Hour + keySlack - time.Minute},
		"of three keys one goes":     {in: keyInput(withPrevious(keyDay, both), func(in *KeyInput) { in.Next = "b" }), want: KeyDrop},
		"no other while one is left": {in: keyInput(since(900*keyDay), withPrevious(0, after)), next: time.Hour + keySlack},
	} {
		got := PlanKeys(tc.in)
		if got.Step != tc.want || got.Waiting != tc.waiting {
			t.Errorf("%s: step %q, waiting %t", name, got.Step, got.Waiting)
		}
		var next time.Time
		if tc.next != 0 {
			next = keyEpoch.Add(tc.next)
		}
		if !got.Next.Equal(next) {
			t.Errorf("%s: looks again at %s, want %s", name, got.Next, next)
		}
	}
}

// A step is not planned again after it was written.
func TestPlanKeysComesToRest(t *testing.T) {
	t.Parallel()
	for _, times := range []KeyTimes{{}, {Since: keyEpoch.Add(400 * keyDay), Changed: keyEpoch.Add(400 * keyDay)}} {
		in := keyInput(func(in *KeyInput) { in.Times = times })
		first := PlanKeys(in)
		raw, err := EncodeKeyTimes(first.Times)
		if err != nil {
			t.Fatal(err)
		}
		in.Times, in.Now = DecodeKeyTimes(raw), in.Now.Add(1500*time.Millisecond)
		if second := PlanKeys(in); first.Step != KeyNote || second.Step != KeyRest {
			t.Errorf("%+v: %q and then %q", times, first.Step, second.Step)
		}
	}
}

func TestDecodeKeyTimes(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "{", `{"since": 7}`, `{"longestSeconds": -1}`, "null"} {
		if got := DecodeKeyTimes([]byte(raw)); got != (KeyTimes{}) {
			t.Errorf("%q: %+v", raw, got)
		}
	}
}

// keyServer has loaded what was stored at some time.
type keyServer struct{ loaded KeySlots }

// reported is in the order in which a server loads keys.
func (s *keyServer) reported() []string {
	return slices.DeleteFunc([]string{s.loaded.Active, s.loaded.Previous, s.loaded.Next}, func(id string) bool { return id == "" })
}

type keyChallenge struct {
	key     string
	expires time.Time
}

// keyWorld is an endpoint with its servers, at which the operator looks every three minutes.
type keyWorld struct {
	t          *testing.T
	random     *rand.Rand
	now        time.Time
	stored     KeySlots
	times      KeyTimes
	servers    []*keyServer
	challenges []keyChallenge
	validity   time.Duration
	made       int
	writes     int
	crashAt    int // the write before which the operator dies; its next look is later
}

func newKeyWorld(t *testing.T, crashAt int) *keyWorld {
	t.Helper()
	w := &keyWorld{
		t: t, random: rand.New(rand.NewPCG(1, uint64(crashAt))), //nolint:gosec // repeatable, and nothing secret
		now: keyEpoch, stored: KeySlots{Active: "key0"}, validity: time.Hour, crashAt: crashAt,
	}
	for range 3 {
		w.servers = append(w.servers, &keyServer{w.stored})
	}
	return w
}

// look is one reconcile of the operator.
func (w *keyWorld) look() {
	in := KeyInput{KeySlots: w.stored, Times: w.times, Longest: w.validity, Period: 6 * time.Hour, Now: w.now}
	for _, s := range w.servers {
		in.Servers = append(in.Servers, s.reported())
	}
	plan := PlanKeys(in)
	if plan.Step == KeyRest {
		return
	}
	if w.writes++; w.writes == w.crashAt {
		w.now = w.now.Add(time.Duration(w.random.IntN(120)) * time.Minute)
		return
	}
	w.times = plan.Times
	switch plan.Step {
	case KeyMake:
		w.made++
		w.stored.Next = fmt.Sprintf("key%d", w.made)
	case KeySwitch:
		w.stored = KeySlots{Active: w.stored.Next, Previous: w.stored.Active}
	case KeyDrop:
		w.stored.Previous = ""
	case KeyRest, KeyNote:
	}
	if w.stored.Next != "" && w.stored.Previous != "" {
		w.t.Error("there are three keys")
	}
}

// live has each server mint and verify, and now and then load what is stored, or be replaced.
func (w *keyWorld) live() {
	for i, s := range w.servers {
		w.challenges = append(w.challenges, keyChallenge{s.loaded.Active, w.now.Add(w.validity)})
		switch w.random.IntN(40) {
		case 0, 1:
			s.loaded = w.stored
		case 2:
			w.servers[i] = &keyServer{w.stored}
		}
	}
	w.challenges = slices.DeleteFunc(w.challenges, func(c keyChallenge) bool { return !w.now.Before(c.expires) })
	for _, s := range w.servers {
		for _, c := range w.challenges {
			if !slices.Contains(s.reported(), c.key) {
				w.t.Fatalf("at %s a server with %v refuses a challenge of %s that is good until %s", w.now, s.reported(), c.key, c.expires)
			}
		}
	}
}

// Any challenge is good at every server until it ends, however slowly servers load and
// wherever the operator dies.
func TestKeysInSequence(t *testing.T) {
	t.Parallel()
	for crashAt := range 14 {
		w := newKeyWorld(t, crashAt)
		for end := keyEpoch.Add(4 * keyDay); w.now.Before(end); w.now = w.now.Add(3 * time.Minute) {
			if w.now.After(keyEpoch.Add(2 * keyDay)) {
				w.validity = 10 * time.Minute
			}
			w.look()
			w.live()
		}
		if w.made < 3 {
			t.Errorf("crash at %d: %d keys were made in four days", crashAt, w.made)
		}
	}
}
