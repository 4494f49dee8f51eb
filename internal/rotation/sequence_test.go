package rotation_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/rotation"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// rolesOf the layouts.
var (
	pair     = []v1alpha1.CredentialRole{v1alpha1.RoleSigning, v1alpha1.RoleEncryption}
	combined = []v1alpha1.CredentialRole{v1alpha1.RoleCombined}
)

func TestRotationsAsEver(t *testing.T) {
	s := newSim(t, 2, pair...)
	s.run(time.Hour)
	for range 6 {
		s.expectHealthy()
		s.run(simLife - simRenewBefore)
	}
}

// TestACrashBeforeEveryWrite plays two rotations, and again with a crash before the first
// write, the second, and so on, for a short and for a long outage.
func TestACrashBeforeEveryWrite(t *testing.T) {
	play := func(crashAt int, outage time.Duration) *sim {
		s := newSim(t, 2, combined...)
		s.crashAt, s.outage = crashAt, outage
		s.run(40*time.Hour + outage)
		s.expectHealthy()
		return s
	}
	writes := play(0, 0).writes
	if writes < 20 {
		t.Fatalf("there are only %d writes", writes)
	}
	for _, outage := range []time.Duration{simTick, 6 * time.Hour} {
		for crashAt := 1; crashAt <= writes; crashAt++ {
			t.Run(fmt.Sprintf("%s-%d", outage, crashAt), func(*testing.T) { play(crashAt, outage) })
		}
	}
}

// renew has cert-manager issue now, whatever the time.
func (s *sim) renew(name string) {
	c := s.credential(name)
	for i := range c.dueAt {
		c.dueAt[i] = s.now
	}
}

// settled is a world at rest, a while after its start.
func settled(t *testing.T, endpoints int, roles ...v1alpha1.CredentialRole) *sim {
	t.Helper()
	s := newSim(t, endpoints, roles...)
	s.run(time.Hour)
	s.expectHealthy()
	return s
}

func TestExpiredWhenFirstSeen(t *testing.T) {
	s := settled(t, 1, pair...)
	s.issuer.down, s.away = true, s.now.Add(2*simLife)
	s.run(simLife + 2*time.Hour)
	if left := s.credentials[0].keyring.Generations[0].NotAfter().Sub(s.now); left > 0 {
		t.Fatalf("there are %s left", left)
	}
	s.issuer.down, s.away = false, s.now
	s.run(2 * simTick)
	s.expectHealthy()
	s.run(simLife)
	s.expectHealthy()
}

func TestAnIssuerDownForDays(t *testing.T) {
	s := settled(t, 1, pair...)
	s.issuer.down = true
	s.run(3 * simLife)
	if stage := s.endpoints[0].status.Stage; stage != rotation.StageExpired || s.endpoints[0].servers[0].shows == "" {
		t.Errorf("stage %s, %q is shown", stage, s.endpoints[0].servers[0].shows)
	}
	s.issuer.down = false
	s.run(2 * simTick)
	s.expectHealthy()
	s.run(simLife)
}

func TestRenewedWhileTheOperatorWasAway(t *testing.T) {
	for _, away := range []time.Duration{10 * time.Hour, 20 * time.Hour, 70 * time.Hour} {
		s := settled(t, 2, pair...)
		s.away = s.now.Add(away)
		s.run(away + 2*simTick)
		s.expectHealthy()
		s.run(simLife)
		s.expectHealthy()
	}
}

func TestUnfitCertificatesAreNeverShown(t *testing.T) {
	for name, spoil := range map[string]func(*simIssuer){
		"wrong usages": func(i *simIssuer) { i.wrong = 3 },
		"another key":  func(i *simIssuer) { i.mismatched = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			s := settled(t, 1, pair...)
			first := s.endpoints[0].shown
			spoil(&s.issuer)
			s.renew("ra")
			s.run(simTick)
			if s.endpoints[0].shown != first || len(s.credentials[0].keyring.Generations) != 1 {
				t.Errorf("what does not fit came in: %v", s.credentials[0].keyring.IDs())
			}
			s.run(simLife / 2)
			s.expectHealthy()
			if s.endpoints[0].shown == first {
				t.Error("nothing was issued anew")
			}
		})
	}
}

