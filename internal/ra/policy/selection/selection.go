// Package selection decides which of an endpoint's templates serves a request. In
// this order: the path that the request came on (/scep/<name>), the Microsoft template
// that it names, its key usage, as Microsoft's NDES goes by it, and the default.
//
// It is pure: the operator uses New to find endpoints whose templates are ambiguous.
package selection

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// Entry is one of an endpoint's templates.
type Entry struct {
	// Name within the endpoint; in lower case.
	Name string
	// Default is true for the entry that serves what matches no other.
	Default bool
	// KeyUsage of requests that the entry is for; "": none.
	KeyUsage v1alpha1.TemplateKeyUsage
	// Microsoft is how requests name the template; may be nil.
	Microsoft *v1alpha1.MicrosoftTemplate
}

// By says what selected a template. Its values are in audit records.
type By string

// What selects a template, the strongest first.
const (
	ByPath      By = "path"
	ByMicrosoft By = "microsoft"
	ByKeyUsage  By = "keyUsage"
	ByDefault   By = "default"
)

// Choice is the template that serves a request.
type Choice struct {
	// Template is the name of the entry.
	Template string
	By       By
	// Unknown are the Microsoft templates that the request names and no entry has,
	// where they were looked at.
	Unknown []string
}

// Table is an endpoint's templates by what selects them. It is immutable.
type Table struct {
	names     []string
	microsoft map[string]string // entry by name or OID, in lower case
	keyUsage  map[v1alpha1.TemplateKeyUsage]string
	fallback  string
}

// AmbiguousError says that two entries answer to the same.
type AmbiguousError struct {
	// What both have: a Microsoft template's name or OID, or a key usage.
	What string
	// Entries are their names.
	Entries [2]string
}

// Error names both entries and the remedy.
func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("templates %s and %s both have %s: leave it to one of them", e.Entries[0], e.Entries[1], e.What)
}

var errNoDefault = errors.New("no template is the default")

// New makes a table. A single entry is the default in any case. Its error is an
// *AmbiguousError, or says that there is no default.
func New(entries []Entry) (*Table, error) {
	t := &Table{microsoft: map[string]string{}, keyUsage: map[v1alpha1.TemplateKeyUsage]string{}}
	for _, e := range entries {
		t.names = append(t.names, e.Name)
		if e.Default || len(entries) == 1 {
			t.fallback = e.Name
		}
		if err := t.addKeyUsage(e); err != nil {
			return nil, err
		}
		if err := t.addMicrosoft(e); err != nil {
			return nil, err
		}
	}
	if t.fallback == "" {
		return nil, errNoDefault
	}
	return t, nil
}

func (t *Table) addKeyUsage(e Entry) error {
	if e.KeyUsage == "" {
		return nil
	}
	if other, taken := t.keyUsage[e.KeyUsage]; taken {
		return &AmbiguousError{What: "keyUsage " + string(e.KeyUsage), Entries: [2]string{other, e.Name}}
	}
	t.keyUsage[e.KeyUsage] = e.Name
	return nil
}

func (t *Table) addMicrosoft(e Entry) error {
	if e.Microsoft == nil {
		return nil
	}
	for _, name := range append([]string{e.Microsoft.Name, e.Microsoft.OID}, e.Microsoft.Aliases...) {
		key := canonical(name)
		if key == "" {
			continue
		}
		if other, taken := t.microsoft[key]; taken && other != e.Name {
			return &AmbiguousError{What: fmt.Sprintf("the Microsoft template %q", name), Entries: [2]string{other, e.Name}}
		}
		t.microsoft[key] = e.Name
	}
	return nil
}

// canonical compares names as Active Directory does.
func canonical(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// scepSegment is the path segment under which templates have their names, and
// programSegment what clients append to any URL (RFC 8894, section 4.1). Neither has a case.
const (
	scepSegment    = "scep"
	programSegment = "pkiclient.exe"
)

// ByPath finds the entry that a path names: "" if it names none. It is not served,
// and ok is false, if it names one that there is not.
func (t *Table) ByPath(path string) (name string, ok bool) {
	segments := slices.DeleteFunc(strings.Split(strings.ToLower(path), "/"), func(s string) bool { return s == "" })
	if len(segments) == 0 || segments[0] != scepSegment {
		return "", true
	}
	if segments = segments[1:]; len(segments) > 0 && segments[len(segments)-1] == programSegment {
		segments = segments[:len(segments)-1]
	}
	switch len(segments) {
	case 0:
		return "", true
	case 1:
		return segments[0], slices.Contains(t.names, segments[0])
	default:
		return strings.Join(segments, "/"), false
	}
}

// Select finds the entry that serves a request. Its error is a *refusal.Error.
func (t *Table) Select(path string, csr *x509.CertificateRequest) (Choice, error) {
	name, ok := t.ByPath(path)
	if !ok {
		return Choice{}, refusal.New(refusal.TemplateUnknown, "request refused: there is no template %s here: see the path of the URL", refusal.Quote(name))
	}
	if name != "" {
		return Choice{Template: name, By: ByPath}, nil
	}
	name, unknown, err := t.byMicrosoft(csr)
	if err != nil {
		return Choice{}, err
	}
	if name != "" {
		return Choice{Template: name, By: ByMicrosoft, Unknown: unknown}, nil
	}
	if name = t.keyUsage[keyUsageOf(csr)]; name != "" {
		return Choice{Template: name, By: ByKeyUsage, Unknown: unknown}, nil
	}
	return Choice{Template: t.fallback, By: ByDefault, Unknown: unknown}, nil
}

// byMicrosoft finds the entry of the Microsoft template that a request names. Names
// that no entry has select nothing: devices send such names without knowing what
// they say, and NDES looks at none.
func (t *Table) byMicrosoft(csr *x509.CertificateRequest) (name string, unknown []string, err error) {
	for _, asked := range microsoftTemplates(csr) {
		entry, known := t.microsoft[canonical(asked)]
		switch {
		case !known:
			unknown = append(unknown, asked)
		case name != "" && name != entry:
			return "", nil, refusal.New(refusal.TemplateAmbiguous,
				"request refused: it names two Microsoft templates, those of %s and %s", name, entry)
		default:
			name = entry
		}
	}
	return name, unknown, nil
}
