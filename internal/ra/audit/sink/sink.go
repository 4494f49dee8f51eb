// Package sink sends audit records to a service, in batches, from a bounded queue. A
// service that is away holds nobody up, but for those who ask to be.
package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
)

// Exporter sends batches. It is called by one goroutine.
type Exporter interface {
	// Export is nil only if the service took the whole batch. Its error holds nothing
	// of what was sent. The id is the same each time the batch is tried.
	Export(ctx context.Context, id string, batch []audit.Entry) error
	// Close frees connections.
	Close()
}

// Options of a Sink.
type Options struct {
	Exporter Exporter
	// Timeout of one try.
	Timeout time.Duration
	// Changed is told when the sink goes away and comes back (err is nil then), with
	// how many records were lost since it was told last; may be nil.
	Changed func(err error, lost uint64)
	Now     func() time.Time
	// NewID names a batch.
	NewID func() string
	// Pause is how long to leave the service alone after a failure; 0: a second, and
	// longer with each failure.
	Pause time.Duration
}

const (
	// queued is how many records wait at most.
	queued = 4096
	// batchSize is how many go at once.
	batchSize = 256
	// gather is how long a batch waits for more records.
	gather = 200 * time.Millisecond
	// defaultPause and maxPause lie between tries.
	defaultPause = time.Second
	maxPause     = 5 * time.Second
	// closeTimeout is for what is still waiting at the end.
	closeTimeout = 5 * time.Second
)

// Errors of Deliver.
var (
	ErrFull   = errors.New("the audit sink is away, and its queue is full")
	ErrClosed = errors.New("the audit sink was closed")
)

// Sink sends records. It is safe for concurrent use.
type Sink struct {
	o     Options
	queue chan item
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
	lost  atomic.Uint64
	away  atomic.Pointer[Outage]
}

// Outage is a time in which the service takes no records.
type Outage struct {
	// Err is why the latest try failed.
	Err error
	// Since is the first failure after the last success.
	Since time.Time
	// Failures since then.
	Failures int64
}

// item is a record, and who waits for it.
type item struct {
	entry audit.Entry
	taken chan error // nil: nobody waits
}

// New begins to send.
func New(o Options) *Sink {
	if o.Pause == 0 {
		o.Pause = defaultPause
	}
	s := &Sink{o: o, queue: make(chan item, queued), stop: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

// Keep implements audit.Keeper: it queues a record, or counts it as lost.
func (s *Sink) Keep(e audit.Entry) {
	select {
	case s.queue <- item{entry: e}:
	default:
		s.lost.Add(1)
	}
}

// Deliver returns nil when the service has taken the record. An error means that this
// is not known; the record may still be sent later.
func (s *Sink) Deliver(ctx context.Context, e audit.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	waiting := item{entry: e, taken: make(chan error, 1)}
	select {
	case s.queue <- waiting:
	default:
		s.lost.Add(1)
		return ErrFull
	}
	select {
	case err := <-waiting.taken:
		return err
	case <-s.done:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("the audit sink did not take the record in time: %w", ctx.Err())
	}
}

// Away is the present outage; nil if the latest try did not fail.
func (s *Sink) Away() *Outage { return s.away.Load() }

// Lost is how many records found no room.
func (s *Sink) Lost() uint64 { return s.lost.Load() }

// Close sends what is waiting, within a limit, and ends.
func (s *Sink) Close() {
	s.once.Do(func() { close(s.stop) })
	<-s.done
}

func (s *Sink) run() {
	defer close(s.done)
	defer s.o.Exporter.Close()
	for {
		select {
		case first := <-s.queue:
			s.send(s.batch(first))
		case <-s.stop:
			s.flush()
			return
		}
	}
}

// batch gathers what comes within a moment, unless somebody waits for it.
func (s *Sink) batch(first item) []item {
	out := []item{first}
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for len(out) < batchSize {
		if anyWaits(out) {
			return s.take(out)
		}
		select {
		case next := <-s.queue:
			out = append(out, next)
		case <-timer.C:
			return out
		case <-s.stop:
			return out
		}
	}
	return out
}

// take adds what is there already.
func (s *Sink) take(out []item) []item {
	for len(out) < batchSize {
		select {
		case next := <-s.queue:
			out = append(out, next)
		default:
			return out
		}
	}
	return out
}

func anyWaits(items []item) bool { return items[len(items)-1].taken != nil }

// send tries a batch until the service takes it, or the sink ends. Who waits for a
// record of it is told of the first try.
func (s *Sink) send(items []item) {
	id, pause := s.o.NewID(), s.o.Pause
	for {
		err := s.try(context.Background(), id, items)
		if err == nil {
			return
		}
		s.failWaiting(err)
		if !s.rest(pause) {
			_ = s.tryOnce(id, items)
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// rest waits between tries; false when the sink ends.
func (s *Sink) rest(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stop:
		return false
	}
}

// tryOnce is the last try at the end; what it does not send is lost.
func (s *Sink) tryOnce(id string, items []item) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.try(ctx, id, items)
	if err != nil {
		s.lost.Add(uint64(len(items)))
	}
	return err
}

func (s *Sink) try(ctx context.Context, id string, items []item) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	entries := make([]audit.Entry, len(items))
	for i := range items {
		entries[i] = items[i].entry
	}
	err := s.o.Exporter.Export(ctx, id, entries)
	tell(items, err)
	s.note(err)
	return err
}

// tell answers those who wait, once.
func tell(items []item, err error) {
	for i := range items {
		if items[i].taken != nil {
			items[i].taken <- err
			items[i].taken = nil
		}
	}
}

// failWaiting answers those who came before a try failed, and puts their records back
// behind the others. Who comes later waits for the next try.
func (s *Sink) failWaiting(err error) {
	for range len(s.queue) {
		select {
		case next := <-s.queue:
			tell([]item{next}, err)
			s.Keep(next.entry)
		default:
			return
		}
	}
}

// note tells of a change.
func (s *Sink) note(err error) {
	was := s.Away()
	switch {
	case err == nil:
		s.away.Store(nil)
	case was == nil:
		s.away.Store(&Outage{Err: err, Since: s.o.Now(), Failures: 1})
	default:
		s.away.Store(&Outage{Err: err, Since: was.Since, Failures: was.Failures + 1})
	}
	if s.o.Changed != nil && (was == nil) != (err == nil) {
		s.o.Changed(err, s.lost.Load())
	}
}

// flush sends what is left, until the first failure.
func (s *Sink) flush() {
	for {
		items := s.take(nil)
		if len(items) == 0 {
			return
		}
		if s.tryOnce(s.o.NewID(), items) != nil {
			s.lost.Add(uint64(len(s.queue)))
			return
		}
	}
}
