package rotation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/rotation"
)

const (
	acceptWithin = 7 * day
)

// site is an endpoint whose servers show a client credential to services that pin it.
type site struct {
	name string
	// active is what its configuration names: all that outlives a crash.
	active string
	// pins are the generations that a service accepts, by the service's challenge.
	pins map[string][]string
	// away are services that nobody reaches, unasked those with clientProbe None.
	away, unasked map[string]bool
	// stuck is a server that loads nothing any more.
	stuck bool
	holds [2][]string // of its two servers
	plan  *rotation.ClientPlan
}

// estate is a client credential through time, with its keyring and the endpoints that use it.
type estate struct {
	*world
	sites []*site
	// crash ends the operator's work before the action of that number.
	crash, actions int
	// moves are the switches, in order.
	moves []string
}

func newEstate(t *testing.T, sites ...*site) *estate {
	e := &estate{world: newWorld(t, v1alpha1.RoleClient), sites: sites, crash: -1}
	e.issue(0)
	return e
}

func newSite(name string, services ...string) *site {
	s := &site{name: name, pins: map[string][]string{}, away: map[string]bool{}, unasked: map[string]bool{}}
	for _, service := range services {
		s.pins[service] = nil
	}
	return s
}

// id is the ID of a generation by its name.
func (e *estate) id(name string) string {
	for id, called := range e.names {
		if called == name {
			return id
		}
	}
	e.t.Fatalf("there is no generation %s", name)
	return ""
}

// pin registers generations, and no others, with a service.
func (e *estate) pin(s *site, service string, names ...string) {
	s.pins[service] = nil
	for _, name := range names {
		s.pins[service] = append(s.pins[service], e.id(name))
	}
}

// act says whether the operator gets to its next action.
func (e *estate) act() bool {
	e.actions++
	return e.crash < 0 || e.actions <= e.crash
}

// tick has the operator and the servers work once, at a time after the start.
func (e *estate) tick(at time.Duration) {
	e.t.Helper()
	e.in.Now = start.Add(at)
	if e.act() {
		e.in.Shown = nil
		for _, s := range e.sites {
			if s.active != "" {
				e.in.Shown = append(e.in.Shown, s.active)
			}
		}
		e.step(at)
	}
	for _, s := range e.sites {
		for i := range s.holds {
			if i == 0 || !s.stuck {
				s.holds[i] = e.in.Keyring.IDs()
			}
		}
		s.plan = rotation.PlanClient(e.input(s))
		if e.act() && s.plan.Active != s.active {
			e.moves = append(e.moves, s.name+":"+e.names[s.plan.Active])
			s.active = s.plan.Active
		}
	}
}

// settle ticks until nothing moves any more: what takes servers and operator seconds.
func (e *estate) settle(at time.Duration) {
	e.t.Helper()
	for range 4 {
		e.tick(at)
	}
}

func (e *estate) input(s *site) rotation.ClientInput {
	in := rotation.ClientInput{Active: s.active, AcceptWithin: acceptWithin, LoadTimeout: loadTimeout, Now: e.in.Now}
	for i := range e.in.Keyring.Generations {
		g := &e.in.Keyring.Generations[i]
		c := g.Certificates[0].Certificate
		in.Generations = append(in.Generations, rotation.ClientGeneration{
			ID: g.ID, AddedAt: g.AddedAt, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
			Distrusted:     slices.Contains(e.in.Distrusted, raconfig.Fingerprint(c)),
			ShownElsewhere: slices.ContainsFunc(e.sites, func(other *site) bool { return other != s && other.active == g.ID }),
		})
	}
	for service := range s.pins {
		in.Services = append(in.Services, rotation.ClientService{Challenge: service, Unasked: s.unasked[service]})
	}
	for i, holds := range s.holds {
		in.Servers = append(in.Servers, rotation.ClientServer{Name: fmt.Sprintf("%s-%d", s.name, i), Holds: holds, Probes: s.probes(holds)})
	}
	return in
}

