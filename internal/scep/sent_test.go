package scep_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// following is a Backend whose answers say what became of them.
type following struct {
	sent chan error
	// decide is called before an answer is given.
	decide func(ctx context.Context)
}

func (f following) PKIOperation(ctx context.Context, _ *scep.Request) (*scep.Reply, error) {
	f.decide(ctx)
	reply := scep.Pending()
	reply.Sent = func(err error) { f.sent <- err }
	return reply, nil
}

func (f following) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-f.sent:
		return err
	case <-time.After(time.Minute):
		t.Fatal("nobody said what became of the answer")
		return nil
	}
}

func TestSentIsToldOfAnAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := following{sent: make(chan error, 1), decide: func(context.Context) {}}
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: f})
	send(t, http.MethodPost, s.URL, "", bytes.NewReader(b.message(t).Bytes(t))).want(t, http.StatusOK, mediaMessage)
	if err := f.wait(t); err != nil {
		t.Errorf("it was sent: %v", err)
	}
}

// TestSentIsToldOfAClientThatIsGone has one hang up while the Backend decides.
func TestSentIsToldOfAClientThatIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, hangUp := context.WithCancel(t.Context())
	f := following{sent: make(chan error, 1), decide: func(ctx context.Context) {
		hangUp()
		<-ctx.Done()
	}}
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: f})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(b.message(t).Bytes(t)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the client got %v", err)
	}
	if err := f.wait(t); err == nil {
		t.Error("it is said to have been sent, and there was nobody")
	}
}

// hastyClient goes as soon as it has the answer.
type hastyClient struct {
	http.ResponseWriter
	hangUp func()
}

// FlushError implements what http.ResponseController asks for.
func (c hastyClient) FlushError() error {
	c.hangUp()
	return nil
}

func TestSentIsToldOfAClientThatGoesWithItsAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, hangUp := context.WithCancel(t.Context())
	f := following{sent: make(chan error, 1), decide: func(context.Context) {}}
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: f})
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/scep?operation=PKIOperation", bytes.NewReader(b.message(t).Bytes(t)))
	answer := httptest.NewRecorder()
	s.Handler.ServeHTTP(hastyClient{answer, hangUp}, request)
	if answer.Code != http.StatusOK || ctx.Err() == nil {
		t.Fatalf("HTTP %d, %v", answer.Code, ctx.Err())
	}
	if err := f.wait(t); err != nil {
		t.Errorf("it was sent: %v", err)
	}
}
