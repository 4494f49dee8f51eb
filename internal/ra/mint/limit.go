package mint

import (
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits for each caller that may mint, and for each address that may not: a
// management system that rolls a profile out, and a person who mistypes a password.
const (
	mintsPerSecond    = 20
	mintsBurst        = 200
	failuresPerSecond = 0.2
	failuresBurst     = 10
	// maxLimited bounds the callers that are remembered.
	maxLimited = 4096
)

// limits is a rate limiter for each caller.
type limits struct {
	rate  rate.Limit
	burst int
	now   func() time.Time

	mu  sync.Mutex
	all map[string]*rate.Limiter
}

func newLimits(perSecond rate.Limit, burst int, now func() time.Time) *limits {
	return &limits{rate: perSecond, burst: burst, now: now, all: map[string]*rate.Limiter{}}
}

// take takes one from the caller's allowance, and says whether there was one.
func (l *limits) take(caller string) bool { return l.of(caller).AllowN(l.now(), 1) }

// open says whether the caller has an allowance left.
func (l *limits) open(caller string) bool { return l.of(caller).TokensAt(l.now()) >= 1 }

func (l *limits) of(caller string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one, ok := l.all[caller]; ok {
		return one
	}
	if len(l.all) >= maxLimited {
		l.forgetRested()
	}
	one := rate.NewLimiter(l.rate, l.burst)
	l.all[caller] = one
	return one
}

// forgetRested drops the callers whose allowance is whole again, or all if there
// are none: memory stays bounded whoever calls.
func (l *limits) forgetRested() {
	for caller, one := range l.all {
		if one.TokensAt(l.now()) >= float64(l.burst) {
			delete(l.all, caller)
		}
	}
	if len(l.all) >= maxLimited {
		clear(l.all)
	}
}

// clientAddress is who opened the connection: no proxy is between, for TLS ends here.
func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
