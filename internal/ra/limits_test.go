package ra

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scepter-pki/scepter/internal/scep"
)

func gauge(string) prometheus.Gauge { return prometheus.NewGauge(prometheus.GaugeOpts{Name: "test"}) }

// small is a processor with one place and one in the queue.
func small() *processor {
	return &processor{room: newBudget(1, gauge("")), queue: newBudget(1, gauge("")), fairness: newFairness(time.Now)}
}

func TestProcessorIsFull(t *testing.T) {
	p := small()
	p.room.tryEnter()
	p.queue.tryEnter()
	err := p.run(t.Context(), func() { t.Error("the work was done") })
	var unavailable *scep.UnavailableError
	if !errors.As(err, &unavailable) || unavailable.RetryAfter != busyRetryAfter || !errors.Is(err, errBusy) {
		t.Errorf("error %v, want an UnavailableError because of %v", err, errBusy)
	}
}

func TestProcessorGivesThePlaceBack(t *testing.T) {
	p := small()
	for range 2 {
		worked := false
		if err := p.run(t.Context(), func() { worked = !p.room.tryEnter() }); err != nil {
			t.Fatal(err)
		}
		if !worked {
			t.Error("the work was not done, or took no place")
		}
	}
	if len(p.room.places) != 0 {
		t.Error("the place was not given back")
	}
}

func TestProcessorQueue(t *testing.T) {
	p := small()
	p.room.tryEnter()
	entered := make(chan error)
	go func() { entered <- p.enter(t.Context()) }()
	p.room.leave()
	if err := <-entered; err != nil {
		t.Errorf("who waited did not get in: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.enter(ctx); !errors.Is(err, errBusy) {
		t.Errorf("error %v, want %v", err, errBusy)
	}
}

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tc := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"direct":                    {"203.0.113.9:1234", nil, "203.0.113.9"},
		"spoofed":                   {"203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		"by one proxy":              {"10.1.2.3:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		"by two proxies":            {"10.1.2.3:1234", []string{"198.51.100.1, 10.9.9.9"}, "198.51.100.1"},
		"by two headers":            {"10.1.2.3:1234", []string{"198.51.100.1", "10.9.9.9"}, "198.51.100.1"},
		"spoofed before a proxy":    {"10.1.2.3:1234", []string{"192.0.2.7, 198.51.100.1"}, "198.51.100.1"},
		"proxies only":              {"10.1.2.3:1234", []string{"10.9.9.9"}, "10.9.9.9"},
		"nonsense":                  {"10.1.2.3:1234", []string{"unknown"}, "10.1.2.3"},
		"proxy without a header":    {"10.1.2.3:1234", nil, "10.1.2.3"},
		"IPv6":                      {"[fd00::1]:1234", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv4 in IPv6":              {"[::ffff:10.1.2.3]:1234", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"a socket without a number": {"@", nil, "@"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = tc.remote, tc.forwarded
			if got := clientAddress(r, trusted); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
