// Package clientprobe asks the services that a client credential is shown to whether
// they let it pass: the next generation before it is used, and the one in use at times,
// so that a refusal is known before a device suffers from it.
//
// A service is asked as a webhook is called (same URL, headers, proxy and trusted CAs),
// but for the body: a HEAD request, or an empty JSON object. An answer that is no refusal
// counts only if the service answers otherwise to who shows no certificate.
//
// Few requests are made, one at a time: what was accepted is asked again after a quarter
// of an hour, anything else at first after seconds and ever less often.
package clientprobe

import (
	"cmp"
	"context"
	"crypto/tls"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/rounds"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const (
	// timeout bounds one request.
	timeout = 5 * time.Second
	// restInterval is between two looks at what was accepted.
	restInterval = 15 * time.Minute
	// askMin and askMax bound the looks at anything else.
	askMin = 10 * time.Second
	askMax = 5 * time.Minute
	// startSpread spreads the first looks of the servers of an endpoint.
	startSpread = 5 * time.Second
	// controlLife is for how long it is known what comes without a certificate.
	controlLife = 24 * time.Hour
	// spread is by how much a look may come early or late, so that servers do not ask in step.
	spread = 0.2
)

// Certificate is a generation of a client credential.
type Certificate struct {
	Generation string
	// Shown is true for the one in use.
	Shown bool
	TLS   *tls.Certificate
}

// Service is a service that a client credential is shown to.
type Service struct {
	// Credential is the name of the RACredential.
	Credential string
	// Challenge that it judges, or with Notification is told the end of.
	Challenge    string
	Notification bool
	// MadeFrom changes when the service is to be called in another way.
	MadeFrom string
	// Certificates that are valid at present: the one in use and those that came after it.
	Certificates func() []Certificate
	// Call asks the service with a certificate, or with nil without one.
	Call func(ctx context.Context, certificate *tls.Certificate) (*outbound.Answer, error)
}

// question is a service and a generation to ask it about.
type question struct {
	credential, challenge string
	notification          bool
	madeFrom, generation  string
}

// standing is what is known of a question.
type standing struct {
	Result
	// since is when the answer was first so.
	since time.Time
	// next is when it is asked again.
	next  time.Time
	asked bool
}

// Prober asks. It is safe for concurrent use.
type Prober struct {
	now    func() time.Time
	random func() float64
	wake   chan struct{}

	mu        sync.Mutex // guards what follows
	services  []Service
	standings map[question]*standing
	// controls are what comes without a certificate, by the question without a generation.
	controls map[question]control
}

// control is what came without a certificate.
type control struct {
	Result
	at time.Time
}

// New makes a prober that has nothing to ask. Random gives numbers from 0 to below 1; nil: math/rand's.
func New(now func() time.Time, random func() float64) *Prober {
	if random == nil {
		random = rand.Float64
	}
	return &Prober{
		now: now, random: random, wake: make(chan struct{}, 1),
		standings: map[question]*standing{}, controls: map[question]control{},
	}
}

// Update says whom to ask from now on. What is known of those that stay is kept.
func (p *Prober) Update(services []Service) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.services = services
	p.refresh()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// pending is a question that is due.
type pending struct {
	question
	service     Service
	certificate Certificate
}

// refresh keeps the standings of what may be asked, adds those of what is new, and
// returns all. The caller holds the lock.
func (p *Prober) refresh() []pending {
	var all []pending
	known := map[question]*standing{}
	for _, s := range p.services {
		for _, c := range s.Certificates() {
			q := question{s.Credential, s.Challenge, s.Notification, s.MadeFrom, c.Generation}
			known[q] = p.standings[q]
			if known[q] == nil {
				known[q] = &standing{next: p.now().Add(time.Duration(p.random() * float64(startSpread)))}
			}
			all = append(all, pending{q, s, c})
		}
	}
	p.standings = known
	maps.DeleteFunc(p.controls, func(q question, _ control) bool { return !p.isAsked(q) })
	return all
}

// isAsked says whether a service is still among those to ask. The caller holds the lock.
func (p *Prober) isAsked(q question) bool {
	return slices.ContainsFunc(p.services, func(s Service) bool {
		return q == question{credential: s.Credential, challenge: s.Challenge, notification: s.Notification, madeFrom: s.MadeFrom}
	})
}

// Run asks until the context ends.
func (p *Prober) Run(ctx context.Context) {
	rounds.Run(ctx, p.wake, p.now, p.Round)
}

// Round asks what is due, one after the other, and returns when to come again.
func (p *Prober) Round(ctx context.Context) time.Time {
	next := p.now().Add(askMax)
	for _, one := range p.due() {
		if ctx.Err() != nil {
			return next
		}
		p.record(one, p.ask(ctx, one))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.standings {
		if s.next.Before(next) {
			next = s.next
		}
	}
	return next
}

func (p *Prober) due() []pending {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	return slices.DeleteFunc(p.refresh(), func(one pending) bool { return now.Before(p.standings[one.question].next) })
}

// ask asks about a certificate and, if it looks accepted, what comes without one. The
// latter is asked as seldom as can be: it may look like an attack.
func (p *Prober) ask(ctx context.Context, one pending) Result {
	with := call(ctx, one.service, one.certificate.TLS)
	if with.Answer != v1alpha1.ClientAccepted {
		return with
	}
	if known, fresh := p.control(one.question); fresh && compare(with, known).Answer == v1alpha1.ClientAccepted {
		return with
	}
	without := call(ctx, one.service, nil)
	p.setControl(one.question, without)
	return compare(with, without)
}

func (p *Prober) control(q question) (Result, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.generation = ""
	known, found := p.controls[q]
	return known.Result, found && p.now().Sub(known.at) < controlLife
}

func (p *Prober) setControl(q question, r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.generation = ""
	p.controls[q] = control{r, p.now()}
}

func call(ctx context.Context, s Service, certificate *tls.Certificate) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return judge(s.Call(ctx, certificate))
}

// record takes an answer down, unless the question was withdrawn meanwhile.
func (p *Prober) record(one pending, result Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, now := p.standings[one.question], p.now()
	if s == nil {
		return
	}
	if !s.asked || s.Result != result {
		s.Result, s.since, s.asked = result, now, true
	}
	interval := restInterval
	if result.Answer != v1alpha1.ClientAccepted {
		interval = min(max(now.Sub(s.since)/5, askMin), askMax)
	}
	s.next = now.Add(time.Duration(float64(interval) * (1 - spread + 2*spread*p.random())))
}

// Report is what the services said last, in a fixed order.
func (p *Prober) Report() []raconfig.ClientProbe {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []raconfig.ClientProbe
	for _, q := range slices.SortedFunc(maps.Keys(p.standings), compareQuestions) {
		s := p.standings[q]
		if !s.asked {
			continue
		}
		out = append(out, raconfig.ClientProbe{
			Credential: q.credential, Generation: q.generation, Challenge: q.challenge, Notification: q.notification,
			Result: s.Answer, Reason: s.Reason, HTTPStatus: s.HTTPStatus, Since: s.since.UTC().Truncate(time.Second),
		})
	}
	return out
}

func compareQuestions(a, b question) int {
	text := func(q question) string {
		kind := "0"
		if q.notification {
			kind = "1"
		}
		return strings.Join([]string{q.credential, q.challenge, kind, q.generation, q.madeFrom}, "\x00")
	}
	return cmp.Compare(text(a), text(b))
}
