// Package challenge decides whether what a device brings lets it in. Each kind of
// challenge is a file; an endpoint has a list of them, any of which suffices.
package challenge

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// Attempt is what a device brings.
type Attempt struct {
	// Password of the CSR (RFC 2985, section 5.4.1), in UTF-8; "" if absent, and
	// where an outcome is told.
	Password string
	// TransactionID as the device chose it (RFC 8894, section 3.2.1.1).
	TransactionID string
	CSR           *x509.CertificateRequest
	// Signer of the message; often a certificate that the device signed itself.
	Signer *x509.Certificate
	// Template is the endpoint's name of the template that the request matched.
	Template string
	Client   Client
}

// Client is what a listener knows of who sent a message.
type Client struct {
	// Address is an IP address, behind the proxies that are trusted.
	Address   string
	UserAgent string
}

// Admission is what a challenge that lets a device in says of it.
type Admission struct {
	// Challenge is the name of the entry. It is recorded with the request, and
	// finds the entry's Outcome again on any server.
	Challenge string
	// ID of a one-time challenge names the issuance, so that there is only one;
	// nil for challenges that may be used again.
	ID []byte
	// Expires is the end of the challenge; zero if it has none.
	Expires time.Time
	// Rekey is for how long, after its first use, a one-time challenge also serves
	// a request with another key for the same names.
	Rekey time.Duration
	// Rule is the name of a rule of the template that the request has to meet; "": none.
	Rule string
	// Data is for the template's rules.
	Data map[string]any
	// Notify is true where no certificate may be handed out before the entry, an
	// Outcome, was told of it. It is recorded with the request.
	Notify bool
}

// Verifier is one entry of an endpoint's challenges.
type Verifier interface {
	// Name of the entry, for audit records and metrics.
	Name() string
	// Verify says whether the attempt is good: nil and nil mean no. A
	// *refusal.Error means no as well, with a reason that the device may know. Any
	// other error means that it could not be told. No error holds a secret.
	Verify(ctx context.Context, attempt Attempt) (*Admission, error)
}

// Outcome is a Verifier that is told how the enrolments end which it admitted. A
// server may be told of an end again: after a restart, or when the device asks again.
type Outcome interface {
	Verifier
	// Succeeded is called before a certificate is handed out, each time. An error
	// holds it back: a *refusal.Error for good, any other until the device polls.
	// But an *UntoldError is only logged.
	Succeeded(ctx context.Context, attempt Attempt, certificate *x509.Certificate) error
	// Failed is called when an admitted enrolment is refused. Its error is only logged.
	Failed(ctx context.Context, attempt Attempt, reason *refusal.Error) error
}

// Prober is a Verifier that can ask its service without a question.
type Prober interface {
	Verifier
	// Probe is nil if the service answered, and not that it refuses this server. What a
	// notification would be told to is asked with notification true. ErrNotProbed says
	// that there is nobody to ask.
	Probe(ctx context.Context, notification bool) error
}

// ErrNotProbed says that a service cannot be asked without a question.
var ErrNotProbed = errors.New("the service is not asked without a question")

// SingleUse is a Verifier whose challenges are good for one enrolment each, so that
// one of them may encrypt the answer to it (RFC 8894, section 3.1).
type SingleUse interface {
	Verifier
	SingleUse()
}

// List is the challenges of an endpoint.
type List []Verifier

// Witness is told of an entry that was asked whether it could tell: nil if it could,
// whatever it said.
type Witness func(v Verifier, err error)

// Verify asks the entries in turn until one lets the device in. If none does, a
// refusal with a reason counts more than an entry that could not tell, and that
// more than a password that is none of an entry's: it may be the silent one's.
func (l List) Verify(ctx context.Context, attempt Attempt, asked Witness) (*Admission, error) {
	var refused, failed, wrong error
	for _, v := range l {
		admission, err := v.Verify(ctx, attempt)
		reason, isRefusal := refusal.As(err)
		switch {
		case admission != nil && err == nil:
			asked(v, nil)
			return admission, nil
		case isRefusal:
			asked(v, nil)
		case err != nil:
			asked(v, err)
		}
		switch {
		case !isRefusal:
			failed = first(failed, err)
		case reason.Reason == refusal.ChallengeWrong:
			wrong = first(wrong, err)
		default:
			refused = first(refused, err)
		}
	}
	return nil, first(first(refused, failed), wrong)
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// Outcome finds the entry of a name that wants to know how its enrolments end; nil
// if there is none, or if it does not care.
func (l List) Outcome(name string) Outcome {
	for _, v := range l {
		if o, ok := v.(Outcome); ok && v.Name() == name {
			return o
		}
	}
	return nil
}

// HasSingleUse says whether any entry's challenges are good for one enrolment each.
func (l List) HasSingleUse() bool { return slices.ContainsFunc(l, isSingleUse) }

// SingleUse says whether the challenges of the entry of a name are good for one
// enrolment each.
func (l List) SingleUse(name string) bool {
	return slices.ContainsFunc(l, func(v Verifier) bool { return v.Name() == name && isSingleUse(v) })
}

func isSingleUse(v Verifier) bool {
	_, ok := v.(SingleUse)
	return ok
}