func (s *site) probes(holds []string) []raconfig.ClientProbe {
	var out []raconfig.ClientProbe
	for service, pins := range s.pins {
		for _, id := range holds {
			p := raconfig.ClientProbe{Generation: id, Challenge: service, Result: v1alpha1.ClientRefused, Reason: v1alpha1.ClientReasonForbidden, HTTPStatus: 403}
			switch {
			case s.away[service]:
				p.Result, p.Reason, p.HTTPStatus = v1alpha1.ClientUnreachable, v1alpha1.ClientReasonNetwork, 0
			case slices.Contains(pins, id):
				p.Result, p.Reason, p.HTTPStatus = v1alpha1.ClientAccepted, "", 405
			}
			out = append(out, p)
		}
	}
	return out
}

// shows compares what a site shows, what is next there, and how far that is.
func (e *estate) shows(s *site, active, next string, step v1alpha1.ClientStep) {
	e.t.Helper()
	if got := e.names[s.active]; got != active || e.names[s.plan.Next] != next || s.plan.Step != step {
		e.t.Fatalf("at %s %s shows %q, next %q, %s; want %q, %q, %s", e.in.Now.Sub(start), s.name, got, e.names[s.plan.Next], s.plan.Step, active, next, step)
	}
}

const (
	idle        = v1alpha1.ClientIdle
	loading     = v1alpha1.ClientLoading
	probing     = v1alpha1.ClientProbing
	notAccepted = v1alpha1.ClientNotAccepted
)

// rollover is a whole rotation at a site whose service pins thumbprints.
func rollover(e *estate) *estate {
	s := e.sites[0]
	e.settle(0)
	e.pin(s, "mdm", "g1")
	e.settle(day)
	e.issue2(60 * day)
	e.settle(60 * day)
	e.settle(62 * day)
	e.pin(s, "mdm", "g1", "g2") // somebody registers it
	e.settle(62*day + time.Hour)
	e.settle(100 * day)
	return e
}

// issue2 issues at a time after the start.
func (e *estate) issue2(at time.Duration) {
	e.t.Helper()
	e.in.Now = start.Add(at)
	e.issue(0)
}

func TestAPinnedClientCertificateFromPublishToRetirement(t *testing.T) {
	s := newSite("corp", "mdm")
	e := newEstate(t, s)
	e.settle(0)
	e.shows(s, "g1", "", idle) // there is nothing else to show
	e.pin(s, "mdm", "g1")
	e.issue2(60 * day)
	e.tick(60 * day)
	e.expect("g2 g1") // published
	e.shows(s, "g1", "g2", probing)
	if due := s.plan.Due.Sub(start); due != 67*day {
		t.Errorf("a person is told at %s", due)
	}
	e.settle(66 * day)
	e.shows(s, "g1", "g2", probing)
	e.settle(67 * day)
	e.shows(s, "g1", "g2", notAccepted)
	if got := s.plan.Services[0]; got.Next.Reason != v1alpha1.ClientReasonForbidden || got.Active.Answer != v1alpha1.ClientAccepted {
		t.Errorf("the service says %+v of the next and %+v of the one in use", got.Next, got.Active)
	}
	e.pin(s, "mdm", "g1", "g2")
	e.settle(68 * day)
	e.shows(s, "g2", "", idle)
	e.expect("g2 g1") // the one before stays until its end
	e.settle(91 * day)
	e.expect("g2")
	if got := strings.Join(e.moves, " "); got != "corp:g1 corp:g2" {
		t.Errorf("moves %q", got)
	}
}

// TestAClientRolloverSurvivesACrashAtAnyStep has the operator end before each of its
// actions in turn, and come back a week later.
func TestAClientRolloverSurvivesACrashAtAnyStep(t *testing.T) {
	whole := rollover(newEstate(t, newSite("corp", "mdm")))
	if got := strings.Join(whole.moves, " "); got != "corp:g1 corp:g2" {
		t.Fatalf("moves %q", got)
	}
	for crash := range whole.actions {
		s := newSite("corp", "mdm")
		e := newEstate(t, s)
		e.settle(0)
		e.pin(s, "mdm", "g1")
		e.issue2(60 * day)
		e.crash = e.actions + crash
		e.settle(60 * day)
		s.pins["mdm"] = []string{s.active}
		e.settle(61 * day)
		if e.names[s.active] != "g1" {
			t.Fatalf("crash %d: a generation is shown that nobody accepts", crash)
		}
		e.crash = -1 // it is back
		e.settle(68 * day)
		if e.names[s.active] != "g1" || e.names[s.plan.Next] != "g2" {
			t.Fatalf("crash %d: %s is shown, next %s", crash, e.names[s.active], e.names[s.plan.Next])
		}
		e.pin(s, "mdm", "g1", "g2")
		e.crash = e.actions + crash
		e.settle(69 * day)
		e.crash = -1
		e.settle(76 * day)
		e.shows(s, "g2", "", idle)
		e.settle(91 * day)
		e.expect("g2")
	}
}

