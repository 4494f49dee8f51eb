package ra

import (
	"context"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

// issueCertificate records the request and waits for the issuer. Where too many
// wait already, the device is told to poll at once.
func (b *backend) issueCertificate(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	if e.record == nil {
		var err error
		if e.record, err = e.issuer.Record(ctx, e.order(ctx)); err != nil {
			return nil, err
		}
		b.recorder.step(ctx, e, audit.RequestRecorded, "")
	}
	if b.waiting.tryEnter() {
		defer b.waiting.leave()
		e.record = e.issuer.Await(ctx, e.record)
	}
	return b.answer(ctx, e)
}

// answers says what a device is told of each state of its record.
var answers = map[issue.State]func(*issue.Record) (*scep.Reply, error){
	issue.Issued:  handOut,
	issue.Waiting: func(*issue.Record) (*scep.Reply, error) { return scep.Pending(), nil },
	issue.Denied:  refuse(refusal.Denied, "request denied by an approver"),
	issue.Invalid: refuse(refusal.InvalidRequest, "request refused by the issuer"),
	issue.Expired: refuse(refusal.PendingExpired, "the request was not answered in time: send a new one"),
	issue.Failed:  refuse(refusal.IssuerFailed, "the issuer failed; try again later"),
}

// answer tells the device what its record came to.
func (b *backend) answer(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	reply, err := answers[e.record.State](e.record)
	if err != nil || reply.Status != scep.StatusSuccess {
		return reply, err
	}
	b.issuing.see(e)
	b.watchIssued(e)
	if held, err := b.tellSuccess(ctx, e); held != nil || err != nil {
		return held, err
	}
	return reply, nil
}

// handOut gives the certificate away if it is what was asked for.
func handOut(r *issue.Record) (*scep.Reply, error) {
	if err := policy.CheckIssued(r.Certificates[0], r.CSR, r.Usages, r.ExtendedKeyUsages); err != nil {
		return nil, err
	}
	if err := policy.CheckValidity(r.Certificates[0], r.Duration); err != nil {
		return nil, err
	}
	return scep.Success(r.Certificates[0]), nil
}

func refuse(reason refusal.Reason, text string) func(*issue.Record) (*scep.Reply, error) {
	return func(r *issue.Record) (*scep.Reply, error) {
		return nil, refusal.New(reason, "%s", text).Because(&issuerError{r.Name, r.Message})
	}
}

// issuerError is what the log holds of an issuer's refusal.
type issuerError struct{ name, message string }

// Error names the CertificateRequest, if there is one, and quotes the issuer.
func (e *issuerError) Error() string {
	if e.name == "" {
		return e.message
	}
	return "CertificateRequest " + e.name + ": " + e.message
}

// complete adds to an issued certificate the CA certificates, for endpoints whose
// devices want them there, and the password that encrypts the answer.
func (e *enrolment) complete(reply *scep.Reply) *scep.Reply {
	if reply == nil || reply.Status != scep.StatusSuccess {
		return reply
	}
	reply.Password = e.password
	if e.snapshot.Config.ReplyChain == v1alpha1.ReplyChainInclude {
		reply.Certificates = append(reply.Certificates, e.snapshot.Identity.CAsFor(e.snapshot.Settings.ChainShape)...)
	}
	return reply
}
