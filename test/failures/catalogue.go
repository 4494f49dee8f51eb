// Package failures holds the catalogue of what goes wrong in registration-authority
// tiers, and measures how each row fares in the test that proves it.
//
// The catalogue says in one place what a row is, which test proves it and what that
// test promises: a condition with a reason within a limit, health within another. The
// test begins a Proof and reports each step to it; the Proof fails the test where a
// promise is not kept or a step is missing. "make failures" runs these tests and keeps
// what they measured in figures.yaml; "make generate" makes docs/failures.md of both.
package failures

import (
	_ "embed"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Kind says what a row's test has to show.
type Kind string

// The kinds of rows.
const (
	// Fault is injected, detected and healed, and a device enrols afterwards.
	Fault Kind = "fault"
	// Feature is used as a person would.
	Feature Kind = "feature"
	// Advice comes when it is due, and only then.
	Advice Kind = "advice"
)

// Row is a failure in the field.
type Row struct {
	// ID is F01, F02 …
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Field is what people see; Cause is why, where there is more to say.
	Field string `json:"field"`
	Cause string `json:"cause"`
	// Does is what Scepter has to do about it.
	Does string `json:"does"`
	// Promise is what the row's test proves; nil while there is no test.
	Promise *Promise `json:"proof,omitempty"`
}

// Promise is what a test proves of a row.
type Promise struct {
	// Test is <directory>:<name>, from the root of the repository.
	Test string `json:"test"`
	// Injected says by which means the fault came about.
	Injected string `json:"injected,omitempty"`
	// On is the kind of the object with the condition; empty if none is part of the promise.
	On        string `json:"object,omitempty"`
	Condition string `json:"condition,omitempty"`
	Reason    string `json:"reason,omitempty"`
	// Event is the reason of an Event on the object. It takes the place of a condition
	// where the fault is put right before one could turn.
	Event string `json:"event,omitempty"`
	// Refusals are reasons for which devices are refused, in their order. They take the
	// place of a condition where one device has the fault and not the tier: its answer,
	// the audit record and the metric of refusals tell of it.
	Refusals []string `json:"refusals,omitempty"`
	// Detected bounds the time from the injection to what tells of it.
	Detected metav1.Duration `json:"detected,omitzero"`
	// Healed bounds the time from the end of the cause to health.
	Healed metav1.Duration `json:"healed,omitzero"`
	// Tiers are what a feature is used on, in a few words each.
	Tiers []string `json:"tiers,omitempty"`
}

// Tells is what tells of the fault: a condition and its reason, the reason of an
// Event, or the reasons of refusals.
func (p *Promise) Tells() []string {
	switch {
	case p.Condition != "":
		return []string{p.Condition, p.Reason}
	case p.Event != "":
		return []string{p.Event}
	}
	return p.Refusals
}

//go:embed catalogue.yaml
var catalogue []byte

// Catalogue returns all rows, in their order.
func Catalogue() ([]Row, error) {
	var rows []Row
	if err := yaml.UnmarshalStrict(catalogue, &rows); err != nil {
		return nil, fmt.Errorf("read the catalogue of failures: %w", err)
	}
	return rows, nil
}

// Find returns a row that has a promise.
func Find(id string) (*Row, error) {
	rows, err := Catalogue()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(rows, func(r Row) bool { return r.ID == id })
	switch {
	case i < 0:
		return nil, fmt.Errorf("the catalogue of failures has no row %s", id)
	case rows[i].Promise == nil:
		return nil, fmt.Errorf("row %s of the catalogue of failures has no proof: say there what its test promises", id)
	}
	return &rows[i], nil
}
