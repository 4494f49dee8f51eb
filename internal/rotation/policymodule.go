package rotation

import (
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// ClientGeneration is a generation of a credential of purpose PolicyModule.
type ClientGeneration struct {
	ID string
	// AddedAt is when it came into the keyring.
	AddedAt time.Time
	// NotBefore and NotAfter are its validity.
	NotBefore, NotAfter time.Time
	Distrusted          bool
	// ShownElsewhere is true while another endpoint shows it.
	ShownElsewhere bool
}

// serves says whether a generation that is shown may stay. One that is not valid yet was
// valid when it came to be shown: then a clock was set back.
func (g *ClientGeneration) serves(now time.Time) bool {
	return !g.Distrusted && now.Before(g.NotAfter)
}

func (g *ClientGeneration) fits(now time.Time) bool { return g.serves(now) && !now.Before(g.NotBefore) }

// ClientService is a service that a client credential is shown to: the one that judges a
// challenge, or the one that is told how its enrolments end.
type ClientService struct {
	Challenge    string
	Notification bool
	// Unasked services accept whatever they are shown.
	Unasked bool
}

// ClientServer is a server that is ready.
type ClientServer struct {
	// Name of the pod.
	Name string
	// Holds are the generations that it has loaded.
	Holds []string
	// Probes are what the services said to it about this credential.
	Probes []raconfig.ClientProbe
}

// ClientInput is the state that the switch of a client credential at one endpoint is planned from.
type ClientInput struct {
	// Generations in the keyring, the newest first.
	Generations []ClientGeneration
	// Active is the generation that the configuration in use names; "" if there is none.
	Active string
	// Services that the endpoint shows the credential to.
	Services []ClientService
	Servers  []ClientServer
	// AcceptWithin is how long the services may take before a person is told.
	AcceptWithin time.Duration
	// LoadTimeout is how long a switch waits for servers that do not load the next generation.
	LoadTimeout time.Duration
	Now         time.Time
}

// ClientAnswers are how a service takes the active and the next generation; nil for what
// it was not asked yet.
type ClientAnswers struct {
	ClientService
	Active, Next *v1alpha1.ClientServiceAnswer
}

// ClientPlan is what the servers are to show, and what there is to say of it.
type ClientPlan struct {
	// Active is the generation to show; "" if there is none.
	Active string
	// Next is the newest generation that is not shown yet; "" at rest.
	Next string
	Step v1alpha1.ClientStep
	// Held and Of count the servers that hold Next, and all of them. Missing are those that do not.
	Held, Of int
	Missing  []string
	// Forced is true where Active takes the place of one that is of no use any more,
	// although not every service is known to accept it.
	Forced bool
	// Services and what they say, in the order of the input.
	Services []ClientAnswers
	// Due is when a person is told that Next was not accepted; zero at rest.
	Due time.Time
	// Wake is when, without any other event, the plan is going to differ; zero for never.
	Wake time.Time
}

// PlanClient decides which generation of a client credential an endpoint's servers show.
//
// A far end may pin the certificate's thumbprint, so the order is its own: the next
// generation is published and loaded, each service is asked whether it accepts it, and
// only then it is shown. Invariant: while the generation that is shown is valid and
// trusted, it gives way only to one that every service has accepted and that the servers
// have loaded. One that is of no use gives way at once: the next cannot be worse.
//
// It is planned from the state alone, so a crash between any two steps changes nothing
// but the time.
func PlanClient(in ClientInput) *ClientPlan {
	p := clientPlanner{in}
	plan := &ClientPlan{Active: p.choose(), Step: v1alpha1.ClientIdle}
	plan.Forced = in.Active != "" && plan.Active != in.Active && !p.accepted(plan.Active)
	p.planNext(plan)
	for _, s := range in.Services {
		plan.Services = append(plan.Services, ClientAnswers{
			ClientService: s, Active: p.answer(s, plan.Active), Next: p.answer(s, plan.Next),
		})
	}
	plan.Wake = p.wake(plan)
	return plan
}

type clientPlanner struct{ ClientInput }

func (p *clientPlanner) find(id string) int {
	return slices.IndexFunc(p.Generations, func(g ClientGeneration) bool { return g.ID == id })
}

// choose names the generation to show.
func (p *clientPlanner) choose() string {
	if at := p.find(p.Active); at >= 0 && p.Generations[at].serves(p.Now) {
		for _, g := range p.newerThan(p.Active) {
			if p.accepted(g.ID) && p.loaded(g) {
				return g.ID
			}
		}
		return p.Active
	}
	return p.replacement()
}

// replacement is for a generation that is of no use, or where there is none yet: one
// that is accepted, else one that another endpoint does well with, else the newest. What
// has ended stays while nothing better is there.
func (p *clientPlanner) replacement() string {
	fit := slices.DeleteFunc(slices.Clone(p.Generations), func(g ClientGeneration) bool { return !g.fits(p.Now) })
	for _, good := range []func(ClientGeneration) bool{
		func(g ClientGeneration) bool { return p.accepted(g.ID) },
		func(g ClientGeneration) bool { return g.ShownElsewhere },
		func(ClientGeneration) bool { return true },
	} {
		if i := slices.IndexFunc(fit, good); i >= 0 {
			return fit[i].ID
		}
	}
	if at := p.find(p.Active); at >= 0 && !p.Generations[at].Distrusted {
		return p.Active
	}
	return ""
}

// newerThan are the fit generations that came after another, the newest first.
func (p *clientPlanner) newerThan(id string) []ClientGeneration {
	at := p.find(id)
	if at < 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.Generations[:at]), func(g ClientGeneration) bool { return !g.fits(p.Now) })
}