func TestTheClockOfTheOperatorJumpsBack(t *testing.T) {
	for _, back := range []time.Duration{time.Hour, 10 * time.Hour, 3 * simLife} {
		s := settled(t, 1, pair...)
		s.run(simLife - simRenewBefore + simTick)
		s.expectHealthy()
		shown := s.endpoints[0].shown
		s.skew = -back
		s.run(2 * time.Hour)
		if s.endpoints[0].shown != shown {
			t.Errorf("%s back: an earlier generation is shown", back)
		}
		s.skew = 0
		s.run(simLife)
		s.expectHealthy()
	}
}

func TestTheCAChangesWithinARollover(t *testing.T) {
	for _, after := range []time.Duration{0, simTick, 2 * simTick, 3 * simTick, time.Hour} {
		s := settled(t, 1, pair...)
		s.cas = append(s.cas, sceptest.NewCA(t))
		for _, r := range s.endpoints[0].servers {
			r.lag = simTick
		}
		s.renew("ra")
		s.run(after)
		s.issuer.ca = 1
		s.renew("ra")
		s.run(time.Hour)
		s.expectHealthy()
		for _, c := range s.credentials[0].keyring.Generations[0].Certificates {
			if !s.cas[1].Issued(c.Certificate) {
				t.Errorf("%s after the renewal: it comes from the former CA", after)
			}
		}
		s.run(simLife)
	}
}

func TestDistrust(t *testing.T) {
	s := settled(t, 2, pair...)
	s.renew("ra")
	s.run(time.Hour)
	for _, e := range s.endpoints { // one server of each takes nothing in any more
		e.servers[0].lost = true
	}
	victim := s.endpoints[0].shown
	s.exempt[victim] = true
	c := s.credential("ra")
	for _, g := range c.keyring.Generations {
		if g.ID == victim {
			c.distrusted = append(c.distrusted, raconfig.Fingerprint(g.Certificates[0].Certificate))
		}
	}
	s.run(2 * simTick)
	for _, e := range s.endpoints {
		if e.shown == victim || slices.Contains(c.keyring.IDs(), victim) {
			t.Fatalf("%s shows what is distrusted, or the keyring holds it", e.name)
		}
		e.servers[0].lost = false
	}
	s.renew("ra")
	s.run(simLife)
	for _, e := range s.endpoints {
		for _, r := range e.servers {
			if r.shows == victim {
				t.Errorf("%s shows it again", r.name)
			}
		}
	}
	s.expectHealthy()
}

func TestASecondRolloverWithinTheFirst(t *testing.T) {
	for _, every := range []time.Duration{simTick, 2 * simTick, 3 * simTick} {
		s := settled(t, 1, pair...)
		for _, r := range s.endpoints[0].servers {
			r.lag = simTick
		}
		for range raconfig.MaxGenerations - 1 {
			s.renew("ra")
			s.run(every)
			if n := len(s.credentials[0].keyring.Generations); n > raconfig.MaxGenerations {
				t.Fatalf("%d generations", n)
			}
		}
		s.run(time.Hour)
		s.expectHealthy()
	}
}

// TestRenewedWithoutPause renews so often that the keyring is always full, while what the
// endpoint shows is known a tick late. A device that fetched GetCACert one rotation ago is
// served all the same.
func TestRenewedWithoutPause(t *testing.T) {
	for _, lag := range []time.Duration{0, simTick, 2 * simTick} {
		for every := simTick; every <= 5*simTick; every += simTick {
			t.Run(fmt.Sprintf("every %s, loaded after %s", every, lag), func(t *testing.T) {
				s := settled(t, 1, pair...)
				s.stale = true
				for _, r := range s.endpoints[0].servers {
					r.lag = lag
				}
				if rotations := s.renewWithoutPause(40, every); rotations < raconfig.MaxGenerations {
					t.Errorf("%d rotations in %s", rotations, 40*every)
				}
				s.run(time.Hour)
				s.expectHealthy()
			})
		}
	}
}

// renewWithoutPause renews so many times, and counts how often the endpoint switched.
func (s *sim) renewWithoutPause(times int, every time.Duration) int {
	rotations := 0
	for range times {
		before := s.endpoints[0].shown
		s.renew("ra")
		s.run(every)
		if after := s.endpoints[0].shown; after != before {
			s.forgetAllBut(s.endpoints[0], before, after)
			rotations++
		}
	}
	return rotations
}

