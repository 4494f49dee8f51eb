package ra

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

func TestFairKey(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, tc := range map[string]struct{ remote, header, value, want string }{
		"direct":                    {"203.0.113.9:1", "", "", "203.0.113.9/32"},
		"a site":                    {"[2001:db8:1:2:3::4]:1", "", "", "2001:db8:1:2::/64"},
		"by a trusted proxy":        {"10.1.2.3:1", "X-Forwarded-For", "198.51.100.1", "198.51.100.1/32"},
		"a trusted proxy itself":    {"10.1.2.3:1", "", "", "invalid Prefix"},
		"by an unknown proxy":       {"203.0.113.9:1", "X-Forwarded-For", "198.51.100.1", "invalid Prefix"},
		"by one that names another": {"203.0.113.9:1", "Via", "1.1 proxy", "invalid Prefix"},
		"no address":                {"@", "", "", "invalid Prefix"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = tc.remote
		if tc.header != "" {
			r.Header.Set(tc.header, tc.value)
		}
		if got := fairKey(r, clientAddress(r, trusted), trusted).String(); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestFailing(t *testing.T) {
	now := time.Unix(0, 0)
	f := newFairness(func() time.Time { return now })
	from := func(s string) netip.Prefix { return netip.MustParsePrefix(s + "/32") }
	count := func(who netip.Prefix, failed, succeeded int) {
		for range failed {
			f.count(who, true)
		}
		for range succeeded {
			f.count(who, false)
		}
	}
	bad, few, busy, site := from("192.0.2.1"), from("192.0.2.2"), from("192.0.2.3"), from("192.0.2.4")
	count(bad, minFailures, 0)
	count(few, minFailures-1, 0)
	count(busy, 0, 1000)
	count(site, 2*minFailures, minFailures) // many devices behind one address, some of them broken
	count(netip.Prefix{}, 1000, 0)
	for who, want := range map[netip.Prefix]bool{bad: true, few: false, busy: false, site: false, {}: false} {
		if f.failing(who) != want {
			t.Errorf("%s fails: %v", who, !want)
		}
	}
	now = now.Add(fairWindow)
	if !f.failing(bad) {
		t.Error("forgotten after a window")
	}
	now = now.Add(fairWindow)
	if f.failing(bad) {
		t.Error("not forgotten after two windows")
	}
}

func TestFairnessIsBounded(t *testing.T) {
	f := newFairness(func() time.Time { return time.Unix(0, 0) })
	for i := range 5 * maxTallies {
		f.count(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), true)
	}
	if len(f.current) > maxTallies || len(f.previous) > maxTallies {
		t.Errorf("%d and %d clients are remembered", len(f.current), len(f.previous))
	}
}

func TestWhoIsToBlame(t *testing.T) {
	who := netip.MustParsePrefix("192.0.2.1/32")
	for name, tc := range map[string]struct {
		reply *scep.Reply
		err   error
		want  tally
	}{
		"success":           {scep.Success(), nil, tally{succeeded: 1}},
		"pending":           {scep.Pending(), nil, tally{succeeded: 1}},
		"wrong challenge":   {nil, errChallengeWrong, tally{failed: 1}},
		"template":          {nil, refusal.New(refusal.SANNotAllowed, "no"), tally{failed: 1}},
		"denied":            {nil, refusal.New(refusal.Denied, "no"), tally{}},
		"issuer's mistake":  {nil, refusal.New(refusal.IssuedMismatch, "no"), tally{}},
		"nobody in time":    {nil, refusal.New(refusal.PendingExpired, "no"), tally{}},
		"API server away":   {nil, &scep.UnavailableError{}, tally{}},
		"our own error":     {nil, errors.New("no"), tally{}},
		"failed by replies": {nil, refusal.New(refusal.TransactionUnknown, "no"), tally{failed: 1}},
	} {
		f := newFairness(time.Now)
		f.judge(who, tc.reply, tc.err)
		if got := f.current[who]; got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// While there is room nobody is turned away; then those whose requests keep failing
// are, before anybody queues in vain.
func TestFailingClientsAreTurnedAwayFirst(t *testing.T) {
	p := small()
	who := netip.MustParsePrefix("192.0.2.1/32")
	for range minFailures {
		p.fairness.count(who, true)
	}
	ctx := context.WithValue(t.Context(), clientKey{}, &client{fair: who})
	if err := p.run(ctx, func() {}); err != nil {
		t.Errorf("turned away although there was room: %v", err)
	}
	p.room.tryEnter()
	err := p.run(ctx, func() { t.Error("the work was done") })
	var away *scep.UnavailableError
	if !errors.As(err, &away) || !away.TooMany || away.RetryAfter != busyRetryAfter {
		t.Errorf("error %+v, want HTTP 429", err)
	}
	entered := make(chan error)
	go func() { entered <- p.enter(t.Context()) }() // somebody else queues
	p.room.leave()
	if err := <-entered; err != nil {
		t.Errorf("somebody else did not get in: %v", err)
	}
}
