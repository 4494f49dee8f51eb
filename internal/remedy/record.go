package remedy

import "time"

// Cause is why servers have to be replaced.
type Cause string

// The causes.
const (
	// CauseImage is another image of the operator's: it comes to every endpoint.
	CauseImage Cause = "Image"
	// CauseAccount is a service account that was made anew: running servers hold tokens
	// that are void.
	CauseAccount Cause = "ServiceAccount"
	// CauseTemplate is a pod template that is not as wanted, because somebody changed it or
	// because the operator wants another now.
	CauseTemplate Cause = "PodTemplate"
)

// State is how far a remedy is.
type State string

// The states, in their order.
const (
	// Claimed remedies may begin; whether they have is not known.
	Claimed State = "Claimed"
	// Begun remedies: the servers are being replaced.
	Begun State = "Begun"
	// Settled remedies have ended well. The record stays until the next: to forget it would
	// be a write at rest.
	Settled State = "Settled"
)

const (
	// minBackoff is from one remedy to the next; each further one doubles it.
	minBackoff = 10 * time.Second
	// maxBackoff bounds it.
	maxBackoff = time.Hour
)

// Record is what an endpoint's status keeps of its latest remedy. Times are whole seconds.
type Record struct {
	Cause Cause
	State State
	// Since is when it was claimed.
	Since time.Time
	// Attempts counts remedies of which each came before the back-off of the one before had
	// been over for as long again.
	Attempts int
	// NotBefore is when the next may be claimed.
	NotBefore time.Time
}

// Open says whether a remedy is under way.
func (r *Record) Open() bool { return r != nil && r.State != Settled }

// Hold is why a remedy waits.
type Hold string

// The holds.
const (
	// NoHold lets a remedy go on.
	NoHold Hold = ""
	// HoldBackoff waits for Record.NotBefore.
	HoldBackoff Hold = "Backoff"
	// HoldBudget waits for other endpoints' remedies.
	HoldBudget Hold = "Budget"
	// HoldSystemic waits until no reason is systemic any more.
	HoldSystemic Hold = "Systemic"
	// HoldWave waits for its turn to get the image.
	HoldWave Hold = "Wave"
	// HoldConfig waits until servers can use their configuration: those that run have the
	// last one that they could, and new ones could not start with it.
	HoldConfig Hold = "Config"
	// HoldStopped waits for a wave that does not become Ready.
	HoldStopped Hold = "Stopped"
)

// Situation is what is known of one endpoint.
type Situation struct {
	// Need is why its servers have to be replaced; "" where they are as wanted.
	Need Cause
	// Record of its status.
	Record *Record
	// Whole says that all servers run what they are to run, and serve.
	Whole bool
	// Asked says that somebody wants it to be tried now: no back-off then, and no other
	// hold than that of the waves.
	Asked bool
	Now   time.Time
}

// Decision is what to do.
type Decision struct {
	// Record to be written to the status, before anything else is decided.
	Record *Record
	// Act says that the servers may be replaced now.
	Act bool
	// Hold is why not, where there is a need; NoHold where it was claimed just now.
	Hold Hold
	// Wake is when to look again; zero where there is nothing to wait for but news.
	Wake time.Time
}

// Decide says what to do. It asks admit only where nothing of the endpoint's own is in
// the way; what was admitted is claimed, and begun with the next decision.
func Decide(s Situation, admit func(Cause) Hold) Decision {
	switch {
	case s.Need == "":
		return s.rest()
	case s.mayAct():
		return Decision{Record: s.Record, Act: true}
	case s.waits():
		return Decision{Record: s.Record, Hold: HoldBackoff, Wake: s.Record.NotBefore}
	}
	if hold := admit(s.Need); hold != NoHold {
		return Decision{Record: s.Record, Hold: hold}
	}
	return Decision{Record: s.claim(), Wake: s.Now}
}

// mayAct says whether what is needed was claimed. Somebody else's changes are put back as
// often as they come while the remedy is under way: who writes children knows when that
// has become a quarrel.
func (s *Situation) mayAct() bool {
	if !s.Record.Open() {
		return false
	}
	return s.Record.State == Claimed || s.Record.Cause == CauseTemplate && s.Need == CauseTemplate
}

// waits says whether it is too soon for another remedy; of a template that somebody keeps
// changing, who writes children knows. A time that no back-off can have
// led to comes from a clock that was set back since.
func (s *Situation) waits() bool {
	return !s.Asked && s.Need != CauseTemplate && s.Record != nil && s.Now.Before(s.Record.NotBefore) && s.Record.NotBefore.Sub(s.Now) <= maxBackoff
}

func (s *Situation) claim() *Record {
	r := Record{Cause: s.Need, State: Claimed, Since: s.Now.UTC().Truncate(time.Second), Attempts: 1}
	if s.Record != nil && s.Now.Before(s.Record.NotBefore.Add(backoff(s.Record.Attempts))) {
		r.Attempts = s.Record.Attempts + 1
	}
	r.NotBefore = r.Since.Add(backoff(r.Attempts))
	return &r
}

// rest follows a remedy to its end.
func (s *Situation) rest() Decision {
	if !s.Record.Open() {
		return Decision{Record: s.Record}
	}
	r := *s.Record
	if r.State = Begun; s.Whole {
		r.State = Settled
	}
	return Decision{Record: &r}
}

func backoff(attempts int) time.Duration {
	wait := minBackoff
	for range attempts - 1 {
		if wait *= 2; wait >= maxBackoff {
			return maxBackoff
		}
	}
	return wait
}
