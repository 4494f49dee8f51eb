package ra

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
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
	maxMessage  int64
}

func newProcessor(gauge func(resource string) prometheus.Gauge) *processor {
	return &processor{
		room:       newBudget(runtime.GOMAXPROCS(0)*slotsPerCPU, gauge("cryptography")),
		queue:      newBudget(maxQueued, gauge("queue")),
		maxMessage: int64(scep.DefaultLimits.MaxMessageBytes),
	}
}

var errBusy = errors.New("too many messages are being worked on")

// enter waits for a place, within the bounds of the queue.
func (p *processor) enter(ctx context.Context) error {
	if p.room.tryEnter() {
		return nil
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

// place is a request's place in the room, which it can leave for a while.
type place struct{ room *budget }

type placeKey struct{}

// leaveProcessor gives the place of a request to others until resume is called.
func leaveProcessor(ctx context.Context) (resume func()) {
	p, ok := ctx.Value(placeKey{}).(*place)
	if !ok {
		return func() {}
	}
	p.room.leave()
	// Coming back is not refused: the answer only has to be signed.
	return sync.OnceFunc(func() { _ = p.room.enter(context.WithoutCancel(ctx)) })
}

// guard lets PKIOperations in as there is room. The message is read before, so
// that a slow sender takes nobody's place.
func (p *processor) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !needsProcessor(r) {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, p.maxMessage))
		if err != nil {
			refuseBody(w, err)
			return
		}
		if err := p.enter(r.Context()); err != nil {
			w.Header().Set("Retry-After", strconv.Itoa(int(busyRetryAfter.Seconds())))
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		defer p.room.leave()
		r = r.WithContext(context.WithValue(r.Context(), placeKey{}, &place{p.room}))
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func refuseBody(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		http.Error(w, "message too large", http.StatusRequestEntityTooLarge)
		return
	}
	http.Error(w, "the message could not be read", http.StatusBadRequest)
}

// needsProcessor says whether a request carries a message.
func needsProcessor(r *http.Request) bool {
	return r.Method == http.MethodPost || strings.Contains(strings.ToLower(r.URL.RawQuery), "message=")
}
