package revocation

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// later lets the checker ask what is due, second by second.
func (w *world) later(d time.Duration) {
	for end := w.now().Add(d); w.now().Before(end); w.pass(time.Second) {
		w.checker.round(w.t.Context())
	}
}

func (w *world) wantSilent(want bool) {
	w.t.Helper()
	if got := w.checker.Silences(); len(got) > 0 != want {
		w.t.Errorf("at %s: silences %+v, wanted: %v", w.now(), got, want)
	}
}

// publish serves a list as /ca.crl while the server is up.
func (w *world) publish(up *bool, list *[]byte) {
	w.mux.HandleFunc("/ca.crl", func(out http.ResponseWriter, _ *http.Request) {
		if !*up {
			out.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = out.Write(*list)
	})
}

// A list that ends while its server is away is known to within a minute, and likewise that it is back.
func TestAListThatEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := true
	current := w.crl(nil)
	w.publish(&up, &current)
	w.checker.Watch(w.device(1, []string{"/ca.crl"}, nil), w.ca)
	w.later(time.Minute)
	w.wantSilent(false)
	if got := w.calls.Load(); got != 1 {
		t.Errorf("%d calls in the first minute", got)
	}
	up = false
	w.later(23 * time.Hour) // it is asked for again, in vain, and the one at hand holds
	w.wantSilent(false)
	w.later(59*time.Minute + time.Minute)
	w.wantSilent(true)
	silence := w.checker.Silences()[0]
	var from *SourceError
	var status *StatusError
	if !errors.As(silence.Err, &from) || !strings.HasPrefix(w.server.URL, "http://"+from.Host) || !errors.As(silence.Err, &status) || status.Status != http.StatusBadGateway {
		t.Errorf("%v", silence.Err)
	}
	before := w.calls.Load()
	w.later(10 * time.Minute)
	if calls := w.calls.Load() - before; calls < 10 || calls > 40 {
		t.Errorf("%d calls in ten minutes while it is away", calls)
	}
	up, current = true, w.crl(nil)
	w.later(time.Minute)
	w.wantSilent(false)
}

func TestOneSourceThatTellsIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("/second.crl", fixed(w.crl(nil)))
	w.checker.Watch(w.device(1, []string{"/first.crl", "/second.crl"}, nil), w.ca)
	w.later(time.Minute)
	w.wantSilent(false)
}

func TestWhyAListIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("/ca.crl", fixed([]byte("no list")))
	w.checker.Watch(w.device(1, []string{"/ca.crl"}, nil), w.ca)
	w.later(time.Minute)
	w.wantSilent(true)
	w.checker.Keep(nil, 0)
	w.wantSilent(false)
}

// Those of one CA have the same sources: one certificate stands for all, and few for many.
func TestFewAreWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for serial := range int64(20) {
		w.checker.Watch(w.device(serial+1, []string{"/ca.crl"}, nil), w.ca)
	}
	w.checker.Watch(w.device(1, nil, nil), w.ca)                                             // it names no source
	w.checker.Watch(w.deviceUntil(noon.Add(-time.Hour), 1, []string{"/old.crl"}, nil), w.ca) // it has ended
	if got := len(w.checker.samples.byKey); got != 1 {
		t.Errorf("%d are watched", got)
	}
	for _, path := range []string{"/a", "/b", "/c", "/d", "/e"} {
		w.checker.Watch(w.device(1, []string{path}, nil), w.ca)
	}
	if got := len(w.checker.samples.byKey); got != maxSamples {
		t.Errorf("%d are watched", got)
	}
}

// TestToleratedSilence: that a list has ended is known also where it counts still, and at once
// when that changes.
func TestToleratedSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("/ca.crl", fixed(w.crl(nil))) // it never has a newer one
	w.checker.Keep([]*x509.Certificate{w.ca}, time.Hour)
	w.checker.Watch(w.device(1, []string{"/ca.crl"}, nil), w.ca)
	w.later(time.Minute)
	w.pass(24 * time.Hour)
	tolerated := func(want bool) {
		t.Helper()
		w.wantSilent(true)
		for _, s := range w.checker.Silences() {
			if s.Tolerated != want || !errors.Is(s.Err, ErrStale) {
				t.Errorf("%+v, want tolerated: %v", s, want)
			}
		}
	}
	w.later(15 * time.Second)
	tolerated(true)
	w.checker.Keep([]*x509.Certificate{w.ca}, 0)
	w.later(time.Second)
	tolerated(false)
	w.checker.Keep([]*x509.Certificate{w.ca}, time.Hour)
	w.later(time.Second)
	tolerated(true)
	w.later(time.Hour)
	tolerated(false)
}

// TestNeededSourcesAreAskedSoon: a device that renews does not wait for the next round.
func TestNeededSourcesAreAskedSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := false
	list := w.crl(nil)
	w.publish(&up, &list)
	device := w.device(1, []string{"/ca.crl"}, nil)
	w.checker.Watch(device, w.ca)
	w.later(time.Minute)
	w.wantSilent(true)
	up = true
	w.pass(failureRemembered)
	w.checker.Watch(device, w.ca)
	w.later(time.Second)
	w.wantSilent(false)
}
