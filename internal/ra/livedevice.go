package ra

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
)

var (
	errDeviceHangs  = errors.New("liveness: what devices are served by gives no answer")
	errDeviceAnswer = errors.New("liveness: what devices are served by gives no good answer")
)

// deviceTest asks what serves devices for the capabilities, in memory: past listeners
// and queues, so that a flood of requests does not look like a sick server, and
// marked as a probe, so that it counts for nothing.
type deviceTest struct {
	handler http.Handler
	// key is nil before there is anything to answer with.
	key func() probemark.Key
	now func() time.Time
}

// run is nil if the answer is that of a SCEP server, or if none can be expected yet.
func (t *deviceTest) run(ctx context.Context) error {
	key := t.key()
	if key == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, selfTestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/scep?operation=GetCACaps", http.NoBody)
	if err != nil {
		return fmt.Errorf("liveness: %w", err)
	}
	request.RequestURI = request.URL.RequestURI()
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	mark := key.Mark(t.now(), nonce)
	request.Header.Set(probemark.Header, mark)
	return t.answer(ctx, request, func(a *answerBuffer) bool {
		_, err := key.Verify(mark, a.header.Get(probemark.Header))
		return err == nil && a.status == http.StatusOK && len(bytes.TrimSpace(a.body.Bytes())) > 0
	})
}

// answer waits for the handler, which may hang, for as long as the context lasts.
func (t *deviceTest) answer(ctx context.Context, request *http.Request, good func(*answerBuffer) bool) error {
	answered := make(chan *answerBuffer, 1)
	go func() {
		a := &answerBuffer{header: http.Header{}, status: http.StatusOK}
		t.handler.ServeHTTP(a, request)
		answered <- a
	}()
	select {
	case <-ctx.Done():
		return errDeviceHangs
	case a := <-answered:
		if !good(a) {
			return fmt.Errorf("%w: HTTP %d", errDeviceAnswer, a.status)
		}
		return nil
	}
}
