package revocation

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// cache keeps answers by a key. What is there and fresh is used; what is older is
// asked for again, and used until it is stale where nothing newer can be had. One
// question at a time is under way for each key.
type cache[T any] struct {
	now     func() time.Time
	max     int
	flights singleflight.Group

	mu      sync.Mutex // guards entries
	entries map[string]*entry[T]
}

// entry is what is known under a key.
type entry[T any] struct {
	value   *T // nil: none was ever had
	period  period
	fetched time.Time
	// failed and err are of the latest failure, if that is later than fetched.
	failed time.Time
	err    error
}

func newCache[T any](limit int, now func() time.Time) *cache[T] {
	return &cache[T]{now: now, max: limit, entries: map[string]*entry[T]{}}
}

// fetched is an answer and how long it holds.
type fetched[T any] struct {
	value  *T
	period period
}

// get returns what is known under a key, and fetches it where that is missing or old. What
// ended less than grace ago counts where nothing newer can be had.
func (c *cache[T]) get(ctx context.Context, key string, grace time.Duration, fetch func(context.Context) (*fetched[T], error)) (*T, error) {
	known := c.look(key)
	now := c.now()
	if known.value != nil && now.Sub(known.fetched) < refreshAfter && known.period.check(now, 0) == nil {
		return known.value, nil
	}
	if known.err == nil || now.Sub(known.failed) >= failureRemembered {
		known = c.fetch(ctx, key, known, fetch)
	}
	if known.value != nil && known.period.check(now, grace) == nil {
		return known.value, nil
	}
	if known.err != nil {
		return nil, known.err
	}
	return nil, known.period.check(now, grace)
}

// fetch goes on when a caller gives up, for the sake of the others.
func (c *cache[T]) fetch(ctx context.Context, key string, known entry[T], fetch func(context.Context) (*fetched[T], error)) entry[T] {
	flight := c.flights.DoChan(key, func() (any, error) {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		got, err := fetch(detached)
		c.store(key, got, err)
		return nil, nil
	})
	select {
	case <-flight:
		return c.look(key)
	case <-ctx.Done():
		known.err = fmt.Errorf("gave up: %w", ctx.Err())
		return known
	}
}

func (c *cache[T]) look(key string) entry[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.entries[key]; ok {
		return *known
	}
	return entry[T]{}
}

// store takes over an answer, unless it is older than what is there: somebody may
// show an old one that has not ended yet. One that has ended comes with an error.
func (c *cache[T]) store(key string, got *fetched[T], err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	e := c.entries[key]
	if e == nil {
		c.makeRoom(now)
		e = &entry[T]{}
		c.entries[key] = e
	}
	e.err = err
	if err != nil {
		e.failed = now
	} else {
		e.fetched = now
	}
	if got == nil {
		return
	}
	if e.value == nil || !got.period.from.Before(e.period.from) {
		e.value, e.period = got.value, got.period
	}
}

// makeRoom drops what has ended; if that is nothing, what was fetched first.
func (c *cache[T]) makeRoom(now time.Time) {
	if len(c.entries) < c.max {
		return
	}
	oldest := ""
	for key, e := range c.entries {
		if !now.Before(e.period.to) {
			delete(c.entries, key)
		} else if oldest == "" || e.fetched.Before(c.entries[oldest].fetched) {
			oldest = key
		}
	}
	if len(c.entries) >= c.max {
		delete(c.entries, oldest)
	}
}
