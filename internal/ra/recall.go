package ra

import (
	"context"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/scep"
)

// recall finds out whether the request is known: devices repeat requests, to any
// replica, and are to get the same answer. A record counts only if the template
// would grant the same today. What a challenge's service said is not on record: a
// rule about that sends the request through all steps, and the service is asked again.
func (b *backend) recall(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	if e.request.NeedsPassword() {
		return nil, nil // the challenge has to prove itself each time; its record is found by it
	}
	record, err := e.issuer.Recall(ctx, e.identification())
	if err != nil || record == nil {
		return nil, err
	}
	grant, err := e.template.Policy.Judge(e.request.CSR, policy.Context{
		Challenge: policy.Challenge{Name: record.Challenge},
		Client:    clientFrom(ctx).variable(),
	})
	if err != nil || !issue.SameUsages(grant.Usages, record.Usages) {
		return nil, nil //nolint:nilerr // an unknown request goes through all steps, which refuse it
	}
	e.record = record
	b.recorder.step(ctx, e, audit.Recalled, audit.StepRecalled)
	return nil, nil
}

// collect answers a poll (RFC 8894, section 3.3.3). Only the key that signed the
// request can sign a poll for it.
func (b *backend) collect(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	record, err := e.issuer.Collect(ctx, e.request.TransactionID, e.request.Signer)
	if err != nil {
		return nil, err
	}
	if record == nil {
		return nil, errTransactionUnknown
	}
	e.record = record
	if err := e.matchRecord(clientFrom(ctx).path); err != nil {
		e.record = nil // it is nothing to this poll
		return nil, err
	}
	b.recorder.step(ctx, e, audit.Recalled, audit.StepRecalled)
	return nil, nil
}
