package ra

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scepter-pki/scepter/internal/scep"
)

// Limits of a server. Cryptography and waiting for the issuer have budgets of
// their own: an issuer that is slow must not keep messages from being opened.
const (
	// slotsPerCPU is how many messages are worked on at once, for each processor.
	slotsPerCPU = 2
	// maxQueued is how many more may wait for that.
	maxQueued = 256
	// maxQueueTime is how long they wait.
	maxQueueTime = 5 * time.Second
	// maxWaiting is how many requests wait for the issuer at once.
	maxWaiting = 256
	// busyRetryAfter is told to devices over a limit.
	busyRetryAfter = 5 * time.Second
)

// budget bounds how many do something at once.
type budget struct {
	places chan struct{}
	gauge  prometheus.Gauge
}

func newBudget(size int, gauge prometheus.Gauge) *budget {
	return &budget{places: make(chan struct{}, size), gauge: gauge}
}

func (b *budget) tryEnter() bool {
	select {
	case b.places <- struct{}{}:
		b.gauge.Inc()
		return true
	default:
		return false
	}
}

func (b *budget) enter(ctx context.Context) error {
	select {
	case b.places <- struct{}{}:
		b.gauge.Inc()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *budget) leave() {
	<-b.places
	b.gauge.Dec()
}

// processor guards cryptography: a bounded queue before a bounded room.
type processor struct {
	room, queue *budget
	fairness    *fairness
}

func newProcessor(gauge func(resource string) prometheus.Gauge, f *fairness) *processor {
	return &processor{
		fairness: f,
		room:     newBudget(runtime.GOMAXPROCS(0)*slotsPerCPU, gauge("cryptography")),
		queue:    newBudget(maxQueued, gauge("queue")),
	}
}

var (
	errBusy    = errors.New("too many messages are being worked on")
	errFailing = errors.New("too many messages are being worked on, and this client's keep failing")
)

// enter waits for a place, within the bounds of the queue. Clients whose requests
// keep failing do not queue.
func (p *processor) enter(ctx context.Context) error {
	if p.room.tryEnter() {
		return nil
	}
	if p.fairness.failing(clientFrom(ctx).fair) {
		return errFailing
	}
	if !p.queue.tryEnter() {
		return errBusy
	}
	defer p.queue.leave()
	ctx, cancel := context.WithTimeout(ctx, maxQueueTime)
	defer cancel()
	if p.room.enter(ctx) != nil {
		return errBusy
	}
	return nil
}

// run does the cryptography of one message when there is room for it. The error
// is a *scep.UnavailableError; the work was then not done.
func (p *processor) run(ctx context.Context, work func()) error {
	if err := p.enter(ctx); err != nil {
		return &scep.UnavailableError{RetryAfter: busyRetryAfter, Err: err, TooMany: errors.Is(err, errFailing)}
	}
	defer p.room.leave()
	work()
	return nil
}
