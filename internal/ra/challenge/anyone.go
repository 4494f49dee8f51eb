package challenge

import "context"

// Anyone lets every device in. It is for trying things out.
type Anyone struct{ name string }

// NewAnyone makes the entry of that name.
func NewAnyone(name string) Anyone { return Anyone{name} }

// Name implements Verifier.
func (a Anyone) Name() string { return a.name }

// Verify implements Verifier: yes.
func (Anyone) Verify(context.Context, Attempt) (bool, error) { return true, nil }
