package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// subjectOIDs are the subject attributes that a template can name (RFC 4519, RFC 2985).
var subjectOIDs = map[string]v1alpha1.SubjectAttribute{
	"2.5.4.3":                    v1alpha1.CommonName,
	"2.5.4.5":                    v1alpha1.SerialNumber,
	"2.5.4.6":                    v1alpha1.Country,
	"2.5.4.7":                    v1alpha1.Locality,
	"2.5.4.8":                    v1alpha1.Province,
	"2.5.4.9":                    v1alpha1.StreetAddress,
	"2.5.4.10":                   v1alpha1.Organization,
	"2.5.4.11":                   v1alpha1.OrganizationalUnit,
	"2.5.4.17":                   v1alpha1.PostalCode,
	"0.9.2342.19200300.100.1.1":  v1alpha1.UserID,
	"0.9.2342.19200300.100.1.25": v1alpha1.DomainComponent,
	"1.2.840.113549.1.9.1":       v1alpha1.EmailAddress,
}

// singleValued are the attributes that rules see as one string, so there may be one only.
var singleValued = []v1alpha1.SubjectAttribute{v1alpha1.CommonName, v1alpha1.SerialNumber}

// subjectRule says which subject attributes may and must be there, and with what values.
type subjectRule struct {
	required, allowed []v1alpha1.SubjectAttribute
	values            map[v1alpha1.SubjectAttribute]valueRule
}

// compileSubject reads the policy; field is where it stands in the spec.
func compileSubject(field string, s *v1alpha1.SubjectPolicy) (subjectRule, error) {
	if s == nil {
		return subjectRule{allowed: []v1alpha1.SubjectAttribute{v1alpha1.CommonName}}, nil
	}
	r := subjectRule{required: s.Required, allowed: s.Allowed, values: map[v1alpha1.SubjectAttribute]valueRule{}}
	if len(r.allowed) == 0 {
		r.allowed = append(slices.Clone(s.Required), v1alpha1.CommonName)
	}
	var problems []error
	for i, a := range s.Attributes {
		values, err := compileValues(fmt.Sprintf("%s.attributes[%d]", field, i), a.Values, a.Pattern)
		r.values[a.Name] = values
		problems = append(problems, err)
		if len(s.Allowed) == 0 && !slices.Contains(r.allowed, a.Name) {
			r.allowed = append(r.allowed, a.Name)
		}
	}
	return r, errors.Join(problems...)
}

func (r subjectRule) judge(subject []attribute) error {
	seen := map[v1alpha1.SubjectAttribute]bool{}
	for _, a := range subject {
		name, known := subjectOIDs[a.oid]
		if !known {
			return r.refuse(a.oid)
		}
		if !slices.Contains(r.allowed, name) {
			return r.refuse(string(name))
		}
		if seen[name] && slices.Contains(singleValued, name) {
			return refusal.New(refusal.SubjectNotAllowed, "subject refused: it names %s twice", name)
		}
		if values := r.values[name]; !values.allows(a.value) {
			return refusal.New(refusal.SubjectNotAllowed, "subject attribute %s %s refused: allowed is %s", name, refusal.Quote(a.value), values)
		}
		seen[name] = true
	}
	for _, name := range r.required {
		if !seen[name] {
			return refusal.New(refusal.SubjectMissing, "subject refused: %s is required", name)
		}
	}
	return nil
}

func (r subjectRule) refuse(name string) error {
	words := make([]string, len(r.allowed))
	for i, a := range r.allowed {
		words[i] = string(a)
	}
	return refusal.New(refusal.SubjectNotAllowed, "subject attribute %s refused: allowed is %s", name, strings.Join(words, ", "))
}

// values are the values of one attribute, in their order.
func values(subject []attribute, name v1alpha1.SubjectAttribute) []string {
	out := []string{}
	for _, a := range subject {
		if subjectOIDs[a.oid] == name {
			out = append(out, a.value)
		}
	}
	return out
}