// TestNobodyRegisters: the first stays until its end, then the second cannot be worse.
func TestNobodyRegisters(t *testing.T) {
	s := newSite("corp", "mdm")
	e := newEstate(t, s)
	e.settle(0)
	e.pin(s, "mdm", "g1")
	e.issue2(60 * day)
	e.settle(60 * day)
	e.settle(life - time.Second)
	e.shows(s, "g1", "g2", notAccepted)
	if wake := s.plan.Wake.Sub(start); wake != life {
		t.Errorf("the next look is at %s", wake)
	}
	e.tick(life)
	if e.names[s.active] != "g2" || !s.plan.Forced {
		t.Errorf("shown is %s, forced %v", e.names[s.active], s.plan.Forced)
	}
	e.tick(life + time.Minute)
	e.shows(s, "g2", "", idle)
	if s.plan.Forced || s.plan.Services[0].Active.Answer != v1alpha1.ClientRefused {
		t.Errorf("it is said once that it was forced; the service says %+v", s.plan.Services[0].Active)
	}
}

func TestTwoSitesAndTwoServices(t *testing.T) {
	one, two := newSite("one", "mdm", "hook"), newSite("two", "mdm")
	e := newEstate(t, one, two)
	e.settle(0)
	e.pin(one, "mdm", "g1")
	e.pin(one, "hook", "g1")
	e.pin(two, "mdm", "g1")
	e.issue2(60 * day)
	e.settle(60 * day)
	e.pin(one, "mdm", "g1", "g2")
	e.pin(two, "mdm", "g2") // a service with room for one
	e.settle(61 * day)
	e.shows(one, "g1", "g2", probing) // one of its services is missing
	e.shows(two, "g2", "", idle)
	e.settle(91 * day)
	e.shows(one, "g2", "", idle) // by then g1 has ended
	e.settle(92 * day)
	e.expect("g2")
}

// TestASecondRolloverInTheMiddle: the newest that is accepted is shown.
func TestASecondRolloverInTheMiddle(t *testing.T) {
	s := newSite("corp", "mdm")
	e := newEstate(t, s)
	e.settle(0)
	e.pin(s, "mdm", "g1")
	e.issue2(60 * day)
	e.settle(60 * day)
	e.issue2(62 * day)
	e.settle(62 * day)
	e.shows(s, "g1", "g3", probing)
	if due := s.plan.Due.Sub(start); due != 67*day {
		t.Errorf("waiting begins anew: due at %s", due)
	}
	e.pin(s, "mdm", "g1", "g2")
	e.settle(63 * day)
	e.shows(s, "g2", "g3", probing)
	e.pin(s, "mdm", "g2", "g3")
	e.settle(64 * day)
	e.shows(s, "g3", "", idle)
	if got := strings.Join(e.moves, " "); got != "corp:g1 corp:g2 corp:g3" {
		t.Errorf("moves %q", got)
	}
}

// TestDistrustKnowsNoOverlap: what is distrusted is not shown, accepted or not.
func TestDistrustKnowsNoOverlap(t *testing.T) {
	s := newSite("corp", "mdm")
	e := newEstate(t, s)
	e.settle(0)
	e.pin(s, "mdm", "g1")
	first := raconfig.Fingerprint(e.in.Sources[0].Certificate.Certificate)
	e.issue2(10 * day)
	e.tick(10 * day)
	e.shows(s, "g1", "g2", probing)
	e.in.Distrusted = []string{first}
	e.tick(10*day + time.Minute)
	e.expect("g2")
	e.shows(s, "g2", "", idle)
	if !s.plan.Forced {
		t.Error("it was not said that no service has accepted it")
	}
}

