package policy

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// readDirectoryName reads a distinguished name among alternative names.
func readDirectoryName(in cryptobyte.String) (string, bool) {
	var element cryptobyte.String
	var sequence pkix.RDNSequence
	var name pkix.Name
	if !in.ReadASN1Element(&element, cbasn1.SEQUENCE) || !in.Empty() {
		return "", false
	}
	if rest, err := asn1.Unmarshal(element, &sequence); err != nil || len(rest) > 0 {
		return "", false
	}
	name.FillFromRDNSequence(&sequence)
	attributes, err := readAttributes(name)
	return formatDirectoryName(attributes), err == nil && len(attributes) > 0
}

// escaped are the characters that get a "\" before them in the text of a
// directory name.
const escaped = `\,`

// formatDirectoryName writes a directory name as "<attribute>=<value>,…", in its
// own order, with the attributes of v1alpha1 or object identifiers.
func formatDirectoryName(attributes []attribute) string {
	parts := make([]string, len(attributes))
	for i, a := range attributes {
		parts[i] = attributeName(a.oid) + "=" + escape(a.value)
	}
	return strings.Join(parts, ",")
}

func attributeName(oid string) string {
	if known, ok := subjectOIDs[oid]; ok {
		return string(known)
	}
	return oid
}

func escape(value string) string {
	var out strings.Builder
	for _, r := range value {
		if strings.ContainsRune(escaped, r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}

var errDirectoryName = errors.New(`it must be of the form attribute=value,… with "\" before "," and "\"`)

// parseDirectoryName reads what formatDirectoryName writes.
func parseDirectoryName(text string) ([]attribute, error) {
	var out []attribute
	for _, part := range splitEscaped(text) {
		name, value, found := strings.Cut(part, "=")
		oid, err := attributeOID(name)
		if err != nil {
			return nil, err
		}
		plain, ok := unescape(value)
		if !found || !ok || !printable(plain) {
			return nil, errDirectoryName
		}
		out = append(out, attribute{oid: oid, value: plain})
	}
	return out, nil
}

// splitEscaped splits at commas that have no "\" before them.
func splitEscaped(text string) []string {
	var parts []string
	begin, skip := 0, false
	for i, r := range text {
		switch {
		case skip:
			skip = false
		case r == '\\':
			skip = true
		case r == ',':
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

func unescape(value string) (string, bool) {
	var out strings.Builder
	skip := false
	for _, r := range value {
		if r == '\\' && !skip {
			skip = true
			continue
		}
		if skip && !strings.ContainsRune(escaped, r) {
			return "", false
		}
		skip = false
		out.WriteRune(r)
	}
	return out.String(), !skip
}

func attributeOID(name string) (string, error) {
	for oid, known := range subjectOIDs {
		if string(known) == name {
			return oid, nil
		}
	}
	if _, err := parseObjectIdentifier(name); err != nil {
		return "", fmt.Errorf("attribute %q is not known", name)
	}
	return name, nil
}

// addDirectoryNames allows directory names by the rules of a subject.
func (r sanRules) addDirectoryNames(p *v1alpha1.SubjectPolicy) error {
	if p == nil {
		return nil
	}
	rule, err := compileSubject("sans.directoryName", p)
	r[directoryName] = func(n generalName) error {
		attributes, err := parseDirectoryName(n.value)
		if err != nil {
			return malformed("directory name").Because(err)
		}
		if refused, ok := refusal.As(rule.judge(attributes)); ok {
			return refusal.New(refusal.SANNotAllowed, "directory name: %s", refused.Text)
		}
		return nil
	}
	return err
}
