package issue

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
)

// Signers make certificates for a server: *client.Client, which asks them over the network.
type Signers interface {
	// Issue's error is a *wire.Problem, or says why no signer answered.
	Issue(ctx context.Context, o *wire.Order) (*wire.Issued, error)
}

// Remote issues by signers, which hold the CA's key and apply the template again.
// It keeps no record but the claims of one-time challenges: see Direct, which the
// signers use.
type Remote struct {
	Signers Signers
	// Claims of one-time challenges; nil where there is no API server, and no such challenge.
	Claims *Claims
	Names  Names
	// Generation of the ScepEndpoint that requests are judged by.
	Generation int64
	Now        func() time.Time
	// Ignored is told of claims under a right name that do not count; may be nil.
	Ignored func(ctx context.Context, name string, why error)
}

// Recall implements Issuer: nothing is recorded, so nothing is recalled.
func (r *Remote) Recall(context.Context, Request) (*Record, error) { return nil, nil }

// Collect implements Issuer: PENDING is never answered, so there is nothing to poll for.
func (r *Remote) Collect(context.Context, string, *x509.Certificate) (*Record, error) {
	return nil, nil
}

// Await implements Issuer: the certificate is there already.
func (r *Remote) Await(_ context.Context, record *Record) *Record { return record }

// Record implements Issuer. A one-time challenge is claimed before a signer is
// asked: whatever happens then, only the same request is let in again.
func (r *Remote) Record(ctx context.Context, o Order) (*Record, error) {
	if o.Admission != nil && o.Admission.ID != nil {
		var err error
		if o.Claim, err = r.claim(ctx, o); err != nil {
			return nil, err
		}
	}
	issued, err := r.Signers.Issue(ctx, r.order(o))
	if err != nil {
		return nil, judgeSignerError(err)
	}
	certificate, err := x509.ParseCertificate(issued.Certificate)
	if err != nil {
		return nil, fmt.Errorf("certificate of a signer: %w", err)
	}
	if issued.Generation != r.Generation && policy.CheckIssued(certificate, o.CSR, o.Grant.Usages, o.Grant.ExtendedKeyUsages) != nil {
		return nil, unavailable(errOtherGrant)
	}
	record := newDirectRecord(o, r.Now())
	record.State, record.Certificates = Issued, []*x509.Certificate{certificate}
	return record, nil
}

// order is what a signer is told.
func (r *Remote) order(o Order) *wire.Order {
	out := &wire.Order{
		Generation:    r.Generation,
		TransactionID: o.TransactionID,
		CSR:           o.CSR.Raw,
		Signer:        o.Signer.Raw,
		Template:      o.Template,
		Client:        wire.Client(o.Client),
		Canary:        o.Canary != nil,
	}
	if o.Admission == nil {
		return out
	}
	out.Challenge = &wire.Challenge{Name: o.Admission.Challenge, Rule: o.Admission.Rule, Data: o.Admission.Data}
	if o.Claim != nil {
		out.Challenge.Claim = &wire.Claim{Name: o.Claim.Name, Time: o.Claim.Time, Expires: o.Admission.Expires}
	}
	return out
}

// judgeSignerError tells a request that signers refuse from signers that cannot be used.
func judgeSignerError(err error) error {
	var problem *wire.Problem
	if errors.As(err, &problem) && problem.Code == wire.Refused {
		return refusal.New(refusal.Reason(problem.Reason), "%s", problem.Text).Because(errSignerRefused)
	}
	return unavailable(err)
}

// errOtherGrant passes: the file reaches servers and signers within seconds of each other.
var errOtherGrant = errors.New("a signer has another configuration, by which the certificate is not what this server grants")

var errSignerRefused = errors.New("a signer refuses it")

func (r *Remote) ignore(ctx context.Context, name string, why error) {
	if r.Ignored != nil {
		r.Ignored(ctx, name, why)
	}
}
