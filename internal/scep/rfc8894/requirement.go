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

// Chapter is rows that belong together.
type Chapter struct {
	Title string
	Rows  []Requirement
}

// Chapters returns every row, in the order of the RFC; facts of the wire format
// and open questions come last.
func Chapters() []Chapter {
	return []Chapter{
		{"Entities and what they have to do (section 2)", section2},
		{"Messages (section 3)", slices.Concat(section3, section3Replies)},
		{"Transactions, HTTP and keywords (sections 4 to 6)", section4},
		{"Security considerations (section 7)", section7},
		{"The wire format", wire},
		{"What the RFC leaves open", open},
	}
}

// All returns the rows of all chapters.
func All() []Requirement {
	var all []Requirement
	for _, c := range Chapters() {
		all = append(all, c.Rows...)
	}
	return all
}
