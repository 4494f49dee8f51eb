package rotation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/rotation"
)

const loadTimeout = 30 * time.Minute

// offer is a generation that was issued a while before the start.
func offer(id string, age time.Duration) rotation.Offer {
	begun := start.Add(-age)
	return rotation.Offer{ID: id, NotBefore: begun, NotAfter: begun.Add(life)}
}

func distrusted(o rotation.Offer) rotation.Offer {
	o.Distrusted = true
	return o
}

func credential(name string, offers ...rotation.Offer) rotation.Credential {
	return rotation.Credential{Name: name, Overlap: overlap, Offers: offers}
}

func server(name string, holds ...string) rotation.Holder {
	return rotation.Holder{Name: name, Ready: true, Answers: true, Holds: holds}
}

func silent(name string) rotation.Holder { return rotation.Holder{Name: name, Ready: true} }

func mounting(h rotation.Holder, credentials ...string) rotation.Holder {
	h.Keyrings = credentials
	return h
}

// said is what a plan says in short: "stage active next held/of missing".
func said(p *rotation.SwitchPlan) string {
	return fmt.Sprintf("%s %s %s %d/%d %v", p.Stage, p.Active, p.Next, p.Held, p.Of, p.Missing)
}

func TestSwitch(t *testing.T) {
	g1, g2 := offer("g1", 60*day), offer("g2", time.Hour)
	toCome, ended := offer("g3", -time.Hour), offer("g0", life)
	one := func(offers ...rotation.Offer) []rotation.Credential {
		return []rotation.Credential{credential("ra", offers...)}
	}
	late := func(in rotation.SwitchInput) rotation.SwitchInput {
		in.Next, in.Since = "g2", start.Add(-loadTimeout)
		return in
	}
	cases := map[string]struct {
		in   rotation.SwitchInput
		want string
	}{
		"nothing":                             {rotation.SwitchInput{}, "None   0/0 []"},
		"the first is shown at once":          {rotation.SwitchInput{Credentials: one(g1)}, "Shown g1  0/0 []"},
		"at rest":                             {rotation.SwitchInput{Credentials: one(g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g1")}}, "Shown g1  1/1 []"},
		"nobody holds the next":               {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g1"), server("b", "g1")}}, "Loading g1 g2 0/2 [a b]"},
		"one holds the next":                  {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g2", "g1"), server("b", "g1")}}, "Loading g1 g2 1/2 [b]"},
		"one does not answer":                 {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g2", "g1"), silent("b")}}, "Loading g1 g2 1/2 [b]"},
		"one that is not ready may come back": {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g2"), {Name: "b"}}}, "Loading g1 g2 1/2 [b]"},
		"all hold the next":                   {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g2"), server("b", "g2")}}, "Shown g2  2/2 []"},
		"no server runs":                      {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1"}, "Shown g2  0/0 []"},
		"one never loads":                     {late(rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g2"), server("b", "g1")}}), "Forced g2  1/2 [b]"},
		"one never answers":                   {late(rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g2"), silent("b")}}), "Forced g2  1/2 [b]"},
		"none ever loads":                     {late(rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g1"), silent("b")}}), "Stuck g1 g2 0/2 [a b]"},
		"none ever answers":                   {late(rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Holders: []rotation.Holder{silent("a"), silent("b")}}), "Forced g2  0/2 [a b]"},
		"a wait from before the clock jumped": {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Next: "g2", Since: start.Add(day), Holders: []rotation.Holder{silent("a")}}, "Loading g1 g2 0/1 [a]"},
		"another wait does not count":         {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g1", Next: "gx", Since: start.Add(-day), Holders: []rotation.Holder{silent("a")}}, "Loading g1 g2 0/1 [a]"},
		"still not loaded":                    {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g2", Holders: []rotation.Holder{server("a", "g2"), server("b", "g1")}}, "Forced g2  1/2 [b]"},
		"still silent":                        {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g2", Missing: []string{"b"}, Holders: []rotation.Holder{server("a", "g2"), silent("b")}}, "Forced g2  1/2 [b]"},
		"lost, and then gone":                 {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g2", Missing: []string{"b"}, Holders: []rotation.Holder{server("a", "g2")}}, "Shown g2  1/1 []"},
		"silent for a moment":                 {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g2", Holders: []rotation.Holder{server("a", "g2"), silent("b")}}, "Shown g2  2/2 []"},
		"one starts":                          {rotation.SwitchInput{Credentials: one(g2, g1), Shown: "g2", Holders: []rotation.Holder{server("a", "g2"), {Name: "b", Answers: true}}}, "Shown g2  1/1 []"},
		"what is shown has gone from keyring": {rotation.SwitchInput{Credentials: one(g2), Shown: "g0", Holders: []rotation.Holder{server("a")}}, "Forced g2  0/1 [a]"},
		"what is shown has expired":           {rotation.SwitchInput{Credentials: one(g2, ended), Shown: "g0", Holders: []rotation.Holder{server("a", "g0")}}, "Loading g0 g2 0/1 [a]"},
		"expired, and one is away":            {rotation.SwitchInput{Credentials: one(g2, ended), Shown: "g0", Holders: []rotation.Holder{server("a", "g2", "g0"), {Name: "b"}}}, "Forced g2  1/2 [b]"},
		"expired, and one never loads":        {rotation.SwitchInput{Credentials: one(g2, ended), Shown: "g0", Next: "g2", Since: start.Add(-rotation.Patience), Holders: []rotation.Holder{server("a", "g0")}}, "Forced g2  0/1 [a]"},
		"expired, and another is held by all": {rotation.SwitchInput{Credentials: one(g2, g1, ended), Shown: "g0", Holders: []rotation.Holder{server("a", "g1", "g0"), server("b", "g2", "g1")}}, "Loading g1 g2 1/2 [a]"},
		"what is shown is distrusted":         {rotation.SwitchInput{Credentials: one(g2, distrusted(g1)), Shown: "g1", Holders: []rotation.Holder{server("a", "g1")}}, "Forced g2  0/1 [a]"},
		"distrusted, and an earlier is there": {rotation.SwitchInput{Credentials: one(distrusted(g2), g1), Shown: "g2", Holders: []rotation.Holder{server("a", "g2", "g1")}}, "Shown g1  1/1 []"},
		"the next is distrusted":              {rotation.SwitchInput{Credentials: one(distrusted(g2), g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g1")}}, "Shown g1  1/1 []"},
		"the next is not valid yet":           {rotation.SwitchInput{Credentials: one(toCome, g1), Shown: "g1", Holders: []rotation.Holder{server("a", "g3", "g1")}}, "Shown g1  1/1 []"},
		"the clock was set back":              {rotation.SwitchInput{Credentials: one(toCome, g1), Shown: "g3", Holders: []rotation.Holder{server("a", "g3", "g1")}}, "Shown g3  1/1 []"},
		"all have expired":                    {rotation.SwitchInput{Credentials: one(ended), Shown: "g0", Holders: []rotation.Holder{server("a")}}, "Expired g0  0/0 []"},
		"expired when first seen":             {rotation.SwitchInput{Credentials: one(ended)}, "Expired   0/0 []"},
		"all are distrusted":                  {rotation.SwitchInput{Credentials: one(distrusted(g1)), Shown: "g1"}, "None g1  0/0 []"},
		"a second rollover within the first":  {rotation.SwitchInput{Credentials: one(offer("g4", 0), g2, g1), Shown: "g1", Next: "g2", Since: start.Add(-day), Holders: []rotation.Holder{server("a", "g2"), server("b")}}, "Loading g1 g4 0/2 [a b]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.in.Now, c.in.LoadTimeout, c.in.Credential = start, loadTimeout, "ra"
			if got := said(rotation.Switch(c.in)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAnotherCredential(t *testing.T) {
	a1, a2, b1 := offer("a1", 60*day), offer("a2", time.Hour), offer("b1", 30*day)
	in := rotation.SwitchInput{
		Credentials: []rotation.Credential{credential("b", b1), credential("a", a1)}, Shown: "a1", Credential: "a",
		Next: "b1", Since: start.Add(-day), LoadTimeout: loadTimeout, Now: start,
	}
	old, updated := mounting(server("old", "a1"), "a"), mounting(server("new", "b1", "a1"), "b", "a")
	in.Holders = []rotation.Holder{old, updated}
	// The Deployment is paused: however long that lasts, nobody is shown what the old one cannot open.
	p := rotation.Switch(in)
	if got := said(p); got != "Stuck a1 b1 1/2 [old]" || !slices.Equal(p.NotMounted, []string{"old"}) {
		t.Errorf("%s, not mounted: %v", got, p.NotMounted)
	}
	if !p.Deadline.Equal(a1.NotAfter) || !slices.Equal(p.Keyrings(), []string{"b", "a"}) {
		t.Errorf("until %s, keyrings %v", p.Deadline, p.Keyrings())
	}
	in.Holders = []rotation.Holder{updated}
	p = rotation.Switch(in)
	want := []raconfig.Accepted{{Credential: "a", Generation: "a1", Until: a1.NotAfter}}
	if got := said(p); got != "Shown b1  1/1 []" || !cmp.Equal(p.Accepted, want) || !slices.Equal(p.Keyrings(), []string{"b", "a"}) {
		t.Errorf("%s, accepted: %v, keyrings %v", got, p.Accepted, p.Keyrings())
	}
	// While the other has nothing to show, the first is rolled over as ever.
	in.Credentials = []rotation.Credential{credential("b"), credential("a", a2, a1)}
	in.Holders = []rotation.Holder{mounting(server("x", "a2", "a1"), "a")}
	if got := said(rotation.Switch(in)); got != "Shown a2  1/1 []" {
		t.Error(got)
	}
}

func TestWhatWasShownIsAccepted(t *testing.T) {
	g1, g2, g3 := offer("g1", 89*day), offer("g2", 60*day), offer("g3", 0)
	in := rotation.SwitchInput{
		Credentials: []rotation.Credential{credential("ra", g3, g2, g1)}, Shown: "g2", Credential: "ra",
		Holders: []rotation.Holder{server("a", "g3", "g2", "g1")}, LoadTimeout: loadTimeout, Now: start,
	}
	before := []raconfig.Accepted{{Credential: "ra", Generation: "g1", Until: start.Add(2 * day)}}
	for name, tc := range map[string]struct {
		change func(*rotation.SwitchInput)
		want   []raconfig.Accepted
	}{
		"both":              {func(*rotation.SwitchInput) {}, append(slices.Clone(before), raconfig.Accepted{Credential: "ra", Generation: "g2", Until: g2.NotAfter})},
		"long enough":       {func(in *rotation.SwitchInput) { in.Now = start.Add(2 * day) }, []raconfig.Accepted{{Credential: "ra", Generation: "g2", Until: g2.NotAfter}}},
		"a server shows it": {func(in *rotation.SwitchInput) { in.Now, in.Shown, in.Holders[0].Shows = start.Add(2*day), "g3", "g1" }, []raconfig.Accepted{{Credential: "ra", Generation: "g1", Until: start.Add(2*day + 2*overlap + rotation.Settle)}}},
		"it is shown again": {func(in *rotation.SwitchInput) {
			in.Shown = "g1"
			in.Credentials[0].Offers = in.Credentials[0].Offers[2:]
		}, nil},
		"gone from keyring": {func(in *rotation.SwitchInput) {
			in.Shown = "g3"
			in.Credentials[0].Offers = in.Credentials[0].Offers[:2]
		}, nil},
		"distrusted":          {func(in *rotation.SwitchInput) { in.Shown = "g3"; in.Credentials[0].Offers[2].Distrusted = true }, nil},
		"what it follows was": {func(in *rotation.SwitchInput) { in.Credentials[0].Offers[1].Distrusted = true }, before},
		"the credential gone": {func(in *rotation.SwitchInput) { in.Accepted[0].Credential = "other"; in.Shown = "g3" }, nil},
		"longer than its end": {func(in *rotation.SwitchInput) { in.Now = g2.NotAfter.Add(-day); in.Accepted = nil }, []raconfig.Accepted{{Credential: "ra", Generation: "g2", Until: g2.NotAfter.Add(-day + overlap + rotation.Settle)}}},
		"of many the last": {func(in *rotation.SwitchInput) {
			in.Shown = "g3"
			for range 12 {
				in.Accepted = append(in.Accepted, raconfig.Accepted{Credential: "ra", Generation: "g2", Until: start.Add(day)})
			}
		}, slices.Repeat([]raconfig.Accepted{{Credential: "ra", Generation: "g2", Until: start.Add(day)}}, 8)},
	} {
		t.Run(name, func(t *testing.T) {
			in := in
			in.Accepted, in.Holders = slices.Clone(before), slices.Clone(in.Holders)
			in.Credentials = []rotation.Credential{credential("ra", g3, g2, g1)}
			tc.change(&in)
			if diff := cmp.Diff(tc.want, rotation.Switch(in).Accepted, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestEveryOrderOfLoadsIsSafe plays a rollover with the servers loading in every order
// and a crash of the operator (that is: another plan) after each step. A generation is
// never shown while a server lacks it, and at the end it is.
func TestEveryOrderOfLoadsIsSafe(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		in := rotation.SwitchInput{
			Credentials: []rotation.Credential{credential("ra", offer("g2", 0), offer("g1", 60*day))}, Shown: "g1", Credential: "ra",
			Holders: []rotation.Holder{server("a", "g1"), server("b", "g1"), server("c", "g1")}, LoadTimeout: loadTimeout, Now: start,
		}
		for step := 0; ; step++ {
			in.Shown = rotation.Switch(in).Active
			if lacking := slices.IndexFunc(in.Holders, func(h rotation.Holder) bool { return !slices.Contains(h.Holds, in.Shown) }); lacking >= 0 {
				t.Fatalf("order %v, step %d: %s is shown though %s lacks it", order, step, in.Shown, in.Holders[lacking].Name)
			}
			if step == len(order) {
				break
			}
			in.Holders[order[step]].Holds = []string{"g2", "g1"}
		}
		if in.Shown != "g2" {
			t.Errorf("order %v: it ends with %s", order, in.Shown)
		}
	}
}

func TestTheNextLookAtASwitch(t *testing.T) {
	g1 := offer("g1", life-10*time.Minute)
	in := rotation.SwitchInput{
		Credentials: []rotation.Credential{credential("ra", offer("g3", -2*time.Minute), offer("g2", 0), g1)}, Shown: "g1", Credential: "ra",
		Holders: []rotation.Holder{silent("a")}, LoadTimeout: loadTimeout, Now: start,
	}
	for _, want := range []time.Duration{2 * time.Minute, 10 * time.Minute} {
		p := rotation.Switch(in)
		if got := p.Wake.Sub(start); got != want {
			t.Fatalf("the next look is after %s, not %s: %+v", got, want, p)
		}
		in.Now, in.Next, in.Since = p.Wake, p.Next, p.Since
	}
	if p := rotation.Switch(in); p.Active != "g3" {
		t.Errorf("at the end of the first %s is shown", p.Active)
	}
}
