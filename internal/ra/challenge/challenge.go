// Package challenge decides whether what a device brings lets it in. Each kind of
// challenge is a file; an endpoint has a list of them, any of which suffices.
package challenge

import "context"

// Attempt is what a device brings.
type Attempt struct {
	// Password of the CSR (RFC 2985, section 5.4.1), in UTF-8; "" if absent.
	Password string
}

// Verifier is one entry of an endpoint's challenges.
type Verifier interface {
	// Name of the entry, for audit records and metrics.
	Name() string
	// Verify says whether the attempt is good. An error means that it could not
	// be told; it holds no secret.
	Verify(ctx context.Context, attempt Attempt) (bool, error)
}

// List is the challenges of an endpoint.
type List []Verifier

// Verify asks every entry, and returns the name of one that lets the device in,
// or "". It goes on where an entry fails, and returns that error only if no other
// entry says yes.
func (l List) Verify(ctx context.Context, attempt Attempt) (string, error) {
	var name string
	var failed error
	for _, v := range l {
		ok, err := v.Verify(ctx, attempt)
		if ok && name == "" {
			name = v.Name()
		}
		if err != nil {
			failed = err
		}
	}
	if name != "" {
		return name, nil
	}
	return "", failed
}
