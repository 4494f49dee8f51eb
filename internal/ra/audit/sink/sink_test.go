package sink

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
)

// service takes batches, or fails.
type service struct {
	mu      sync.Mutex
	err     error
	batches map[string][]string // by id
	tries   int
	tried   chan struct{}
}

func newService() *service {
	return &service{batches: map[string][]string{}, tried: make(chan struct{}, 1000)}
}

func (s *service) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *service) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, batch := range s.batches {
		total += len(batch)
	}
	return total
}

func (s *service) Export(_ context.Context, id string, batch []audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.tried <- struct{}{} }()
	s.tries++
	if s.err != nil {
		return s.err
	}
	s.batches[id] = nil
	for _, e := range batch {
		s.batches[id] = append(s.batches[id], string(e.JSON))
	}
	return nil
}

func (*service) Close() {}

func entry(n int) audit.Entry { return audit.Entry{JSON: fmt.Appendf(nil, `{"n":%d}`, n)} }

var errAway = errors.New("away")

func options(s *service) Options {
	next := 0
	return Options{
		Exporter: s, Timeout: 10 * time.Second, Now: time.Now, Pause: time.Millisecond,
		NewID: func() string { next++; return fmt.Sprint(next) },
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestSinkGathersAndSends(t *testing.T) {
	t.Parallel()
	s := newService()
	sink := New(options(s))
	for n := range 700 {
		sink.Keep(entry(n))
	}
	sink.Close()
	if s.taken() != 700 || sink.Lost() != 0 || s.tries > 100 {
		t.Errorf("%d taken in %d tries, %d lost", s.taken(), s.tries, sink.Lost())
	}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	s := newService()
	sink := New(options(s))
	defer sink.Close()
	sink.Keep(entry(1))
	if err := sink.Deliver(t.Context(), entry(2)); err != nil || s.taken() != 2 {
		t.Errorf("%v, %d taken", err, s.taken())
	}
	s.fail(errAway)
	if err := sink.Deliver(t.Context(), entry(3)); !errors.Is(err, errAway) {
		t.Errorf("delivered to a service that is away: %v", err)
	}
	if outage := sink.Away(); outage == nil || outage.Failures == 0 || outage.Since.IsZero() {
		t.Errorf("outage %+v", outage)
	}
	s.fail(nil)
	if err := sink.Deliver(t.Context(), entry(4)); err != nil {
		t.Error(err)
	}
	eventually(t, "what was refused to arrive all the same", func() bool { return s.taken() == 4 && sink.Away() == nil })
}

// TestDeliverInTime gives up on a service that does not answer.
func TestDeliverInTime(t *testing.T) {
	t.Parallel()
	o := options(newService())
	o.Exporter, o.Timeout = stuck{}, 50*time.Millisecond
	sink := New(o)
	defer sink.Close()
	if err := sink.Deliver(t.Context(), entry(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stuck service: %v", err)
	}
}

// stuck answers nobody.
type stuck struct{}

func (stuck) Export(ctx context.Context, _ string, _ []audit.Entry) error {
	<-ctx.Done()
	return ctx.Err()
}

func (stuck) Close() {}

// TestOutage keeps what there is room for, counts the rest, and tells of the change.
func TestOutage(t *testing.T) {
	t.Parallel()
	s := newService()
	s.fail(errAway)
	o := options(s)
	var mu sync.Mutex
	var told []string
	o.Changed = func(err error, _ uint64) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprint(err))
	}
	sink := New(o)
	sink.Keep(entry(0))
	<-s.tried
	for n := range queued + 300 {
		sink.Keep(entry(n))
	}
	if sink.Lost() == 0 {
		t.Error("nothing was lost")
	}
	s.fail(nil)
	eventually(t, "the service to take what there is", func() bool {
		return s.taken()+int(sink.Lost()) == queued+301
	})
	sink.Close()
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(told) != "[away <nil>]" {
		t.Errorf("told %v", told)
	}
}

// TestCloseWhileAway ends soon, and counts what it did not send.
func TestCloseWhileAway(t *testing.T) {
	t.Parallel()
	s := newService()
	s.fail(errAway)
	o := options(s)
	o.Pause = time.Hour
	sink := New(o)
	sink.Keep(entry(0))
	<-s.tried
	sink.Keep(entry(1))
	sink.Close()
	if sink.Lost() != 2 {
		t.Errorf("%d lost, want 2", sink.Lost())
	}
	if err := sink.Deliver(t.Context(), entry(2)); !errors.Is(err, ErrClosed) {
		t.Errorf("delivered by a closed sink: %v", err)
	}
}

// TestWebhook sees what a service gets, and each fault that it can show.
func TestWebhook(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef")
	var got Batch
	var fault faults.Switch
	server := httptest.NewTLSServer(fault.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		if r.Header.Get(SignatureHeader) != hex.EncodeToString(mac.Sum(nil)) || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if json.Unmarshal(body, &got) != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})))
	defer server.Close()
	hook := &Webhook{URL: server.URL + "/records?tenant=secret", Key: key, Pod: "corp-1", Client: trusting(server)}
	defer hook.Close()
	if err := hook.Export(t.Context(), "x1", []audit.Entry{entry(1), entry(2)}); err != nil {
		t.Fatal(err)
	}
	if got.ID != "x1" || got.Pod != "corp-1" || len(got.Records) != 2 || string(got.Records[1]) != `{"n":2}` {
		t.Errorf("got %+v", got)
	}
	for _, c := range faults.Cases {
		if strings.Contains(c.Says, "cannot be read") {
			continue // the body of a yes does not matter
		}
		fault.Break(c.Fault)
		err := hook.Export(t.Context(), "x2", []audit.Entry{entry(1)})
		if err == nil || !strings.Contains(err.Error(), c.Says) {
			t.Errorf("%s: %v", c.Name, err)
		} else if strings.Contains(err.Error(), faults.Leak) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells too much: %v", c.Name, err)
		}
	}
}

// trusting is a client that trusts a test's server.
func trusting(server *httptest.Server) *outbound.Client {
	transport, _ := server.Client().Transport.(*http.Transport)
	return outbound.New(outbound.Options{Timeout: 2 * time.Second, MaxAnswer: 64 << 10, Roots: transport.TLSClientConfig.RootCAs})
}
