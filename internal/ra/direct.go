package ra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/scep"
)

// canIssue says whether what a snapshot issues with is set up.
func (b *backend) canIssue(s *reload.Snapshot) bool {
	return b.direct != nil || s.Signers != nil || b.store() != nil
}

// remoteFor issues by the endpoint's signers.
func (b *backend) remoteFor(e *enrolment) issue.Issuer {
	c := e.snapshot.Config
	return &issue.Remote{
		Signers:    e.snapshot.Signers,
		Claims:     b.claims(),
		Names:      issue.Names{Key: e.snapshot.StateKey, Endpoint: c.Endpoint.Name},
		Generation: c.Endpoint.Generation,
		Now:        b.now,
		Ignored: func(ctx context.Context, name string, why error) {
			b.recorder.log.Record(ctx, audit.ObjectIgnored, append(e.attributes(ctx),
				slog.String("lease", name), slog.String("why", why.Error()))...)
		},
	}
}

// signal is given once.
type signal struct {
	once sync.Once
	c    chan struct{}
}

func newSignal() *signal { return &signal{c: make(chan struct{})} }

func (s *signal) give() { s.once.Do(func() { close(s.c) }) }

// needsStore says whether a snapshot issues by CertificateRequests.
func (s *Server) needsStore(snapshot *reload.Snapshot) bool {
	return s.options.Issuer == nil && snapshot.Signers == nil
}

var errUntold = errors.New("the challenge could not be told, and nothing is recorded that a poll could find")

// holdBack answers a device whose certificate must not be handed out yet: it has to
// poll for what is recorded, and to repeat the request for what is not.
func (e *enrolment) holdBack() (*scep.Reply, error) {
	if e.record.Name != "" {
		return scep.Pending(), nil
	}
	return nil, &scep.UnavailableError{RetryAfter: retryAfter, Err: errUntold}
}

// makeClaims is for endpoints with signers; it asks nobody.
func (s *Server) makeClaims(namespace string) error {
	if s.options.Cluster == nil {
		return nil
	}
	claims, err := issue.NewClaims(s.options.Cluster, namespace)
	if err != nil {
		return fmt.Errorf("start issuing: %w", err)
	}
	s.claims.Store(claims)
	return nil
}
