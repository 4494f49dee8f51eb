package challenge

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// What the challenges have in common that ask a service outside.

// RetryAfter is how long a service that could not tell wants to be left alone; 0 if
// it did not say.
func RetryAfter(err error) time.Duration {
	if failed, ok := outbound.As(err); ok {
		return failed.RetryAfter
	}
	return 0
}

// UntoldError says that a challenge could not be told how an enrolment ended, and
// that nothing depends on it.
type UntoldError struct{ Err error }

// Error is for the log.
func (e *UntoldError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UntoldError) Unwrap() error { return e.Err }

const (
	// maxAsking bounds the questions that one entry has under way: requests wait
	// for a service outside, and everybody can send requests.
	maxAsking = 64
	// optionalTimeout bounds a notification that nothing depends on: a device waits behind it.
	optionalTimeout = 3 * time.Second
)

// ErrBusy says that too many requests wait for a service already.
var ErrBusy = errors.New("too many requests wait for the service already")

// asking is a budget of questions.
type asking chan struct{}

func newAsking() asking { return make(asking, maxAsking) }

// do asks, if there is room.
func (a asking) do(ask func() error) error {
	select {
	case a <- struct{}{}:
	default:
		return ErrBusy
	}
	defer func() { <-a }()
	return ask()
}

// maxTold bounds what is remembered of notifications.
const maxTold = 4096

// memory remembers what a service was told, so that a device that asks again costs
// nothing and does not depend on the service again. It is lost with a restart:
// then the service is told again.
type memory struct {
	mu    sync.Mutex // guards what follows
	known map[string]struct{}
	order []string // the oldest first
}

// once tells, unless the same was told before.
func (t *memory) once(what string, tell func() error) error {
	if t.has(what) {
		return nil
	}
	if err := tell(); err != nil {
		return err
	}
	t.remember(what)
	return nil
}

func (t *memory) has(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.known[what]
	return known
}

func (t *memory) remember(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.known[what]; known {
		return
	}
	if t.known == nil {
		t.known = map[string]struct{}{}
	}
	if len(t.order) >= maxTold {
		delete(t.known, t.order[0])
		t.order = t.order[1:]
	}
	t.known[what] = struct{}{}
	t.order = append(t.order, what)
}

// successOf and failureOf identify what a service is told.
func successOf(a Attempt, issued *x509.Certificate) string {
	return digest("success", a.TransactionID, string(issued.Raw))
}

func failureOf(a Attempt, reason refusal.Reason) string {
	return digest("failure", a.TransactionID, string(reason), string(a.CSR.Raw))
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d %s", len(part), part) // a hash does not fail
	}
	return hex.EncodeToString(h.Sum(nil))
}

// mayPass are refusals after which the same request may yet succeed.
var mayPass = map[refusal.Reason]bool{refusal.IssuerFailed: true}

// Unusable stands for an entry whose files are missing or bad: it lets nobody in,
// and holds back what it would have to be told of.
type Unusable struct {
	name string
	err  error
}

// NewUnusable makes an entry that cannot tell, because of err.
func NewUnusable(name string, err error) *Unusable { return &Unusable{name, err} }

// Name implements Verifier.
func (u *Unusable) Name() string { return u.name }

// Verify implements Verifier: it cannot tell.
func (u *Unusable) Verify(_ context.Context, a Attempt) (*Admission, error) {
	if a.Password == "" {
		return nil, nil
	}
	return nil, u.err
}

// Succeeded implements Outcome: it holds the certificate back.
func (u *Unusable) Succeeded(context.Context, Attempt, *x509.Certificate) error { return u.err }

// Failed implements Outcome.
func (u *Unusable) Failed(context.Context, Attempt, *refusal.Error) error { return u.err }
