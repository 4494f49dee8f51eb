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
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/policy/selection"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/ra/revocation"
	"github.com/scepter-pki/scepter/internal/scep"
)

// backend decides about the messages that package scep has opened.
type backend struct {
	snapshot func() *reload.Snapshot
	direct   issue.Issuer         // nil: CertificateRequests in the store
	store    func() *issue.Store  // nil before the first snapshot
	claims   func() *issue.Claims // of one-time challenges, where signers issue
	crl      func(context.Context) (*x509.RevocationList, error)
	waiting  *budget
	// revocation tells of certificates that sign renewals.
	revocation *revocation.Checker
	recorder   *recorder
	tracer     func() trace.Tracer // nil where nothing is traced
	health     *health
	services   *services
	issuing    *issuingCA
	collection *collection
	now        func() time.Time
}

// enrolment is the value that the steps work on.
type enrolment struct {
	request  *scep.Request
	snapshot *reload.Snapshot
	issuer   issue.Issuer
	template *reload.Template // the default one until the request is matched
	choice   selection.Choice // empty for polls
	selfSign bool             // the signer is self-signed and proves nothing but a key
	started  time.Time

	record    *issue.Record        // recalled, or made
	admitted  string               // what authenticated it: a challenge's name, or byCertificate
	admission *challenge.Admission // nil if a certificate did, or while it is recalled
	grant     *policy.Grant
	tracer    trace.Tracer // nil: it is not traced
	took      []audit.Took // of the steps so far
	password  string       // encrypts the answer, where the device's key cannot decrypt
}

// step is one part of the pipeline. A reply ends it; so does an error, of which
// *refusal.Error becomes FAILURE.
type step struct {
	name string // in audit records, metrics and traces
	do   func(*backend, context.Context, *enrolment) (*scep.Reply, error)
}

var (
	enrolSteps = []step{
		{"checkCredential", (*backend).checkCredential},
		{"checkAnswerable", (*backend).checkAnswerable},
		{"match", (*backend).match},
		{"recall", (*backend).recall},
		{"authenticate", (*backend).authenticate},
		{"takePassword", (*backend).takePassword},
		{"judge", (*backend).judge},
		{"limitSubject", (*backend).limitSubject},
		{"record", (*backend).recordOrder},
		{"issue", (*backend).issueCertificate},
	}
	pollSteps = []step{
		{"checkCredential", (*backend).checkCredential},
		{"checkAnswerable", (*backend).checkAnswerable},
		{"collect", (*backend).collect},
		{"recallPassword", (*backend).recallPassword},
		{"answer", (*backend).answer},
	}
)

var pipelines = map[scep.MessageType][]step{
	scep.PKCSReq:    enrolSteps,
	scep.RenewalReq: enrolSteps,
	scep.UpdateReq:  enrolSteps,
	scep.CertPoll:   pollSteps,
	scep.GetCert:    {{"refuse", refuseAll(errNoGetCert)}},
	scep.GetCRL:     {{"getCRL", (*backend).getCRL}},
}

// PKIOperation implements scep.Backend.
func (b *backend) PKIOperation(ctx context.Context, request *scep.Request) (*scep.Reply, error) {
	e, err := b.begin(request)
	if err != nil {
		return nil, err
	}
	ctx, span := e.span(ctx, e.request.MessageType.String())
	reply, err := b.run(ctx, e)
	e.endTrace(ctx, span, err)
	reply, err = b.conclude(ctx, e, e.complete(reply), err)
	b.followAnswer(ctx, e, reply)
	return reply, err
}

var errNotReady = errors.New("no configuration is loaded yet")

// retryAfter is told to devices while this server cannot decide.
const retryAfter = 10 * time.Second

func (b *backend) begin(request *scep.Request) (*enrolment, error) {
	snapshot := b.snapshot()
	if snapshot == nil || !b.canIssue(snapshot) {
		return nil, &scep.UnavailableError{RetryAfter: retryAfter, Err: errNotReady}
	}
	e := &enrolment{
		request:  request,
		snapshot: snapshot,
		template: snapshot.DefaultTemplate(),
		selfSign: issue.SelfSigned(request.Signer),
		started:  b.now(),
		tracer:   b.tracer(),
	}
	e.issuer = b.issuerFor(e)
	return e, nil
}

func (b *backend) issuerFor(e *enrolment) issue.Issuer {
	if b.direct != nil {
		return b.direct
	}
	if e.snapshot.Signers != nil {
		return b.remoteFor(e)
	}
	byRequests := certManagerFor(e.snapshot, b.store(), b.now)
	byRequests.Ignored = func(ctx context.Context, name string, why error) {
		b.recorder.log.Record(ctx, audit.ObjectIgnored, append(e.attributes(ctx),
			slog.String("certificateRequest", name), slog.String("why", why.Error()))...)
	}
	return byRequests
}

// certManagerFor issues on the terms of a snapshot.
func certManagerFor(s *reload.Snapshot, store *issue.Store, now func() time.Time) *issue.CertManager {
	c := s.Config
	return &issue.CertManager{
		Store: store,
		Names: issue.Names{Key: s.StateKey, Endpoint: c.Endpoint.Name},
		Terms: issue.Terms{
			Issuer:          c.Issuance.IssuerRef,
			Username:        c.Issuance.ServiceAccount,
			Wait:            time.Duration(c.Issuance.WaitSeconds) * time.Second,
			PendingDeadline: c.Issuance.PendingDeadline(),
		},
		Now: now,
	}
}

func (b *backend) run(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	for _, s := range pipelines[e.request.MessageType] {
		if reply, err := b.take(ctx, e, s); reply != nil || err != nil {
			return reply, err
		}
	}
	return nil, errors.New("no step answered a " + e.request.MessageType.String())
}

// take does one step, and keeps how long it took.
func (b *backend) take(ctx context.Context, e *enrolment, s step) (*scep.Reply, error) {
	begun := b.now()
	ctx, span := e.span(ctx, s.name)
	reply, err := s.do(b, ctx, e)
	endStep(span, err)
	e.took = append(e.took, audit.Took{Step: s.name, Duration: b.now().Sub(begun)})
	return reply, err
}

// order is what the issuer is asked for.
func (e *enrolment) order(ctx context.Context) issue.Order {
	return issue.Order{
		Request:   e.identification(),
		Grant:     e.grant,
		Admission: e.admission,
		Client:    clientFrom(ctx).variable(),
	}
}

func (e *enrolment) identification() issue.Request {
	return issue.Request{
		TransactionID: e.request.TransactionID,
		CSR:           e.request.CSR,
		Signer:        e.request.Signer,
		SelfSigned:    e.selfSign,
		Template:      e.template.Name,
	}
}
