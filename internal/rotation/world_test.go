package rotation_test

import (
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/rotation"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// The small world lives faster than the real one.
const (
	simLife        = 24 * time.Hour
	simRenewBefore = 8 * time.Hour
	simOverlap     = 2 * time.Hour
	simLoadTimeout = 30 * time.Minute
	simTick        = 2 * time.Minute
)

// sim is a small world: an issuer, cert-manager which renews in place, the operator with
// both planners, servers that load what they mount after a while, and devices that have
// fetched GetCACert at any time within the overlap. Only what the operator wrote survives
// its crash.
type sim struct {
	t           testing.TB
	now         time.Time
	skew        time.Duration // of the operator's clock
	cas         []*sceptest.CA
	issuer      simIssuer
	credentials []*simCredential
	endpoints   []*simEndpoint
	random      *rand.Rand // nil: nothing is left to chance

	writes  int
	crashAt int           // the operator dies just before this write; 0: never
	outage  time.Duration // for how long
	away    time.Time     // until when the operator is
	exempt  map[string]bool
	stale   bool // the planner of keyrings sees the endpoints as they were a tick ago
}

// simIssuer is a CA behind a cert-manager issuer.
type simIssuer struct {
	down  bool
	ca    int // which of the CAs signs
	wrong int // so many certificates come with wrong usages
	// mismatched so many with another's key
	mismatched int
}

// simCredential is an RACredential: what cert-manager holds of it, and what the operator wrote.
type simCredential struct {
	name       string
	sources    []rotation.Source // cert-manager's Secrets
	dueAt      []time.Time       // when cert-manager issues next
	keyring    *raconfig.Keyring
	status     rotation.Credential
	distrusted []string
	reissue    *rotation.Reissue
	early      time.Duration // how much earlier it is renewed
	next       time.Time     // when the planner wants to look again
}

// simEndpoint is a ScepEndpoint with its Deployment.
type simEndpoint struct {
	name    string
	refers  string
	shown   string
	of      string
	config  []raconfig.Accepted
	status  *rotation.SwitchPlan // of which the fields of the status are used
	told    *rotation.SwitchPlan // the status as the planner of keyrings sees it
	mounts  []string             // of the Deployment's template
	paused  bool
	servers []*simServer
	made    int
	fetched map[string]time.Time // when a device fetched a generation last
}

// simServer is a replica.
type simServer struct {
	name    string
	mounts  []string
	lag     time.Duration // how long a change takes to be loaded
	changed time.Time     // when what it mounts changed, if it has not loaded that yet
	mounted string        // what it mounts, in short
	lost    bool          // it loads nothing any more
	mute    bool          // it tells the operator nothing
	unready bool
	leaving time.Time // when it is gone
	holds   []string
	shows   string
}

func newSim(t testing.TB, endpoints int, roles ...v1alpha1.CredentialRole) *sim {
	s := &sim{t: t, now: start, cas: []*sceptest.CA{sceptest.NewCA(t)}, exempt: map[string]bool{}}
	s.addCredential("ra", roles...)
	for i := range endpoints {
		e := &simEndpoint{name: fmt.Sprintf("e%d", i+1), refers: "ra", fetched: map[string]time.Time{}, status: &rotation.SwitchPlan{}, told: &rotation.SwitchPlan{}}
		s.endpoints = append(s.endpoints, e)
	}
	return s
}

func (s *sim) addCredential(name string, roles ...v1alpha1.CredentialRole) *simCredential {
	c := &simCredential{name: name, status: rotation.Credential{Name: name, Overlap: simOverlap}}
	for i, role := range roles {
		c.sources = append(c.sources, rotation.Source{Role: role})
		c.dueAt = append(c.dueAt, s.now.Add(time.Duration(i)*simTick))
	}
	s.credentials = append(s.credentials, c)
	return c
}

func (s *sim) credential(name string) *simCredential {
	i := slices.IndexFunc(s.credentials, func(c *simCredential) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return s.credentials[i]
}

// run lets time pass; each tick is checked.
func (s *sim) run(d time.Duration) {
	s.t.Helper()
	for end := s.now.Add(d); s.now.Before(end); {
		s.tick()
	}
}

func (s *sim) tick() {
	s.t.Helper()
	s.now = s.now.Add(simTick)
	for _, c := range s.credentials {
		s.certManager(c)
	}
	if !s.now.Before(s.away) {
		s.operate()
	}
	for _, e := range s.endpoints {
		s.deploymentController(e)
		s.load(e)
	}
	for _, e := range s.endpoints {
		s.check(e)
	}
}

// certManager issues what is due, into the same Secret as before.
func (s *sim) certManager(c *simCredential) {
	for i := range c.sources {
		due := !c.dueAt[i].IsZero() && !s.now.Before(c.dueAt[i])
		c.sources[i].Issuing = due
		if due && !s.issuer.down {
			s.issue(c, i)
			c.dueAt[i] = c.sources[i].Certificate.Certificate.NotAfter.Add(-simRenewBefore - c.early)
			c.sources[i].Issuing = false
		}
	}
}

func (s *sim) issue(c *simCredential, i int) {
	role := c.sources[i].Role
	template := &x509.Certificate{NotBefore: s.now, NotAfter: s.now.Add(simLife), KeyUsage: usages[role]}
	if s.issuer.wrong > 0 {
		s.issuer.wrong--
		template.KeyUsage = x509.KeyUsageCRLSign
	}
	ca, key := s.cas[s.issuer.ca], sceptest.RSAKey(s.t, i+1)
	certificate, err := ca.Issue(template, key.Public())
	if err != nil {
		s.t.Fatal(err)
	}
	if s.issuer.mismatched > 0 {
		s.issuer.mismatched--
		key = sceptest.RSAKey(s.t, i+2)
	}
	c.sources[i].Certificate = &raconfig.Certificate{Role: role, Certificate: certificate, Chain: ca.Chain(), Key: key}
}

// write makes one write of the operator, unless it dies just before.
func (s *sim) write(do func()) bool {
	s.writes++
	if s.writes == s.crashAt {
		s.away = s.now.Add(s.outage)
		return false
	}
	do()
	return true
}

// operate reconciles everything once, until it dies.
func (s *sim) operate() {
	if !s.stale {
		s.tell()
	}
	for _, c := range s.credentials {
		if !s.reconcileCredential(c) {
			return
		}
	}
	s.tell()
	for _, e := range s.endpoints {
		if !s.reconcileEndpoint(e) {
			return
		}
	}
}

// tell has the planner of keyrings see the endpoints as they are.
func (s *sim) tell() {
	for _, e := range s.endpoints {
		e.told = e.status
	}
}

func (s *sim) clock() time.Time { return s.now.Add(s.skew) }

func (s *sim) reconcileCredential(c *simCredential) bool {
	in := rotation.Input{
		Sources: c.sources, Keyring: c.keyring, Distrusted: c.distrusted, Reissue: c.reissue, Overlap: simOverlap,
		RenewBefore: simRenewBefore, Now: s.clock(), KeptUntil: map[string]time.Time{},
	}
	for _, e := range s.endpoints {
		if e.told.Active != "" && e.told.Credential == c.name {
			in.Shown = append(in.Shown, e.told.Active)
		}
		for _, a := range e.told.Accepted {
			if a.Credential == c.name {
				in.KeptUntil[a.Generation] = a.Until
			}
		}
	}
	for _, e := range s.endpoints { // one tells which CA signs
		if e.shown != "" {
			in.Expected = []rotation.Authority{{Fingerprint: raconfig.Fingerprint(s.cas[s.issuer.ca].Certificate), Since: start}}
		}
	}
	p := rotation.Make(in)
	changed := c.keyring == nil || !slices.Equal(c.keyring.IDs(), p.Keyring.IDs())
	if changed && !s.write(func() { c.keyring = p.Keyring }) {
		return false
	}
	c.reissue, c.next = p.Reissue, p.Next
	for i := range c.sources {
		if slices.Contains(p.IssueNow, c.sources[i].Role) {
			c.dueAt[i] = s.now
		}
	}
	if offers := offersOf(p.Keyring, c.distrusted); !slices.Equal(offers, c.status.Offers) {
		return s.write(func() { c.status.Offers = offers })
	}
	return true
}

func offersOf(k *raconfig.Keyring, distrusted []string) []rotation.Offer {
	var out []rotation.Offer
	for i := range k.Generations {
		g := &k.Generations[i]
		o := rotation.Offer{ID: g.ID, NotAfter: g.NotAfter()}
		for _, c := range g.Certificates {
			o.NotBefore = later(o.NotBefore, c.Certificate.NotBefore)
			o.Distrusted = o.Distrusted || slices.Contains(distrusted, raconfig.Fingerprint(c.Certificate))
		}
		out = append(out, o)
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *sim) reconcileEndpoint(e *simEndpoint) bool {
	in := rotation.SwitchInput{
		Shown: e.shown, Credential: e.of, Accepted: e.config, Next: e.status.Next, Since: e.status.Since,
		Missing: e.status.Missing, LoadTimeout: simLoadTimeout, Now: s.clock(),
	}
	names := []string{e.refers, e.of}
	for _, a := range e.config {
		names = append(names, a.Credential)
	}
	for i, name := range names {
		if c := s.credential(name); c != nil && !slices.Contains(names[:i], name) && c.keyring != nil {
			in.Credentials = append(in.Credentials, c.status)
		}
	}
	for _, r := range e.servers {
		in.Holders = append(in.Holders, r.holder())
	}
	p := rotation.Switch(in)
	if p.Active == "" {
		return true
	}
	return s.bring(e, p)
}

// bring writes what a plan wants, as far as it differs.
func (s *sim) bring(e *simEndpoint, p *rotation.SwitchPlan) bool {
	differs := e.shown != p.Active || !slices.Equal(e.config, p.Accepted)
	if differs && !s.write(func() { e.shown, e.of, e.config = p.Active, p.Credential, p.Accepted }) {
		return false
	}
	if !slices.Equal(e.mounts, p.Keyrings()) && !s.write(func() { e.mounts = p.Keyrings() }) {
		return false
	}
	if !sameStatus(e.status, p) {
		return s.write(func() { e.status = p })
	}
	return true
}

func sameStatus(a, b *rotation.SwitchPlan) bool {
	return a.Stage == b.Stage && a.Active == b.Active && a.Next == b.Next && a.Since.Equal(b.Since) &&
		a.Held == b.Held && a.Of == b.Of && slices.Equal(a.Missing, b.Missing) && slices.Equal(a.Accepted, b.Accepted)
}

func (r *simServer) holder() rotation.Holder {
	h := rotation.Holder{Name: r.name, Ready: !r.unready && r.leaving.IsZero(), Keyrings: r.mounts}
	if !r.mute {
		h.Answers, h.Holds, h.Shows = true, r.holds, r.shows
	}
	return h
}

func (r *simServer) serves() bool { return r.shows != "" && !r.unready }

const simServers = 3

// deploymentController replaces one server at a time, and no server before its successor
// is ready.
func (s *sim) deploymentController(e *simEndpoint) {
	e.servers = slices.DeleteFunc(e.servers, func(r *simServer) bool { return !r.leaving.IsZero() && !s.now.Before(r.leaving) })
	if e.mounts == nil || e.paused {
		return
	}
	staying := slices.DeleteFunc(slices.Clone(e.servers), func(r *simServer) bool { return !r.leaving.IsZero() })
	outdated := slices.IndexFunc(staying, func(r *simServer) bool { return !slices.Equal(r.mounts, e.mounts) })
	starting := slices.ContainsFunc(staying, func(r *simServer) bool { return r.shows == "" })
	switch {
	case starting:
	case len(staying) < simServers:
		for range simServers - len(staying) {
			s.startServer(e)
		}
	case len(staying) > simServers && outdated >= 0:
		staying[outdated].leaving = s.now.Add(2 * simTick)
	case outdated >= 0:
		s.startServer(e)
	}
}

func (s *sim) startServer(e *simEndpoint) {
	e.made++
	r := &simServer{name: fmt.Sprintf("%s-%d", e.name, e.made), mounts: e.mounts}
	if s.random != nil {
		r.lag = time.Duration(s.random.IntN(2)) * simTick
	}
	e.servers = append(e.servers, r)
}

// load has the servers take over what they mount. One ignores a configuration that names
// a generation it lacks.
func (s *sim) load(e *simEndpoint) {
	for _, r := range e.servers {
		mounted := s.mounted(r)
		state := fmt.Sprint(mounted, e.shown)
		if state != r.mounted {
			r.mounted = state
			if r.changed.IsZero() {
				r.changed = s.now
			}
		}
		if r.lost || r.changed.IsZero() || s.now.Before(r.changed.Add(r.lag)) {
			continue
		}
		r.changed, r.holds = time.Time{}, mounted
		if slices.Contains(mounted, e.shown) {
			r.shows = e.shown
		} else if !slices.Contains(mounted, r.shows) {
			r.holds = append(slices.Clone(mounted), r.shows) // what is in memory stays in use
		}
	}
}

func (s *sim) mounted(r *simServer) []string {
	var out []string
	for _, name := range r.mounts {
		if c := s.credential(name); c != nil && c.keyring != nil {
			out = append(out, c.keyring.IDs()...)
		}
	}
	return out
}

// check is the invariant: whoever fetched GetCACert within the overlap, from any server,
// is served by every server. Nobody can help one that loads nothing any more; the tests
// of lost servers see to it that it is waited for, and named.
func (s *sim) check(e *simEndpoint) {
	s.t.Helper()
	for _, r := range e.servers {
		if r.serves() && !r.mute {
			e.fetched[r.shows] = s.now
		}
	}
	for id, at := range e.fetched {
		if s.now.Sub(at) > simOverlap {
			delete(e.fetched, id)
			continue
		}
		for _, r := range e.servers {
			if r.serves() && !r.lost && !slices.Contains(r.holds, id) && !s.exempt[id] {
				s.t.Fatalf("at %s: a device fetched %s %s ago, and %s of %s cannot open what it sends (it holds %v, the configuration names %s)",
					s.now.Sub(start), id, s.now.Sub(at), r.name, e.name, r.holds, e.shown)
			}
		}
	}
}

// expectHealthy checks that every endpoint is.
func (s *sim) expectHealthy() {
	s.t.Helper()
	for _, e := range s.endpoints {
		if err := s.healthy(e); err != nil {
			s.t.Fatalf("at %s: %s: %v", s.now.Sub(start), e.name, err)
		}
	}
}

// healthy says why not every server shows the newest generation of its credential, or why
// that is about to end.
func (s *sim) healthy(e *simEndpoint) error {
	newest := s.credential(e.refers).keyring.Generations[0]
	switch {
	case e.status.Stage != rotation.StageShown || e.status.Credential != e.refers:
		return fmt.Errorf("it is at stage %s, with %s of %s", e.status.Stage, e.status.Active, e.status.Credential)
	case newest.ID != e.shown || newest.NotAfter().Sub(s.now) < simRenewBefore-time.Hour:
		return fmt.Errorf("it shows %s, the newest is %s with %s left", e.shown, newest.ID, newest.NotAfter().Sub(s.now))
	}
	for _, r := range e.servers {
		if r.shows != e.shown {
			return fmt.Errorf("%s shows %s, not %s", r.name, r.shows, e.shown)
		}
	}
	return nil
}

// untilHealthy lets at most an hour pass.
func (s *sim) untilHealthy() {
	s.t.Helper()
	ill := func(e *simEndpoint) bool { return s.healthy(e) != nil }
	for end := s.now.Add(time.Hour); s.now.Before(end) && slices.ContainsFunc(s.endpoints, ill); {
		s.tick()
	}
	s.expectHealthy()
}
