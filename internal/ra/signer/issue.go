package signer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// order is what a server asks for, read, with the parts that it is judged by.
type order struct {
	*wire.Order
	*parts
	csr      *x509.CertificateRequest
	signer   *x509.Certificate
	template *reload.Template
	now      time.Time
}

// issue applies the endpoint's own template again, whatever the server thinks of the
// request, and makes the certificate. Its error is a *refusal.Error, a *wire.Problem,
// or an internal one.
func (p *parts) issue(ctx context.Context, w *wire.Order, now time.Time) (*x509.Certificate, error) {
	if now.Before(p.ca.certificate.NotBefore) || now.After(p.ca.certificate.NotAfter) {
		return nil, &wire.Problem{Code: wire.CAExpired, Text: "the CA's certificate is not valid now"}
	}
	o, err := p.read(w, now)
	if err != nil {
		return nil, err
	}
	grant, err := o.grant()
	if err != nil {
		return nil, err
	}
	certificate, err := o.sign(ctx, grant)
	if err != nil {
		return nil, err
	}
	if p.revocations.Find(certificate.SerialNumber) != nil {
		return nil, errRevoked
	}
	return certificate, nil
}

// Why an order is refused that a server should not have made, or could not know better.
var (
	errTemplateUnknown  = refusal.New(refusal.InvalidRequest, "request refused: its template does not exist")
	errSignature        = refusal.New(refusal.Malformed, "request refused: the CSR is not signed with its own key")
	errChallengeUnknown = refusal.New(refusal.ChallengeWrong, "challenge password refused")
	errClaim            = refusal.New(refusal.ChallengeWrong, "challenge password refused")
	errSignerUnknown    = refusal.New(refusal.SignerUnknown, "renewal refused: it is not signed by a certificate of this CA")
	errRevoked          = refusal.New(refusal.CertificateRevoked, "request refused: its certificate is revoked; make a new key")
	errSignerRevoked    = refusal.New(refusal.SignerRevoked, "renewal refused: the certificate that signs it is revoked")
)

// read wants a CSR that is signed with its own key.
func (p *parts) read(w *wire.Order, now time.Time) (*order, error) {
	o := &order{Order: w, parts: p, template: p.config.Template(w.Template), now: now}
	if o.template == nil {
		return nil, errTemplateUnknown
	}
	var err error
	if o.csr, err = x509.ParseCertificateRequest(w.CSR); err != nil {
		return nil, unreadable("csr")
	}
	if o.signer, err = x509.ParseCertificate(w.Signer); err != nil {
		return nil, unreadable("signer")
	}
	if o.csr.CheckSignature() != nil {
		return nil, errSignature
	}
	return o, nil
}

func unreadable(what string) error {
	return &wire.Problem{Code: wire.Malformed, Text: what + " cannot be read"}
}

// grant is what the order gets, if it gets anything.
func (o *order) grant() (*policy.Grant, error) {
	if o.Canary {
		return o.grantCanary()
	}
	if err := o.admit(); err != nil {
		return nil, err
	}
	return o.judge()
}

var errCanary = refusal.New(refusal.InvalidRequest, "request refused: this endpoint issues nothing to canaries of this kind")

// grantCanary trusts the server that a canary asks, since what canaries get opens no door.
func (o *order) grantCanary() (*policy.Grant, error) {
	if !o.config.Config.Probes.Issues() || o.Challenge != nil || !issue.IsCanaryRequest(o.csr) {
		return nil, errCanary
	}
	return issue.CanaryGrant(), nil
}

// admit looks at what let the request in, as far as that can be told without the
// secrets behind it.
func (o *order) admit() error {
	if o.Challenge == nil {
		return o.admitRenewal()
	}
	entry := o.config.Challenge(o.Challenge.Name)
	if entry == nil {
		return errChallengeUnknown
	}
	if entry.Type == v1alpha1.ChallengeOneTime && entry.OneTime != nil {
		return o.checkClaim(entry.OneTime)
	}
	if o.Challenge.Claim != nil {
		return errClaim.Because(fmt.Errorf("entry %s is not for one-time challenges", entry.Name))
	}
	return nil
}

