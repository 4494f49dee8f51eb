package triage

import (
	"crypto/x509/pkix"
	"slices"
	"strings"
	"time"
)

// Question is which device or transaction is asked about: one of the first three is set.
type Question struct {
	// Subject is a common name, a whole subject as in the records, or an alternative name
	// with or without its type, such as "dns:".
	Subject     string
	Transaction string
	// Serial of a certificate, as raconfig.SerialText writes it.
	Serial string
	// Since is from when on records count, and Now until when.
	Since, Now time.Time
}

// String names what is asked about.
func (q Question) String() string {
	switch {
	case q.Transaction != "":
		return "transaction " + q.Transaction
	case q.Serial != "":
		return "certificate " + q.Serial
	}
	return q.Subject
}

// selection is what the records have of the question, the oldest first.
type selection struct {
	// own are of the device's requests, minted of challenges for it, others of other requests.
	own, minted, others []Record
	// revoked are the serial numbers of certificates that were revoked.
	revoked map[string]bool
}

func (q Question) choose(trails []Trail) selection {
	var all []Record
	for _, t := range trails {
		all = append(all, t.Records...)
	}
	slices.SortStableFunc(all, func(a, b Record) int { return a.Time.Compare(b.Time) })
	transactions := map[string]bool{}
	for _, r := range all {
		if r.Transaction != "" && q.names(r) {
			transactions[r.Transaction] = true
		}
	}
	s := selection{revoked: map[string]bool{}}
	for _, r := range all {
		switch {
		case r.Time.Before(q.Since):
		case r.Code == codeRevoked:
			s.revoked[r.Serial] = true
		case r.Code == codeMinted && q.names(r):
			s.minted = append(s.minted, r)
		case r.Code < firstOfRequests || r.Code > lastOfRequests:
		// What has no name yet belongs to its transaction; a stranger can use another's.
		case q.names(r) || len(r.Subject) == 0 && transactions[r.Transaction]:
			s.own = append(s.own, r)
		default:
			s.others = append(s.others, r)
		}
	}
	return s
}

// names says whether a record itself is of what is asked for.
func (q Question) names(r Record) bool {
	switch {
	case q.Transaction != "":
		return r.Transaction == q.Transaction
	case q.Serial != "":
		return r.Serial == q.Serial
	}
	return q.isSubject(r.Subject) || slices.ContainsFunc(r.AlternativeNames, q.isAlternative)
}

func (q Question) isSubject(subject []string) bool {
	attribute := pkix.Name{CommonName: q.Subject}.String()
	return slices.ContainsFunc(subject, func(name string) bool {
		return strings.EqualFold(name, q.Subject) || strings.EqualFold(name, "commonName="+q.Subject) ||
			slices.ContainsFunc(attributes(name), func(a string) bool { return strings.EqualFold(a, attribute) })
	})
}

func (q Question) isAlternative(name string) bool {
	_, value, _ := strings.Cut(name, ":")
	return strings.EqualFold(name, q.Subject) || strings.EqualFold(value, q.Subject)
}

// attributes splits a distinguished name at what separates its attributes (RFC 4514,
// section 2), which is not behind a backslash.
func attributes(name string) []string {
	var out []string
	begin, escaped := 0, false
	for i, c := range name {
		if !escaped && (c == ',' || c == '+') {
			out, begin = append(out, name[begin:i]), i+1
		}
		escaped = c == '\\' && !escaped
	}
	return append(out, name[begin:])
}
