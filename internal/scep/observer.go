package scep

import (
	"context"
	"crypto"
)

// Step is how far a request came.
type Step string

// The steps an Observer is told of. Each request makes one of the first five
// events; a PKIOperation goes on with StepOpened and then StepAnswered, or
// StepRefused if it could not be opened or answered.
const (
	StepGetCACaps     Step = "GetCACaps"
	StepGetCACert     Step = "GetCACert"
	StepGetNextCACert Step = "GetNextCACert"
	StepPKIOperation  Step = "PKIOperation" // arrived
	StepOther         Step = "other"        // no or an unknown operation
	StepOpened        Step = "opened"
	StepAnswered      Step = "answered"
	StepRefused       Step = "refused"
)

// Observer is told of each step, for audit, funnel and metrics. It has to be
// quick and safe for concurrent use.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// Event is one step of one request. It holds no challenge, key or CSR.
type Event struct {
	Step        Step
	HTTPMethod  string
	Path        string
	TargetBytes int // length of the request target as received
	UserAgent   string
	RemoteAddr  string

	// Of the message, from StepOpened on (StepRefused: as far as it was read).
	TransactionID string
	MessageType   MessageType
	Digest        crypto.Hash // StepOpened and what follows it
	Cipher        Cipher      // likewise
	Status        PKIStatus   // StepAnswered, and StepRefused with a CertRep
	FailInfo      FailInfo    // FAILURE and StepRefused
	Err           error       // for the log only
}

// noObserver stands in for an Observer that is nil.
type noObserver struct{}

func (noObserver) Observe(context.Context, Event) {}