const (
	// clockSkew is how far the clocks of servers and signers may be apart.
	clockSkew = 5 * time.Minute
	// slotExcess is how much longer than its entry's validity a challenge may live: those of
	// the NDES form end with a slot of ten minutes.
	slotExcess = 10 * time.Minute
)

// checkClaim wants times that the entry's challenges can have: the certificate begins
// with the claim.
func (o *order) checkClaim(entry *raconfig.OneTime) error {
	claim := o.Challenge.Claim
	if claim == nil {
		return errClaim.Because(errNoClaim)
	}
	life := time.Duration(entry.ValiditySeconds)*time.Second + slotExcess + clockSkew
	switch {
	case !strings.HasPrefix(claim.Name, o.config.Config.Endpoint.Name+"-"):
		return errClaim.Because(errClaimName)
	case claim.Time.After(o.now.Add(clockSkew)), claim.Expires.Before(claim.Time), claim.Expires.After(claim.Time.Add(life)),
		claim.Expires.Before(o.now.Add(-clockSkew)):
		return errClaim.Because(errClaimTime)
	}
	return nil
}

var (
	errNoClaim   = errors.New("a one-time challenge without a claim")
	errClaimName = errors.New("the claim is another endpoint's")
	errClaimTime = errors.New("the claim's times are not those of such a challenge")
)

// admitRenewal wants a certificate of this CA that the template would grant, for the
// same names. The window, and how long after its end, are the servers' to judge.
func (o *order) admitRenewal() error {
	if err := o.signer.CheckSignatureFrom(o.ca.certificate); err != nil {
		return errSignerUnknown.Because(err)
	}
	if o.revocations.Find(o.signer.SerialNumber) != nil {
		return errSignerRevoked
	}
	return o.template.Policy.JudgeRenewal(o.signer, o.csr)
}

func (o *order) judge() (*policy.Grant, error) {
	in := policy.Context{Client: policy.Client(o.Client)}
	if o.Challenge != nil {
		in.Challenge = policy.Challenge{Name: o.Challenge.Name, Data: o.Challenge.Data}
	}
	grant, err := o.template.Policy.Judge(o.csr, in)
	if err != nil {
		return nil, err
	}
	if o.Challenge != nil && o.Challenge.Rule != "" {
		if err := o.template.Policy.JudgeNamed(o.Challenge.Rule, o.csr, in); err != nil {
			return nil, err
		}
	}
	return grant, nil
}

// sign makes the certificate as "ra dev" does.
func (o *order) sign(ctx context.Context, grant *policy.Grant) (*x509.Certificate, error) {
	config := o.config.Config
	direct := &issue.Direct{
		CA: o.ca.certificate, Key: o.ca.key,
		Names:   issue.Names{Key: o.key, Endpoint: config.Endpoint.Name},
		CRLURLs: config.Issuance.Signer.CRL.URLs,
		Now:     func() time.Time { return o.now },
	}
	record, err := direct.Record(ctx, o.asIssueOrder(grant))
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	if record.State != issue.Issued {
		return nil, &wire.Problem{Code: wire.CAExpired, Text: record.Message}
	}
	return record.Certificates[0], nil
}

func (o *order) asIssueOrder(grant *policy.Grant) issue.Order {
	out := issue.Order{
		Request: issue.Request{
			TransactionID: o.TransactionID, CSR: o.csr, Signer: o.signer, SelfSigned: issue.SelfSigned(o.signer),
		},
		Grant: grant,
	}
	out.Template = o.template.Name
	if o.Challenge == nil {
		return out
	}
	out.Admission = &challenge.Admission{Challenge: o.Challenge.Name}
	if claim := o.Challenge.Claim; claim != nil {
		out.Claim = &issue.Claim{Name: claim.Name, Time: claim.Time}
	}
	return out
}
