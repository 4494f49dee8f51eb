package ra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// hook is a challenge whose service answers a probe as probed says.
type hook struct {
	challenge.Verifier
	probed error
	asked  int
}

func (h *hook) Name() string { return "hook" }

func (h *hook) Probe(context.Context, bool) error {
	h.asked++
	return h.probed
}

func answered(status int) error {
	return (&outbound.Answer{Host: "hook.example.com", Status: status}).StatusError()
}

var errTimeout = &outbound.Error{Host: "hook.example.com", Fault: outbound.TimedOut}

// watched are services with a clock that is set by hand.
type watched struct {
	*services
	at time.Time
}

func newWatched() *watched {
	w := &watched{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	w.services = newServices(func() time.Time { return w.at })
	return w
}

// later asks those that are due, time after time.
func (w *watched) later(t *testing.T, d time.Duration) {
	t.Helper()
	for end := w.at.Add(d); w.at.Before(end); w.at = w.at.Add(time.Second) {
		w.round(t.Context())
	}
}

func (w *watched) wants(t *testing.T, want ...raconfig.AwayReason) {
	t.Helper()
	var got []raconfig.AwayReason
	for _, a := range w.report() {
		got = append(got, a.Reason)
	}
	if !slices.Equal(got, want) {
		t.Errorf("away %v, want %v", got, want)
	}
}

func TestAFailureEnds(t *testing.T) {
	t.Parallel()
	const unauthenticated, timeout = raconfig.AwayUnauthenticated, raconfig.AwayTimeout
	for name, c := range map[string]struct {
		failed, probed error
		soon, later    []raconfig.AwayReason // after half a minute, and after a while that nobody saw it
	}{
		"asking shows the same":         {answered(401), answered(401), []raconfig.AwayReason{unauthenticated}, []raconfig.AwayReason{unauthenticated}},
		"asking shows nothing":          {answered(401), nil, []raconfig.AwayReason{unauthenticated}, nil},
		"asking shows another status":   {answered(401), answered(403), []raconfig.AwayReason{unauthenticated}, nil},
		"nobody can ask":                {answered(401), challenge.ErrNotProbed, []raconfig.AwayReason{unauthenticated}, nil},
		"the way is free again":         {errTimeout, nil, nil, nil},
		"the way is not":                {errTimeout, errTimeout, []raconfig.AwayReason{timeout}, []raconfig.AwayReason{timeout}},
		"it answers now, and refuses":   {errTimeout, answered(401), []raconfig.AwayReason{unauthenticated}, []raconfig.AwayReason{unauthenticated}},
		"it does not answer any more":   {answered(401), errTimeout, []raconfig.AwayReason{timeout}, []raconfig.AwayReason{timeout}},
		"not understood, nothing shows": {&outbound.Error{Fault: outbound.Unreadable}, nil, []raconfig.AwayReason{raconfig.AwayNotUnderstood}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w, v := newWatched(), &hook{probed: c.probed}
			w.judged(v, c.failed)
			w.later(t, 30*time.Second)
			w.wants(t, c.soon...)
			w.later(t, failureLife+time.Minute)
			w.wants(t, c.later...)
			if v.asked < 2 && c.soon != nil || v.asked > 20 {
				t.Errorf("asked %d times", v.asked)
			}
		})
	}
}

func TestWhatHasBeenShownEndsWhenItIsNotAnyMore(t *testing.T) {
	t.Parallel()
	w, v := newWatched(), &hook{probed: answered(403)}
	w.judged(v, answered(403))
	w.later(t, time.Hour)
	w.wants(t, raconfig.AwayForbidden)
	if got := w.report()[0]; got.Name != "hook" || got.HTTPStatus != 403 || got.Failures != 1 || got.Last.Sub(got.Since) < 50*time.Minute {
		t.Errorf("%+v", got)
	}
	v.probed = nil
	w.later(t, 2*askAgainMax)
	w.wants(t)
}

func TestUseAndSettingsEndAFailure(t *testing.T) {
	t.Parallel()
	w, v := newWatched(), &hook{probed: answered(401)}
	w.judged(v, answered(401))
	w.told(v, answered(500))
	if got := w.report(); len(got) != 2 || got[0].Dependency != raconfig.DependencyChallenge || got[1].Dependency != raconfig.DependencyNotification {
		t.Errorf("%+v", got)
	}
	w.judged(v, nil)
	w.wants(t, raconfig.AwayStatus)
	w.keep(challenge.List{v})
	w.wants(t, raconfig.AwayStatus)
	w.keep(challenge.List{&hook{}})
	w.wants(t)
}

func TestWhatIsNoFailureOfAService(t *testing.T) {
	t.Parallel()
	w, v := newWatched(), &hook{}
	w.judged(v, fmt.Errorf("too many: %w", onetime.ErrGuessing))
	w.told(v, &challenge.UntoldError{Err: answered(500)})
	w.wants(t)
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for want, errs := range map[raconfig.AwayReason][]error{
		raconfig.AwayBusy:            {challenge.ErrBusy},
		raconfig.AwayTimeout:         {context.DeadlineExceeded, errTimeout},
		raconfig.AwayUnusable:        {errors.New("ca.crt is missing"), &outbound.Error{Fault: outbound.BadURL}},
		raconfig.AwayRedirect:        {answered(301), answered(308)},
		raconfig.AwayStatus:          {answered(400), answered(404), answered(429), answered(500)},
		raconfig.AwayForbidden:       {fmt.Errorf("webhook: %w", answered(403))},
		raconfig.AwayUnauthenticated: {answered(401)},
	} {
		for _, err := range errs {
			if got, _, _ := whyAway(err); got != want {
				t.Errorf("%v: %s, want %s", err, got, want)
			}
		}
	}
	for _, fault := range []outbound.Fault{
		outbound.BadURL, outbound.UnknownHost, outbound.Unreachable, outbound.Untrusted, outbound.ClientRefused,
		outbound.TimedOut, outbound.Torn, outbound.TooLarge, outbound.Unreadable,
	} {
		if reasonsOfFaults[fault] == "" {
			t.Errorf("%s has no reason", fault)
		}
	}
}
