package ra

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/rounds"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// When a service that failed is asked again without a device, and for how long a failure
// is told of that nothing has confirmed since.
const (
	askAgainMin     = 5 * time.Second
	askAgainMax     = time.Minute
	askAgainTimeout = 5 * time.Second
	askAgainJitter  = 0.2
	failureLife     = 10 * time.Minute
)

// services keeps which of the services that judge challenges, or are told how enrolments
// end, failed when a device needed them. A failure ends with the next use that succeeds,
// with other settings or credentials, or after a while that nobody has seen it again. So
// that this needs no device, a service that failed is asked without a question: if that
// showed the same failure, and does not any more, it has passed.
//
// It is safe for concurrent use.
type services struct {
	now  func() time.Time
	wake chan struct{}

	mu      sync.Mutex // guards failing
	failing map[service]*failure
}

// service is one that a challenge needs.
type service struct {
	challenge    string
	notification bool
}

// failure of a service.
type failure struct {
	raconfig.Away
	verifier challenge.Verifier
	// shown is true once asking without a question has shown the same.
	shown bool
	// next is when it is asked again, after a pause that grows.
	next  time.Time
	pause time.Duration
}

func newServices(now func() time.Time) *services {
	return &services{now: now, wake: make(chan struct{}, 1), failing: map[service]*failure{}}
}

// judged learns whether a challenge could be judged. It is a challenge.Witness.
func (s *services) judged(v challenge.Verifier, err error) { s.see(service{v.Name(), false}, v, err) }

// told learns whether one could be told how an enrolment ended. What nothing depends on
// keeps no device out.
func (s *services) told(v challenge.Verifier, err error) {
	if untold := (*challenge.UntoldError)(nil); !errors.As(err, &untold) {
		s.see(service{v.Name(), true}, v, err)
	}
}

func (s *services) see(of service, v challenge.Verifier, err error) {
	if errors.Is(err, onetime.ErrGuessing) {
		return // a limit has done its work
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.failing, of)
		return
	}
	now := s.now().UTC().Truncate(time.Second)
	f := s.failing[of]
	if f == nil {
		f = &failure{Away: raconfig.Away{Dependency: dependencyOf(of), Name: of.challenge, Since: now}}
		s.failing[of] = f
	}
	if f.Failures == 0 || f.verifier != v {
		f.verifier, f.shown, f.pause = v, false, askAgainMin
		f.next = s.now().Add(wait.Jitter(f.pause, askAgainJitter))
	}
	f.describe(err)
	f.Last = now
	f.Failures++
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func dependencyOf(of service) raconfig.Dependency {
	if of.notification {
		return raconfig.DependencyNotification
	}
	return raconfig.DependencyChallenge
}

// describe notes what was seen last. Another reason than before has yet to be shown.
func (f *failure) describe(err error) {
	reason, status, wants := whyAway(err)
	if f.Reason != reason {
		f.shown = false
	}
	f.Reason, f.HTTPStatus, f.Wants = reason, status, wants
}

// keep forgets failures of what is configured otherwise by now.
func (s *services) keep(configured challenge.List) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of, f := range s.failing {
		if !slices.Contains(configured, f.verifier) {
			delete(s.failing, of)
		}
	}
}

// report lists the failures in a stable order.
func (s *services) report() []raconfig.Away {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	var out []raconfig.Away
	for _, f := range s.failing {
		out = append(out, f.Away)
	}
	slices.SortFunc(out, func(a, b raconfig.Away) int {
		return cmp.Or(cmp.Compare(a.Dependency, b.Dependency), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// forget drops what was not seen for long. The caller holds the lock.
func (s *services) forget() {
	for of, f := range s.failing {
		if s.now().Sub(f.Last) > failureLife {
			delete(s.failing, of)
		}
	}
}

// run asks those that failed again, until the context ends.
func (s *services) run(ctx context.Context) {
	rounds.Run(ctx, s.wake, s.now, s.round)
}

// round asks those that are due, one after the other, and returns when to come again.
func (s *services) round(ctx context.Context) time.Time {
	for _, one := range s.due() {
		if ctx.Err() == nil {
			s.learn(one, ask(ctx, one.verifier, one.notification))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.now().Add(askAgainMax)
	for _, f := range s.failing {
		if f.next.Before(next) {
			next = f.next
		}
	}
	return next
}

// pending is a failure whose service is to be asked again.
type pending struct {
	service
	failure  *failure
	verifier challenge.Verifier
}

func (s *services) due() []pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	var out []pending
	for of, f := range s.failing {
		if !s.now().Before(f.next) {
			out = append(out, pending{of, f, f.verifier})
		}
	}
	return out
}

func ask(ctx context.Context, v challenge.Verifier, notification bool) error {
	one, ok := v.(challenge.Prober)
	if !ok {
		return challenge.ErrNotProbed
	}
	ctx, cancel := context.WithTimeout(ctx, askAgainTimeout)
	defer cancel()
	return one.Probe(ctx, notification) //nolint:wrapcheck // it is judged, not told
}

// learn takes down what came of asking. Asking need not show what a question shows: a
// service may look at who calls only when it is asked one.
func (s *services) learn(of pending, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.failing[of.service]
	if f != of.failure || f.verifier != of.verifier {
		return // a device was faster
	}
	f.pause = min(2*f.pause, askAgainMax)
	f.next = s.now().Add(wait.Jitter(f.pause, askAgainJitter))
	reason, _, _ := whyAway(err)
	switch {
	case errors.Is(err, challenge.ErrNotProbed):
	case err == nil && (f.shown || onTheWay[f.Reason]):
		delete(s.failing, of.service)
	case err == nil:
	case reason == f.Reason || onTheWay[reason] || onTheWay[f.Reason]:
		f.describe(err)
		f.shown, f.Last = true, s.now().UTC().Truncate(time.Second)
	}
}
