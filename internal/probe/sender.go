package probe

import (
	"context"
	"crypto/rsa"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// canaryState is what is known of the canaries by one way.
type canaryState struct {
	level    v1alpha1.CanaryLevel
	failures int // one after another
	due      time.Time
}

// first counts a failure, and says whether it is the first.
func (c *canaryState) first() bool {
	c.failures++
	return c.failures == 1
}

// hasty is true while something has begun to fail.
func (c *canaryState) hasty() bool { return c.failures > 0 && c.failures <= maxHasty }

// canarySender is what canaries are sent with.
type canarySender struct {
	*raconfig.Canary
	key  *rsa.PrivateKey
	urls []string
}

// sender is nil where no canaries are wanted. Their key is made once.
func (m *memory) sender(p *Prober, wanted *raconfig.Probes) *canarySender {
	if wanted.Canary == nil || len(p.CanaryKey) == 0 {
		return nil
	}
	if m.key == nil {
		key, err := NewCanaryKey()
		if err != nil {
			return nil // there is no randomness: nothing else works either
		}
		m.key = key
	}
	return &canarySender{wanted.Canary, m.key, wanted.URLs}
}

// sendCanary sends a canary if one is due, by a way that passed the other probes and does
// not strip marks: a canary without its pass would count as a device. What has failed
// is tried at each look; it counts when it is seen twice.
func (o *remembered) sendCanary(ctx context.Context, p *Prober, t Target, with *canarySender) {
	if with == nil {
		o.canary, o.result.Canary = canaryState{}, nil
		return
	}
	if o.canary.level != with.Level {
		o.canary, o.result.Canary = canaryState{level: with.Level}, nil
	}
	passed := o.failures == 0 && o.result.Proved
	if !passed || p.now().Before(o.canary.due) {
		return
	}
	failed := p.Canary(ctx, t, with.key)
	if ctx.Err() != nil || failed != nil && o.canary.first() {
		return
	}
	if failed == nil {
		o.canary.failures = 0
		o.canary.due = p.now().Add(spread(time.Duration(with.IntervalSeconds) * time.Second))
	}
	o.result.Canary = &raconfig.CanaryResult{Level: with.Level, At: p.now().UTC().Truncate(time.Second), Failure: failed}
}

// fullState is what is known of the canaries that are to get a certificate.
type fullState struct {
	canaryState
	result *raconfig.IssuedCanary
	key    *rsa.PrivateKey // nil before the first, and after each certificate
}

// issue has a certificate issued to a canary if that is due, by the first URL that
// canaries pass, and else by the own server. Every server that becomes the prober asks at
// once; those that answer keep the pace.
func (m *memory) issue(ctx context.Context, p *Prober, own Target, with *canarySender) {
	if with == nil || with.IssueIntervalSeconds == 0 || len(p.FullKey) == 0 {
		m.full = fullState{}
		return
	}
	if p.now().Before(m.full.due) || !m.own.sings() {
		return
	}
	if m.full.key == nil {
		var err error
		if m.full.key, err = NewCanaryKey(); err != nil {
			return // there is no randomness: nothing else works either
		}
	}
	url, target := m.wayToIssue(own, with.urls)
	pending, failed := p.FullCanary(ctx, target, m.full.key)
	if pending || ctx.Err() != nil || failed != nil && m.full.first() {
		return
	}
	if failed == nil {
		m.full.failures, m.full.key = 0, nil
		m.full.due = p.now().Add(spread(time.Duration(with.IssueIntervalSeconds) * time.Second))
	}
	m.full.result = &raconfig.IssuedCanary{URL: url, CanaryResult: raconfig.CanaryResult{
		Level: with.Level, At: p.now().UTC().Truncate(time.Second), Failure: failed,
	}}
}

func (m *memory) wayToIssue(own Target, urls []string) (string, Target) {
	for _, url := range urls {
		if target, err := NewTarget(url); err == nil && m.urls[url].sings() {
			return url, target
		}
	}
	return "", own
}

// sings says whether the last canary by a way came to its end.
func (o *remembered) sings() bool {
	return o.failures == 0 && o.result.Proved && o.result.Canary != nil && o.result.Canary.Failure == nil && o.canary.failures == 0
}