// forgetAllBut leaves only those devices that fetched one of some generations.
func (s *sim) forgetAllBut(e *simEndpoint, ids ...string) {
	maps.DeleteFunc(e.fetched, func(id string, _ time.Time) bool { return !slices.Contains(ids, id) })
}

func TestLostServers(t *testing.T) {
	for name, lose := range map[string]func(*simServer){
		"loads nothing":       func(r *simServer) { r.lost = true },
		"says nothing":        func(r *simServer) { r.mute = true },
		"is away":             func(r *simServer) { r.lost, r.mute, r.unready = true, true, true },
		"does not end either": func(r *simServer) { r.lost, r.mute, r.unready, r.leaving = true, true, true, start.Add(100*simLife) },
	} {
		t.Run(name, func(t *testing.T) {
			s := settled(t, 2, pair...)
			e, first := s.endpoints[0], s.endpoints[0].shown
			lose(e.servers[1])
			s.renew("ra")
			s.run(simLoadTimeout)
			if e.shown != first || e.status.Stage != rotation.StageLoading {
				t.Fatalf("it did not wait: %s", e.status.Stage)
			}
			if other := s.endpoints[1]; other.shown == first {
				t.Error("the other endpoint waits for a server that is none of its own")
			}
			s.run(3 * simTick)
			if e.shown == first || e.status.Stage != rotation.StageForced || !slices.Equal(e.status.Missing, []string{e.servers[1].name}) {
				t.Fatalf("it did not go on: stage %s, missing %v", e.status.Stage, e.status.Missing)
			}
			s.run(3 * simLife)
			*e.servers[1] = simServer{name: e.servers[1].name, mounts: e.servers[1].mounts, holds: e.servers[1].holds, shows: e.servers[1].shows}
			s.run(2 * simTick)
			s.expectHealthy()
		})
	}
}

func TestAChangeOfLayout(t *testing.T) {
	s := settled(t, 1, pair...)
	c := s.credential("ra")
	c.sources, c.dueAt = []rotation.Source{{Role: v1alpha1.RoleCombined}}, []time.Time{s.now}
	s.run(3 * simTick)
	s.expectHealthy()
	if n := len(c.keyring.Generations[0].Certificates); n != 1 {
		t.Errorf("the newest has %d certificates", n)
	}
	s.run(simLife)
}

// TestAnotherCredentialIsReferredTo changes raCredentialRef, with a crash before every
// write, while the Deployment is paused, and back again at any time.
func TestAnotherCredentialIsReferredTo(t *testing.T) {
	writes := 0 // of the play that went before
	play := func(t *testing.T, crashAt int, paused, back time.Duration) {
		t.Helper()
		s := newSim(t, 2, combined...)
		s.addCredential("other", pair...)
		s.run(time.Hour)
		s.outage = 2 * simTick
		if crashAt > 0 {
			s.crashAt = s.writes + crashAt
		}
		before, e := s.writes, s.endpoints[0]
		e.refers, e.paused = "other", paused > 0
		if back > 0 {
			s.run(back)
			e.refers = "ra"
		}
		s.run(paused)
		if e.paused && e.of != "ra" {
			t.Fatalf("%s of %s is shown, which no server mounts", e.shown, e.of)
		}
		e.paused = false
		s.run(simLife + 6*time.Hour)
		s.untilHealthy()
		if !slices.Equal(e.mounts, []string{e.refers}) {
			t.Errorf("what nobody needs any more is mounted: %v", e.mounts)
		}
		writes = s.writes - before
	}
	t.Run("paused", func(t *testing.T) { play(t, 0, 6*time.Hour, 0) })
	for back := simTick; back < 2*time.Hour; back += 5 * simTick {
		t.Run("back after "+back.String(), func(t *testing.T) { play(t, 0, 0, back) })
	}
	play(t, 0, 0, 0)
	for crashAt := range writes {
		t.Run(fmt.Sprint(crashAt+1), func(t *testing.T) { play(t, crashAt+1, 0, 0) })
	}
}

