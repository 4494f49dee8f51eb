package scep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	defaultPollInterval = 10 * time.Second
	maxPollFactor       = 8

	// maxRetryAfter bounds how long a server can keep a client waiting.
	maxRetryAfter = time.Hour
)

// poll asks again while the answer is PENDING.
func (e *enrolment) poll(ctx context.Context, result *Result) (*Result, error) {
	pauses := newBackoff(e.client.PollInterval)
	var busyFor time.Duration
	for polls := 0; result.Status == StatusPending && polls != e.client.PollLimit; polls++ {
		if err := wait(ctx, max(pauses.next(), busyFor)); err != nil {
			return nil, err
		}
		next, err := e.exchange(ctx, CertPoll, e.issuerAndSubject())
		var status *HTTPError
		if errors.As(err, &status) && status.busy() {
			busyFor = status.retryAfter()
			continue
		}
		if err != nil {
			return nil, err
		}
		result, busyFor = next, 0
	}
	return result, nil
}

// backoff is a series of pauses, each twice as long as the one before, up to a
// limit.
type backoff struct{ pause, longest time.Duration }

func newBackoff(first time.Duration) *backoff {
	first = cmp.Or(first, defaultPollInterval)
	return &backoff{first, maxPollFactor * first}
}

func (b *backoff) next() time.Duration {
	pause := b.pause
	b.pause = min(2*pause, b.longest)
	return pause
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("scep: polling: %w", ctx.Err())
	}
}

// retryAfter is the header as a time, 0 if it is absent or a date.
func (e *HTTPError) retryAfter() time.Duration {
	seconds, err := strconv.Atoi(e.RetryAfter)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
}
