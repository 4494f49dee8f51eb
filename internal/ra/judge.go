package ra

import (
	"context"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/scep"
)

// judge applies the template: what it does not allow is refused before anything is
// written. What it allows ends with the CA.
func (b *backend) judge(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	var err error
	in := policy.Context{Client: clientFrom(ctx).variable()}
	if e.admission != nil {
		in.Challenge = policy.Challenge{Name: e.admission.Challenge, Data: e.admission.Data}
	}
	if e.grant, err = e.template.Policy.Judge(e.request.CSR, in); err != nil {
		return nil, err
	}
	if e.admission != nil && e.admission.Rule != "" {
		if err := e.template.Policy.JudgeNamed(e.admission.Rule, e.request.CSR, in); err != nil {
			return nil, err
		}
	}
	if err := e.capValidity(b.now()); err != nil {
		return nil, err
	}
	b.recorder.step(ctx, e, audit.Judged, audit.StepJudged)
	return nil, nil
}
