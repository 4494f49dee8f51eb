// Package ra is the registration authority: one enrolment from request to reply,
// as a pipeline of small steps over one value.
//
//	receive, open (package scep) → recall → authenticate → judge → issue → reply → record
//
// Nothing is written anywhere before a request is authenticated and judged. What
// is written then, where an endpoint issues by cert-manager, is one
// CertificateRequest, by which any replica knows the request again.
package ra

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/scep"
)

// backend decides about the messages that package scep has opened.
type backend struct {
	snapshot func() *reload.Snapshot
	direct   issue.Issuer        // nil: CertificateRequests in the store
	store    func() *issue.Store // nil before the first snapshot
	waiting  *budget
	recorder *recorder
	now      func() time.Time
}

// enrolment is the value that the steps work on.
type enrolment struct {
	request  *scep.Request
	snapshot *reload.Snapshot
	issuer   issue.Issuer
	template *reload.Template
	selfSign bool // the signer is self-signed and proves nothing but a key
	started  time.Time

	record    *issue.Record        // recalled, or made
	admitted  string               // what authenticated it: a challenge's name, or byCertificate
	admission *challenge.Admission // nil if a certificate did, or while it is recalled
	grant     *policy.Grant
	password  string // encrypts the answer, where the device's key cannot decrypt
}

// step is one part of the pipeline. A reply ends it; so does an error, of which
// *refusal.Error becomes FAILURE.
type step func(*backend, context.Context, *enrolment) (*scep.Reply, error)

var (
	enrolSteps = []step{
		(*backend).checkAnswerable, (*backend).recall, (*backend).authenticate, (*backend).takePassword,
		(*backend).judge, (*backend).issueCertificate,
	}
	pollSteps = []step{
		(*backend).checkAnswerable, (*backend).collect, (*backend).recallPassword, (*backend).answer,
	}
)

var pipelines = map[scep.MessageType][]step{
	scep.PKCSReq:    enrolSteps,
	scep.RenewalReq: enrolSteps,
	scep.UpdateReq:  enrolSteps,
	scep.CertPoll:   pollSteps,
	scep.GetCert:    {refuseAll(errNoGetCert)},
	scep.GetCRL:     {refuseAll(errNoGetCRL)},
}

// PKIOperation implements scep.Backend.
func (b *backend) PKIOperation(ctx context.Context, request *scep.Request) (*scep.Reply, error) {
	e, err := b.begin(request)
	if err != nil {
		return nil, err
	}
	reply, err := b.run(ctx, e)
	return b.conclude(ctx, e, e.complete(reply), err)
}

var errNotReady = errors.New("no configuration is loaded yet")

// retryAfter is told to devices while this server cannot decide.
const retryAfter = 10 * time.Second

func (b *backend) begin(request *scep.Request) (*enrolment, error) {
	snapshot := b.snapshot()
	if snapshot == nil || b.direct == nil && b.store() == nil {
		return nil, &scep.UnavailableError{RetryAfter: retryAfter, Err: errNotReady}
	}
	e := &enrolment{
		request:  request,
		snapshot: snapshot,
		template: snapshot.DefaultTemplate(),
		selfSign: selfSigned(request.Signer),
		started:  b.now(),
	}
	e.issuer = b.issuerFor(e)
	return e, nil
}

func (b *backend) issuerFor(e *enrolment) issue.Issuer {
	if b.direct != nil {
		return b.direct
	}
	c := e.snapshot.Config
	return &issue.CertManager{
		Store: b.store(),
		Names: issue.Names{Key: e.snapshot.StateKey, Endpoint: c.Endpoint.Name},
		Terms: issue.Terms{
			Issuer:       c.Issuance.IssuerRef,
			Username:     c.Issuance.ServiceAccount,
			PendingAfter: time.Duration(c.Issuance.PendingAfterSeconds) * time.Second,
		},
		Now: b.now,
		Ignored: func(ctx context.Context, name string, why error) {
			b.recorder.log.Record(ctx, audit.ObjectIgnored, append(e.attributes(ctx),
				slog.String("certificateRequest", name), slog.String("why", why.Error()))...)
		},
	}
}

func (b *backend) run(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	for _, do := range pipelines[e.request.MessageType] {
		if reply, err := do(b, ctx, e); reply != nil || err != nil {
			return reply, err
		}
	}
	return nil, errors.New("no step answered a " + e.request.MessageType.String())
}

// order is what the issuer is asked for.
func (e *enrolment) order() issue.Order {
	return issue.Order{
		Request:   e.identification(),
		Template:  e.template.Name,
		Grant:     e.grant,
		Admission: e.admission,
	}
}

func (e *enrolment) identification() issue.Request {
	return issue.Request{
		TransactionID: e.request.TransactionID,
		CSR:           e.request.CSR,
		Signer:        e.request.Signer,
		SelfSigned:    e.selfSign,
	}
}
