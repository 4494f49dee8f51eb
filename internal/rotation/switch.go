package rotation

import (
	"slices"
	"time"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Offer is a generation that an endpoint may show.
type Offer struct {
	ID string
	// NotBefore and NotAfter are when all of its certificates are valid.
	NotBefore, NotAfter time.Time
	Distrusted          bool
}

func (o *Offer) ended(now time.Time) bool { return !now.Before(o.NotAfter) }

// serves says whether a generation that is shown may stay. One that is not valid yet
// was valid when it came to be shown: then a clock was set back.
func (o *Offer) serves(now time.Time) bool { return !o.Distrusted && !o.ended(now) }

func (o *Offer) fits(now time.Time) bool { return o.serves(now) && !now.Before(o.NotBefore) }

// Credential is an RACredential with what its keyring offers.
type Credential struct {
	Name string
	// Overlap is how long a generation is accepted after it was shown.
	Overlap time.Duration
	// Offers, the newest first.
	Offers []Offer
}

func (c *Credential) find(id string) *Offer {
	for i := range c.Offers {
		if c.Offers[i].ID == id {
			return &c.Offers[i]
		}
	}
	return nil
}

// Holder is a server of the endpoint that may have to do with a device: now, or when it
// is back. That includes those that start and those that end.
type Holder struct {
	// Name of the pod.
	Name string
	// Ready servers are sent devices.
	Ready bool
	// Answers is false for one that does not say what it holds.
	Answers bool
	// Holds are the generations that it has loaded.
	Holds []string
	// Shows is the generation that its GetCACert shows.
	Shows string
	// Keyrings are the names of the RACredentials whose keyrings it mounts; empty if that
	// is not known.
	Keyrings []string
}

func (h *Holder) holds(id string) bool { return h.Answers && slices.Contains(h.Holds, id) }

// lacksMount says that a server cannot load what comes with a credential's keyring,
// however long it lives.
func (h *Holder) lacksMount(credential string) bool {
	return len(h.Keyrings) > 0 && !slices.Contains(h.Keyrings, credential)
}

// SwitchInput is the state that a switch is planned from.
type SwitchInput struct {
	// Credentials: first the one that the endpoint refers to, then that of the
	// generation that is shown, then those of accepted ones.
	Credentials []Credential
	// Shown is the generation that the configuration in use names; "" if there is none.
	// Credential is its RACredential.
	Shown, Credential string
	// Accepted are the generations shown before, as in the configuration in use.
	Accepted []raconfig.Accepted
	// Next and Since are what the last plan said.
	Next  string
	Since time.Time
	// Missing are the servers that the last plan named.
	Missing []string
	Holders []Holder
	// LoadTimeout is how long to wait for servers that do not load the next one.
	LoadTimeout time.Duration
	Now         time.Time
}

// Stage is where a switch is.
type Stage string

// The stages.
const (
	// StageNone: there is nothing to show.
	StageNone Stage = "None"
	// StageExpired: all that there is has ended; what is shown stays.
	StageExpired Stage = "Expired"
	// StageShown: the best generation is shown by every server.
	StageShown Stage = "Shown"
	// StageLoading: servers load the next one.
	StageLoading Stage = "Loading"
	// StageStuck: they should have by now, and going on would help nobody.
	StageStuck Stage = "Stuck"
	// StageForced: a generation is shown though a server lacks it.
	StageForced Stage = "Forced"
)

// SwitchPlan is what the configuration should name.
type SwitchPlan struct {
	Stage Stage
	// Active is the generation to show, and Credential its RACredential; "" if there is none.
	Active, Credential string
	// Accepted are the generations shown before that devices may still use, in the order
	// in which they were shown.
	Accepted []raconfig.Accepted
	// Next is being loaded, and NextCredential its RACredential; "" at rest.
	Next, NextCredential string
	// Since is when Next began to be loaded, and Deadline when it is shown at the latest.
	Since, Deadline time.Time
	// Held and Of count the servers that hold Next, or else Active, and all of them.
	Held, Of int
	// Missing are the names of those that do not.
	Missing []string
	// NotMounted are those of them that do not mount the keyring of Next.
	NotMounted []string
	// Wake is when, without any other event, the plan is going to differ; zero for never.
	Wake time.Time
}

// Keyrings are the RACredentials whose keyrings the servers have to mount: first the one
// whose newest generation is shown or is going to be.
func (p *SwitchPlan) Keyrings() []string {
	names := []string{p.NextCredential, p.Credential}
	for _, a := range p.Accepted {
		names = append(names, a.Credential)
	}
	var out []string
	for _, name := range names {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// switcher holds a SwitchInput in the form that the steps need.
type switcher struct{ SwitchInput }

// Switch plans which generation an endpoint shows. A generation is shown when every
// server holds it. Until then the one before is, for as long as it serves; but a server
// that never loads the next one is waited for only so long; and what is distrusted or gone
// from its keyring is not shown a moment longer, nor what has ended much longer.
//
// It plans from the configuration in use, so a crash between any two steps changes
// nothing but the time.
func Switch(in SwitchInput) *SwitchPlan {
	s := switcher{in}
	p := &SwitchPlan{Stage: StageNone, Accepted: s.stillAccepted()}
	target, credential := s.target()
	shown := s.shown()
	switch {
	case target == nil:
		s.keep(p, shown)
	case target.ID == in.Shown:
		s.rest(p, credential)
	default:
		s.advance(p, shown, target, credential)
	}
	s.bound(p)
	p.Wake = s.wake(p, shown)
	return p
}

// target is the best generation to show: the newest of the credential that is referred to,
// or of another while that has none. Of two of one credential the earlier is taken only
// if the later one can serve no longer.
func (s *switcher) target() (*Offer, string) {
	for i := range s.Credentials {
		c := &s.Credentials[i]
		for j := range c.Offers {
			o := &c.Offers[j]
			if o.fits(s.Now) || o.ID == s.Shown && o.serves(s.Now) {
				return o, c.Name
			}
		}
	}
	return nil, ""
}

func (s *switcher) find(credential, id string) *Offer {
	for i := range s.Credentials {
		if s.Credentials[i].Name == credential {
			return s.Credentials[i].find(id)
		}
	}
	return nil
}

// shown is nil if nothing is shown, or if it is gone from its keyring: a server that
// starts now cannot show it.
func (s *switcher) shown() *Offer { return s.find(s.Credential, s.Shown) }

// keep leaves what is shown while nothing better is there: an expired certificate is
// refused by some devices, a missing one by all.
func (s *switcher) keep(p *SwitchPlan, shown *Offer) {
	if shown != nil {
		p.Active, p.Credential = s.Shown, s.Credential
	}
	if s.allEnded() {
		p.Stage = StageExpired
	}
}

// allEnded says whether there was something to show, once.
func (s *switcher) allEnded() bool {
	offers := 0
	for i := range s.Credentials {
		for j := range s.Credentials[i].Offers {
			offers++
			if !s.Credentials[i].Offers[j].ended(s.Now) {
				return false
			}
		}
	}
	return offers > 0
}

// rest counts who lacks what is shown. All have held it, or the plan said who did not; so
// one that does not answer now is taken at its last word.
func (s *switcher) rest(p *SwitchPlan, credential string) {
	p.Stage, p.Active, p.Credential = StageShown, s.Shown, credential
	for i := range s.Holders {
		h := &s.Holders[i]
		lacks := h.Ready && h.Answers && !h.holds(s.Shown) || !h.Answers && slices.Contains(s.Missing, h.Name)
		switch {
		case lacks:
			p.Of++
			p.Missing = append(p.Missing, h.Name)
		case h.Ready:
			p.Of++
			p.Held++
		}
	}
	if len(p.Missing) > 0 {
		p.Stage = StageForced
	}
}

// advance takes the target into use if it may be; otherwise the servers load it, and what
// is shown stays. Where that can serve no longer, another takes its place meanwhile which
// every server holds.
func (s *switcher) advance(p *SwitchPlan, shown, target *Offer, credential string) {
	p.Next, p.NextCredential, p.Since = target.ID, credential, s.since(target.ID)
	s.count(p)
	p.Stage, p.Active, p.Credential = StageLoading, s.Shown, s.Credential
	if shown != nil && shown.serves(s.Now) {
		s.wait(p, shown)
		return
	}
	between := s.heldByMost()
	switch {
	case between.offer == nil || !between.byAll && (len(p.NotMounted) == 0 || s.Now.Before(p.Since.Add(Patience))):
		s.hurry(p, shown)
	case between.offer.ID == target.ID:
		s.show(p, shown)
	default:
		s.supersede(p, shown, between.offer.ID, between.credential)
		s.wait(p, between.offer)
	}
}

// wait goes on when the servers have had their time.
func (s *switcher) wait(p *SwitchPlan, shown *Offer) {
	p.Deadline = earlier(p.Since.Add(s.LoadTimeout), shown.NotAfter)
	switch overdue := !s.Now.Before(p.Deadline); {
	case p.Held == p.Of, overdue && s.helps(p):
		s.show(p, shown)
	case overdue:
		p.Stage, p.Deadline = StageStuck, shown.NotAfter
	}
}

// Patience is how long what has ended is still shown so that servers can load the next
// generation: shown by one and not held by another it would be of less use than the old.
const Patience = 5 * time.Minute

// hurry goes on where nothing serves: at once if what is shown must not be used or no
// server can get it any more, and else after a little time.
func (s *switcher) hurry(p *SwitchPlan, shown *Offer) {
	if shown == nil || shown.Distrusted {
		s.show(p, shown)
		return
	}
	p.Deadline = p.Since.Add(Patience)
	if len(p.NotMounted) > 0 { // those ignore what they cannot load, and are being replaced
		p.Deadline = later(p.Since, shown.NotAfter).Add(s.LoadTimeout)
	}
	if !s.Now.Before(p.Deadline) {
		s.show(p, shown)
	}
}

// held is a generation that servers hold.
type held struct {
	offer      *Offer
	credential string
	byAll      bool
}

// heldByMost is the best generation of those that the most servers hold to which devices
// come; without an offer if they hold none.
func (s *switcher) heldByMost() held {
	ready := slices.DeleteFunc(slices.Clone(s.Holders), func(h Holder) bool { return !h.Ready })
	var best held
	most := 0
	for i := range s.Credentials {
		c := &s.Credentials[i]
		for j := range c.Offers {
			lacking := slices.DeleteFunc(slices.Clone(ready), func(h Holder) bool { return h.holds(c.Offers[j].ID) })
			if n := len(ready) - len(lacking); c.Offers[j].fits(s.Now) && n > most {
				best, most = held{&c.Offers[j], c.Name, len(lacking) == 0}, n
			}
		}
	}
	return best
}

// since is when the next generation began to be loaded. A time to come is from before a
// clock was set back.
func (s *switcher) since(next string) time.Time {
	if next == s.Next && !s.Since.IsZero() && !s.Since.After(s.Now) {
		return s.Since
	}
	return s.Now.UTC().Truncate(time.Second)
}

func (s *switcher) count(p *SwitchPlan) {
	p.Of = len(s.Holders)
	for i := range s.Holders {
		h := &s.Holders[i]
		if h.holds(p.Next) {
			p.Held++
			continue
		}
		p.Missing = append(p.Missing, h.Name)
		if h.lacksMount(p.NextCredential) {
			p.NotMounted = append(p.NotMounted, h.Name)
		}
	}
}

// helps says whether it is of use to go on though servers lack the next generation.
// Where none that answers has it, it does not reach them: they would ignore the
// configuration, and then show it one by one, before the others hold it. And a server
// that does not mount the keyring is going to be replaced, by and by.
func (s *switcher) helps(p *SwitchPlan) bool {
	answer := func(h Holder) bool { return h.Answers }
	return len(p.NotMounted) == 0 && (p.Held > 0 || !slices.ContainsFunc(s.Holders, answer))
}

// show switches over to what was next.
func (s *switcher) show(p *SwitchPlan, shown *Offer) {
	s.supersede(p, shown, p.Next, p.NextCredential)
	p.Next, p.NextCredential, p.Since, p.Deadline = "", "", time.Time{}, time.Time{}
	p.NotMounted = nil
	p.Stage = StageShown
	if len(p.Missing) > 0 {
		p.Stage = StageForced
	}
}

// supersede shows another generation. What was shown stays accepted, unless its key is
// gone or not to be used.
func (s *switcher) supersede(p *SwitchPlan, shown *Offer, id, credential string) {
	if shown != nil && !shown.Distrusted {
		p.Accepted = append(p.Accepted, raconfig.Accepted{
			Credential: p.Credential, Generation: p.Active, Until: later(s.overlapEnd(p.Credential), shown.NotAfter),
		})
	}
	p.Active, p.Credential = id, credential
	p.Accepted = slices.DeleteFunc(p.Accepted, func(a raconfig.Accepted) bool { return a.Generation == id })
}

func (s *switcher) overlap(credential string) time.Duration {
	for i := range s.Credentials {
		if s.Credentials[i].Name == credential {
			return s.Credentials[i].Overlap
		}
	}
	return 0
}

// overlapEnd is when a generation that is shown no longer from now on is of no more use.
func (s *switcher) overlapEnd(credential string) time.Time {
	return s.Now.UTC().Truncate(time.Second).Add(Settle + s.overlap(credential))
}

// Settle is how long a change of what servers mount may take to be used in every one,
// but for those that are lost. The kubelet needs two minutes at most.
const Settle = 15 * time.Minute

// stillAccepted leaves out what nobody needs any more, and what is gone from its keyring
// or distrusted. While a server still shows one, because it loads nothing, its end is put
// off, and not with every look.
func (s *switcher) stillAccepted() []raconfig.Accepted {
	var out []raconfig.Accepted
	for _, a := range s.Accepted {
		o := s.find(a.Credential, a.Generation)
		if o == nil || o.Distrusted || a.Generation == s.Shown {
			continue
		}
		shows := func(h Holder) bool { return h.Answers && h.Shows == a.Generation }
		overlap := s.overlap(a.Credential)
		if a.Until.Before(s.Now.Add(overlap)) && slices.ContainsFunc(s.Holders, shows) {
			a.Until = s.overlapEnd(a.Credential).Add(overlap)
		}
		if s.Now.Before(a.Until) {
			out = append(out, a)
		}
	}
	return out
}

// maxAccepted bounds Accepted: what was shown last stays.
const maxAccepted = 8

func (s *switcher) bound(p *SwitchPlan) {
	if surplus := len(p.Accepted) - maxAccepted; surplus > 0 {
		p.Accepted = slices.Clone(p.Accepted[surplus:])
	}
}

func (s *switcher) wake(p *SwitchPlan, shown *Offer) time.Time {
	times := []time.Time{p.Deadline}
	if shown != nil {
		times = append(times, shown.NotAfter)
	}
	for i := range s.Credentials {
		for j := range s.Credentials[i].Offers {
			times = append(times, s.Credentials[i].Offers[j].NotBefore)
		}
	}
	if active := s.find(p.Credential, p.Active); active != nil {
		times = append(times, active.NotAfter)
	}
	for _, a := range p.Accepted {
		times = append(times, a.Until)
	}
	return earliestAfter(s.Now, times)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