// accepted says whether every service lets a generation pass.
func (p *clientPlanner) accepted(id string) bool {
	return !slices.ContainsFunc(p.Services, func(s ClientService) bool {
		answer := p.answer(s, id)
		return answer == nil || answer.Answer != v1alpha1.ClientAccepted
	})
}

// weight orders what several servers were told: a refusal counts whoever heard it, and
// one who was let in knows more than one who reached nobody.
var weight = map[v1alpha1.ClientAnswer]int{
	v1alpha1.ClientRefused: 4, v1alpha1.ClientAccepted: 3, v1alpha1.ClientUnreachable: 2, v1alpha1.ClientUnclear: 1,
}

// answer is what a service says of a generation; nil if no server has asked it yet.
func (p *clientPlanner) answer(s ClientService, id string) *v1alpha1.ClientServiceAnswer {
	if id == "" {
		return nil
	}
	if s.Unasked {
		return &v1alpha1.ClientServiceAnswer{Answer: v1alpha1.ClientAccepted, Reason: v1alpha1.ClientReasonNotAsked}
	}
	var best *v1alpha1.ClientServiceAnswer
	for _, server := range p.Servers {
		for _, probe := range server.Probes {
			told := probe.Generation == id && probe.Challenge == s.Challenge && probe.Notification == s.Notification
			if told && (best == nil || weight[probe.Result] > weight[best.Answer]) {
				best = &v1alpha1.ClientServiceAnswer{Answer: probe.Result, Reason: probe.Reason, HTTPStatus: int32(probe.HTTPStatus)}
			}
		}
	}
	return best
}

// loaded says whether the servers hold a generation, or were waited for long enough.
func (p *clientPlanner) loaded(g ClientGeneration) bool {
	return len(p.lacking(g.ID)) == 0 || p.overwaited(g)
}

func (p *clientPlanner) overwaited(g ClientGeneration) bool {
	return !p.Now.Before(g.AddedAt.Add(p.LoadTimeout))
}

func (p *clientPlanner) lacking(id string) []string {
	var out []string
	for _, server := range p.Servers {
		if !slices.Contains(server.Holds, id) {
			out = append(out, server.Name)
		}
	}
	return out
}

// planNext says how far the newest generation has come that is not shown.
func (p *clientPlanner) planNext(plan *ClientPlan) {
	newer := p.newerThan(plan.Active)
	if len(newer) == 0 {
		return
	}
	plan.Next, plan.Missing, plan.Of = newer[0].ID, p.lacking(newer[0].ID), len(p.Servers)
	plan.Held = plan.Of - len(plan.Missing)
	plan.Due = p.due(newer[len(newer)-1].AddedAt, p.Generations[p.find(plan.Active)].NotAfter)
	switch {
	case len(plan.Missing) > 0 && !p.overwaited(newer[0]):
		plan.Step = v1alpha1.ClientLoading
	case p.Now.Before(plan.Due):
		plan.Step = v1alpha1.ClientProbing
	default:
		plan.Step = v1alpha1.ClientNotAccepted
	}
}

// due leaves a person half of the time to the end at least, however short a life is.
func (p *clientPlanner) due(since, end time.Time) time.Time {
	halfway, patient := since.Add(end.Sub(since)/2), since.Add(p.AcceptWithin)
	if halfway.Before(patient) {
		return halfway
	}
	return patient
}

func (p *clientPlanner) wake(plan *ClientPlan) time.Time {
	times := []time.Time{plan.Due}
	for _, g := range p.Generations {
		times = append(times, g.NotBefore)
		if g.ID == plan.Active {
			times = append(times, g.NotAfter)
		}
		if g.ID == plan.Next {
			times = append(times, g.AddedAt.Add(p.LoadTimeout))
		}
	}
	return earliestAfter(p.Now, times)
}
