package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/scepter-pki/scepter/internal/ra/rounds"
)

const (
	// maxSamples bounds the certificates whose sources are asked without a device.
	maxSamples = 4
	// Looks at sources that can tell, and at such that cannot.
	restInterval = 10 * time.Second
	againMin     = 5 * time.Second
	againMax     = 15 * time.Second
	jitter       = 0.2
)

// SourceError says which source could not tell, and why.
type SourceError struct {
	// Source is what it is, with its URL, for the log.
	Source string
	// Host of its URL, with the port if it has one.
	Host string
	Err  error
}

// Error is for the log.
func (e *SourceError) Error() string { return e.Source + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *SourceError) Unwrap() error { return e.Err }

func sourceError(kind, target string, err error) error {
	host := ""
	if u, bad := url.Parse(target); bad == nil {
		host = u.Host
	}
	return &SourceError{Source: kind + " " + target, Host: host, Err: err}
}

// Silence is that a certificate's sources cannot tell.
type Silence struct {
	// Err is a *SourceError of the first of them.
	Err error
	// Since is the first time, and Last the latest.
	Since, Last time.Time
	// Count of times.
	Count int64
	// Tolerated is true while what they said last still counts.
	Tolerated bool
}

// samples are certificates whose sources are asked without a device: those of one CA name
// the same ones, so one for each set of sources is enough.
type samples struct {
	now  func() time.Time
	wake chan struct{}

	mu    sync.Mutex // guards what follows
	byKey map[string]*sample
	grace time.Duration
}

// sample is a certificate, and what came of asking about it.
type sample struct {
	certificate, issuer *x509.Certificate
	silence             *Silence // nil: it could be told, or was never asked
	next                time.Time
	pause               time.Duration
}

func newSamples(now func() time.Time) *samples {
	return &samples{now: now, wake: make(chan struct{}, 1), byKey: map[string]*sample{}}
}

// Watch has the sources of a certificate asked from now on, by Run, so that it is known that they
// cannot tell before a device needs them. The caller has verified that the issuer signed
// the certificate. Of certificates with the same sources the latest to end counts. Sources that
// cannot tell are asked soon, for somebody needs them.
func (c *Checker) Watch(certificate, issuer *x509.Certificate) {
	if len(c.sources(certificate)) > 0 && !c.now().After(certificate.NotAfter) {
		c.samples.add(certificate, issuer)
	}
}

func (s *samples) add(certificate, issuer *x509.Certificate) {
	key := keyOf(certificate, issuer)
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.byKey[key]; have != nil {
		if certificate.NotAfter.After(have.certificate.NotAfter) {
			have.certificate = certificate
		}
		if have.silence != nil {
			s.soon(have)
		}
		return
	}
	if len(s.byKey) >= maxSamples {
		return
	}
	s.byKey[key] = &sample{certificate: certificate, issuer: issuer, pause: againMin}
	s.soon(s.byKey[key])
}

// soon has a sample asked about now. The caller holds mu.
func (s *samples) soon(one *sample) {
	one.next = s.now()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func keyOf(certificate, issuer *x509.Certificate) string {
	print := sha256.Sum256(issuer.Raw)
	urls := slices.Concat(callable(certificate.CRLDistributionPoints), []string{""}, callable(certificate.OCSPServer))
	return string(print[:]) + strings.Join(urls, "\x00")
}

// Silences are those of the certificates that are watched, in no order.
func (c *Checker) Silences() []Silence {
	c.samples.mu.Lock()
	defer c.samples.mu.Unlock()
	var out []Silence
	for _, one := range c.samples.byKey {
		if one.silence != nil {
			out = append(out, *one.silence)
		}
	}
	return out
}

// Keep drops what is watched but for certificates of these issuers. What is said of them counts
// for grace after its end, as in Check.
func (c *Checker) Keep(issuers []*x509.Certificate, grace time.Duration) {
	c.samples.mu.Lock()
	defer c.samples.mu.Unlock()
	if c.samples.grace != grace {
		c.samples.grace = grace
		for _, one := range c.samples.byKey {
			c.samples.soon(one)
		}
	}
	maps.DeleteFunc(c.samples.byKey, func(_ string, one *sample) bool { return !slices.ContainsFunc(issuers, one.issuer.Equal) })
}

// Run asks the sources of what is watched until the context ends: those that can tell when
// what they said is old or ends, the others ever less often.
func (c *Checker) Run(ctx context.Context) {
	rounds.Run(ctx, c.samples.wake, c.now, c.round)
}

// round asks what is due, and returns when to come again.
func (c *Checker) round(ctx context.Context) time.Time {
	for _, one := range c.samples.due() {
		if ctx.Err() == nil {
			c.samples.learn(one, c.Check(ctx, one.certificate, one.issuer, 0), c.tolerates(ctx, one))
		}
	}
	return c.samples.earliest()
}

// tolerates says whether what was said of a sample counts, though it may have ended. It
// comes after a Check, whose answer or failure it finds remembered.
func (c *Checker) tolerates(ctx context.Context, one asked) bool {
	return one.grace > 0 && c.Check(ctx, one.certificate, one.issuer, one.grace) == nil
}

// asked is a sample as it was when it was due.
type asked struct {
	of                  *sample
	certificate, issuer *x509.Certificate
	grace               time.Duration
}

func (s *samples) due() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []asked
	for key, one := range s.byKey {
		if s.now().After(one.certificate.NotAfter) {
			delete(s.byKey, key) // its sources may have forgotten it
			continue
		}
		if !s.now().Before(one.next) {
			out = append(out, asked{one, one.certificate, one.issuer, s.grace})
		}
	}
	return out
}

func (s *samples) earliest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.now().Add(restInterval)
	for _, one := range s.byKey {
		if one.next.Before(next) {
			next = one.next
		}
	}
	return next
}

// learn takes down what came of asking. What was said before is used by Check for as long as it
// holds, so asking costs a call only when that is old.
func (s *samples) learn(from asked, err error, tolerated bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, now := from.of, s.now()
	var unknown *UnknownError
	if !errors.As(err, &unknown) {
		one.silence, one.pause = nil, againMin
		one.next = now.Add(wait.Jitter(restInterval, jitter))
		return
	}
	if one.silence == nil {
		one.silence = &Silence{Since: now}
	}
	one.silence.Err, one.silence.Last = firstSource(unknown), now
	one.silence.Count++
	one.silence.Tolerated = tolerated
	one.next = now.Add(wait.Jitter(one.pause, jitter))
	one.pause = min(2*one.pause, againMax)
}

// firstSource is the failure of the first source that failed.
func firstSource(unknown *UnknownError) error {
	var first *SourceError
	if errors.As(unknown, &first) {
		return first
	}
	return unknown.Err
}