func TestWhatIsWaitedFor(t *testing.T) {
	type change func(*estate, *site)
	for name, c := range map[string]struct {
		change change
		after  time.Duration
		active string
		next   string
		step   v1alpha1.ClientStep
	}{
		"a server that does not load it":  {func(_ *estate, s *site) { s.stuck = true }, time.Minute, "g1", "g2", loading},
		"one that is waited for too long": {func(_ *estate, s *site) { s.stuck = true }, loadTimeout, "g2", "", idle},
		"a service that is not reached":   {func(_ *estate, s *site) { s.away["mdm"] = true }, time.Minute, "g1", "g2", probing},
		"a service that is not asked":     {func(e *estate, s *site) { s.unasked["mdm"] = true; s.pins["mdm"] = nil }, 0, "g2", "", idle},
		"a service that lost it":          {func(e *estate, s *site) { e.pin(s, "mdm") }, time.Minute, "g1", "g2", probing},
		"nothing":                         {func(*estate, *site) {}, 0, "g2", "", idle},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite("corp", "mdm")
			e := newEstate(t, s)
			e.settle(0)
			e.issue2(60 * day)
			c.change(e, s)
			next := raconfig.GenerationID(e.in.Sources[0].Certificate.Certificate)
			if name != "a service that lost it" {
				s.pins["mdm"] = []string{s.active, next}
			}
			e.settle(60 * day)
			e.settle(60*day + c.after)
			e.shows(s, c.active, c.next, c.step)
		})
	}
}

// TestAnswersOfSeveralServers: half of a service may know a certificate.
func TestAnswersOfSeveralServers(t *testing.T) {
	answer := func(results ...v1alpha1.ClientAnswer) string {
		in := rotation.ClientInput{
			Active: "a", Now: start, AcceptWithin: day, LoadTimeout: day, Services: []rotation.ClientService{{Challenge: "mdm"}},
			Generations: []rotation.ClientGeneration{
				{ID: "b", AddedAt: start, NotBefore: start, NotAfter: start.Add(life)}, {ID: "a", AddedAt: start, NotBefore: start, NotAfter: start.Add(life)},
			},
		}
		for i, result := range results {
			in.Servers = append(in.Servers, rotation.ClientServer{
				Name: fmt.Sprint(i), Holds: []string{"a", "b"}, Probes: []raconfig.ClientProbe{{Generation: "b", Challenge: "mdm", Result: result}},
			})
		}
		return rotation.PlanClient(in).Active
	}
	const yes, no, away, unclear = v1alpha1.ClientAccepted, v1alpha1.ClientRefused, v1alpha1.ClientUnreachable, v1alpha1.ClientUnclear
	for want, cases := range map[string][][]v1alpha1.ClientAnswer{
		"b": {{yes}, {yes, yes}, {yes, away}, {unclear, yes}},
		"a": {{}, {no}, {yes, no}, {no, yes}, {away}, {unclear}, {away, unclear}},
	} {
		for _, results := range cases {
			if got := answer(results...); got != want {
				t.Errorf("%v: %s is shown, want %s", results, got, want)
			}
		}
	}
}

// TestAClockThatIsSetBack leaves alone what is shown.
func TestAClockThatIsSetBack(t *testing.T) {
	s := newSite("corp", "mdm")
	e := rollover(newEstate(t, s))
	e.tick(-day)
	if e.names[s.active] != "g2" {
		t.Errorf("shown is %s", e.names[s.active])
	}
}

// TestAnEndpointThatComesLater begins with what another does well with.
func TestAnEndpointThatComesLater(t *testing.T) {
	first := newSite("first", "mdm")
	e := newEstate(t, first)
	e.settle(0)
	e.pin(first, "mdm", "g1")
	e.issue2(60 * day)
	e.settle(60 * day)
	later := newSite("later")
	later.unasked["mdm"], later.pins["mdm"] = false, nil
	e.sites = append(e.sites, later)
	e.settle(61 * day)
	e.shows(later, "g1", "g2", probing)
}
