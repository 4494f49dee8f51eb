package ra

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
)

// TestLivenessAsksTheDeviceHandler: a server whose self-test passes, but which gives
// devices no good answer, is not alive.
func TestLivenessAsksTheDeviceHandler(t *testing.T) {
	key := probemark.NewKey([]byte("0123456789abcdef0123456789abcdef"))
	good := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(probemark.Header, key.Sign(r.Header.Get(probemark.Header), probemark.Receipt{}))
		_, _ = w.Write([]byte("AES\n"))
	})
	hangs := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	cases := []struct {
		name    string
		handler http.Handler
		key     probemark.Key
		want    error
	}{
		{"good", good, key, nil},
		{"nothing loaded yet", hangs, nil, nil},
		{"hangs", hangs, key, errDeviceHangs},
		{"error", http.NotFoundHandler(), key, errDeviceAnswer},
		{"a page", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }), key, errDeviceAnswer},
		{"empty", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(probemark.Header, key.Sign(r.Header.Get(probemark.Header), probemark.Receipt{}))
		}), key, errDeviceAnswer},
	}
	test, err := newSelfTest(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			if errors.Is(c.want, errDeviceHangs) {
				short, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				ctx = short
			}
			device := &deviceTest{handler: c.handler, now: time.Now, key: func() probemark.Key { return c.key }}
			if err := device.run(ctx); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if errors.Is(c.want, errDeviceHangs) {
				return
			}
			a := &admin{selfTest: test, device: device, logger: slog.New(slog.DiscardHandler)}
			answer := httptest.NewRecorder()
			a.live(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, livePath, http.NoBody))
			if alive := answer.Code == http.StatusOK; alive != (c.want == nil) {
				t.Errorf("HTTP %d", answer.Code)
			}
		})
	}
}