// TestWhileAnotherCredentialIsNotReady: what is shown is rolled over as ever.
func TestWhileAnotherCredentialIsNotReady(t *testing.T) {
	s := settled(t, 1, pair...)
	s.addCredential("other")
	s.endpoints[0].refers = "other"
	s.run(2 * simLife)
	if e := s.endpoints[0]; e.of != "ra" || e.shown != s.credential("ra").keyring.Generations[0].ID {
		t.Errorf("%s of %s is shown", e.shown, e.of)
	}
}

func TestAThousandCredentials(t *testing.T) {
	s := newSim(t, 0)
	renewals := map[time.Time]int{}
	for i := range 1000 {
		s.now = start
		c := s.addCredential(fmt.Sprint(i), combined...)
		c.early = rotation.Spread(c.name, simLife, simRenewBefore)
		for s.now.Before(start.Add(simLife)) {
			s.certManager(c)
			s.reconcileCredential(c)
			if newest := c.keyring.Generations[0]; newest.AddedAt.Equal(s.now) && s.now.After(start) {
				renewals[s.now.Truncate(10*time.Minute)]++
			}
			s.now = c.dueAt[0]
			if c.next.After(start) && c.next.Before(s.now) {
				s.now = c.next
			}
		}
	}
	total := 0
	for at, n := range renewals {
		if total += n; n > 150 {
			t.Errorf("%d of 1000 are renewed within ten minutes, %s after the start", n, at.Sub(start))
		}
	}
	if total < 1000 {
		t.Errorf("there were %d renewals", total)
	}
}

// TestAnythingAtAnyTime plays what may happen in an order left to chance.
func TestAnythingAtAnyTime(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playAnything(t, seed) })
	}
}

func playAnything(t *testing.T, seed uint64) {
	t.Helper()
	s := newSim(t, 2, pair...)
	s.addCredential("other", combined...)
	s.random = rand.New(rand.NewPCG(seed, 1))
	s.cas, s.outage = append(s.cas, sceptest.NewCA(t)), time.Hour
	s.run(time.Hour)
	for range 30 {
		happenings[s.random.IntN(len(happenings))](s, s.endpoints[s.random.IntN(2)])
		s.run(time.Duration(1+s.random.IntN(120)) * simTick)
	}
	s.recover()
	s.run(simLife)
	s.untilHealthy()
}

var happenings = []func(*sim, *simEndpoint){
	func(s *sim, _ *simEndpoint) { s.renewAnother("ra") },
	func(s *sim, _ *simEndpoint) { s.renewAnother("other") },
	func(s *sim, e *simEndpoint) { e.refers = map[string]string{"ra": "other", "other": "ra"}[e.refers] },
	func(s *sim, e *simEndpoint) { e.paused = !e.paused },
	func(s *sim, e *simEndpoint) { s.anyServer(e).lost = true },
	func(s *sim, e *simEndpoint) { s.anyServer(e).leaving = s.now.Add(simTick) },
	func(s *sim, _ *simEndpoint) { s.crashAt = s.writes + 1 + s.random.IntN(4) },
	func(s *sim, _ *simEndpoint) { s.away = s.now.Add(time.Duration(s.random.IntN(12)) * time.Hour) },
	func(s *sim, _ *simEndpoint) { s.issuer.wrong = s.random.IntN(3) },
	func(s *sim, _ *simEndpoint) { s.issuer.down = !s.issuer.down },
	func(s *sim, _ *simEndpoint) { s.issuer.ca = 1 },
	func(s *sim, _ *simEndpoint) { s.recover() },
}

// renewAnother renews where that leaves room for those that devices may still use.
func (s *sim) renewAnother(name string) {
	if len(s.credential(name).keyring.Generations) < raconfig.MaxGenerations-1 {
		s.renew(name)
	}
}

func (s *sim) anyServer(e *simEndpoint) *simServer { return e.servers[s.random.IntN(len(e.servers))] }

// recover ends all that is wrong.
func (s *sim) recover() {
	s.issuer.down, s.issuer.wrong, s.away, s.skew = false, 0, s.now, 0
	for _, e := range s.endpoints {
		e.paused = false
		for _, r := range e.servers {
			r.lost, r.mute = false, false
		}
	}
}
