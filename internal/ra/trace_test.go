package ra

import (
	"context"
	"errors"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// TestNoCostWithoutTraces wants no memory to be used for spans where nothing is traced.
func TestNoCostWithoutTraces(t *testing.T) {
	e := &enrolment{}
	ctx := context.Background()
	failed := errors.New("failed")
	if n := testing.AllocsPerRun(100, func() { oneStep(ctx, e, failed) }); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

func oneStep(ctx context.Context, e *enrolment, err error) {
	_, span := e.span(ctx, "step")
	endStep(span, err)
}

// BenchmarkNoTraces is what a step pays where nothing is traced.
func BenchmarkNoTraces(b *testing.B) {
	e := &enrolment{}
	for b.Loop() {
		oneStep(b.Context(), e, nil)
	}
}

func TestSpanReason(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"RuleNotMet": refusal.New(refusal.RuleNotMet, "CN=somebody is not allowed"),
		"Internal":   errors.New("something with a name in it"),
	} {
		if got := spanReason(err); got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
	}
}
