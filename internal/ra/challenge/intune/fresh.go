package intune

import (
	"context"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

// holdOff is for how long a failed load is not tried again, if the service names
// no time: a fleet must not hammer a service that refuses.
const holdOff = time.Second

// fresh keeps a value that has to be loaded now and then. One caller loads at a
// time; the others wait as long as their context lets them.
type fresh[T any] struct {
	load func(ctx context.Context) (value T, until time.Time, err error)
	now  func() time.Time

	turn chan struct{} // holds one token: whoever takes it may load

	mu    sync.Mutex // guards what follows
	last  loaded[T]
	until time.Time // the value is good before this
	retry time.Time // after an error no load before this

	forgotten time.Time
}

func newFresh[T any](now func() time.Time, load func(context.Context) (T, time.Time, error)) *fresh[T] {
	f := &fresh[T]{load: load, now: now, turn: make(chan struct{}, 1)}
	f.turn <- struct{}{}
	return f
}

// get returns the value, loaded anew if it is due.
func (f *fresh[T]) get(ctx context.Context) (T, error) {
	if known := f.peek(); known != nil {
		return known.value, known.err
	}
	select {
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	case <-f.turn:
	}
	defer func() { f.turn <- struct{}{} }()
	if known := f.peek(); known != nil { // somebody else has loaded meanwhile
		return known.value, known.err
	}
	return f.store(f.load(ctx))
}

// loaded is what a load came to.
type loaded[T any] struct {
	value T
	err   error
}

// peek returns what is known without a load: a value, or that it cannot be had
// now; nil if it has to be loaded.
func (f *fresh[T]) peek() *loaded[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if now.Before(f.until) || f.last.err != nil && now.Before(f.retry) {
		known := f.last
		return &known
	}
	return nil
}

func (f *fresh[T]) store(value T, until time.Time, err error) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last, f.until = loaded[T]{value, err}, until
	if err != nil {
		f.until, f.retry = time.Time{}, f.now().Add(pauseAfter(err))
	}
	return value, err
}

// forget makes the next get load anew. A service that refuses whatever is loaded
// cannot cause a load each time: what was forgotten just now is kept.
func (f *fresh[T]) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if now.Before(f.forgotten.Add(holdOff)) {
		return
	}
	f.until, f.forgotten = time.Time{}, now
}

func pauseAfter(err error) time.Duration {
	if failed, ok := outbound.As(err); ok && failed.RetryAfter > 0 {
		return failed.RetryAfter
	}
	return holdOff
}
