package ra

import (
	"bytes"
	"context"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

const (
	// canaryWait is how long a canary waits for the issuer at a time; it asks again.
	canaryWait = 5 * time.Second
	// canaryPatience is when an issuer that has not answered a canary has failed it.
	canaryPatience = 2 * time.Minute
)

// fullCanaries issue a certificate, by the endpoint's issuer and on fixed terms, where the
// configuration wants that. They take no challenge, and tell nobody. Nothing but an
// object that is marked as a canary's is written.
type fullCanaries struct{ *backend }

var (
	errNotFull    = refusal.New(refusal.InvalidRequest, "canaries get no certificate here")
	errCanaryName = refusal.New(refusal.InvalidRequest, "a canary asks for its own name and for nothing else")
	errSlow       = refusal.New(refusal.PendingExpired, "the issuer has not answered for two minutes")
)

// PKIOperation implements scep.Backend.
func (c fullCanaries) PKIOperation(ctx context.Context, request *scep.Request) (*scep.Reply, error) {
	reply, err := c.enrol(ctx, request)
	if err != nil {
		return tellCanary(err)
	}
	return reply, nil
}

func (c fullCanaries) enrol(ctx context.Context, request *scep.Request) (*scep.Reply, error) {
	e, err := canaries(c).dryRun(ctx, request)
	if err != nil {
		return nil, err
	}
	wanted := e.snapshot.Config.Probes
	if !wanted.Issues() {
		return nil, errNotFull
	}
	if !issue.IsCanaryRequest(request.CSR) {
		return nil, errCanaryName
	}
	e.grant = issue.CanaryGrant()
	if err := c.record(ctx, e, wanted.Canary); err != nil {
		return nil, err
	}
	return c.answerFull(e)
}

// record has the certificate made, or finds what was made lately.
func (c fullCanaries) record(ctx context.Context, e *enrolment, wanted *raconfig.Canary) error {
	order := e.order(ctx)
	order.Canary = &issue.Canary{Every: time.Duration(wanted.IssueIntervalSeconds) * time.Second}
	var err error
	if e.record, err = e.issuer.Record(ctx, order); err != nil {
		return err //nolint:wrapcheck // a refusal, or unavailable
	}
	if c.waiting.tryEnter() {
		defer c.waiting.leave()
		ctx, cancel := context.WithTimeout(ctx, canaryWait)
		defer cancel()
		e.record = e.issuer.Await(ctx, e.record)
	}
	return nil
}

// answerFull tells a canary of its record, or of one whose key only another server has.
func (c fullCanaries) answerFull(e *enrolment) (*scep.Reply, error) {
	if e.record.State == issue.Waiting && c.now().Sub(e.record.Created()) > canaryPatience {
		return nil, errSlow
	}
	record := *e.record
	record.Duration = 0 // an issuer that heeds no duration is known for it: see docs/design/probes.md
	reply, err := answers[record.State](&record)
	if err != nil {
		return nil, err
	}
	own := bytes.Equal(e.record.CSR.RawSubjectPublicKeyInfo, e.request.CSR.RawSubjectPublicKeyInfo)
	if e.record.State == issue.Issued && !own {
		return scep.Fail(scep.BadRequest, probemark.IssuedLately), nil
	}
	return e.complete(reply), nil
}
