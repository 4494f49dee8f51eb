package rfc8894

import "slices"

// Party is who has to do it.
type Party string

// The parties of the protocol. The registration authority stands for the CA:
// what the RFC says of a CA server binds it.
const (
	Server Party = "server"
	Client Party = "client"
	Both   Party = "both"
)

// Strength is how strongly the RFC wants something.
type Strength string

// The words of BCP 14, and three weaker forms: Lowercase is one of those words
// in small letters, Fact a plain statement that an implementation has to match,
// Open something that the RFC leaves open.
const (
	Must        Strength = "MUST"
	MustNot     Strength = "MUST NOT"
	Should      Strength = "SHOULD"
	ShouldNot   Strength = "SHOULD NOT"
	Recommended Strength = "RECOMMENDED"
	May         Strength = "MAY"
	Optional    Strength = "OPTIONAL"
	Lowercase   Strength = "lower case"
	Fact        Strength = "fact"
	Open        Strength = "open"
)

// Status is what became of a requirement.
type Status string

// What became of it. The zero value is Met. Deviates says that something else is
// done, or done only in part; NotApplicable that there is nothing to do here,
// DocumentedOnly that there is nothing to test. All but Met need a Note.
const (
	Met            Status = ""
	Deviates       Status = "deviates"
	NotApplicable  Status = "not applicable"
	DocumentedOnly Status = "documented"
)

// Requirement is a row of the table.
type Requirement struct {
	// ID is R, the section and a number; W and a number for a fact of the wire
	// format; A and a number for what the RFC leaves open.
	ID       string
	Section  string // of the RFC; several are separated by a comma
	Binds    Party
	Strength Strength
	Text     string // what is wanted or, for Open, the question
	Status   Status

	// Where it is done: a Go file, from internal/scep, and after a colon a
	// declaration in it.
	Where []string
	// Tests that prove it elsewhere: a package, from the module's root, and after
	// a colon a test function. A row may have these, a case in this package's
	// tests, or both.
	Tests []string
	// Note is the reason of a deviation, the choice made where the RFC leaves
	// one, or what is good to know.
	Note string
}

// All returns every row, in the order of the RFC; facts of the wire format and
// open questions come last.
func All() []Requirement {
	return slices.Concat(section2, section3, section3Replies, section4, section7, wire, open)
}
