package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ValueError says that a value of a template cannot be read.
type ValueError struct {
	// Field of the spec, such as sans.ip.allowedCIDRs.
	Field string
	Err   error
}

// Error names the field.
func (e *ValueError) Error() string { return fmt.Sprintf("%s: %v", e.Field, e.Err) }

// Unwrap returns Err.
func (e *ValueError) Unwrap() error { return e.Err }

// valueRule says which texts are allowed: those of a list, those that match a
// pattern, or any where there is neither.
type valueRule struct {
	values  []string
	pattern *regexp.Regexp
	source  string // of the pattern
}

// compileValues reads a rule; field is where an unreadable pattern stands.
func compileValues(field string, values []string, pattern string) (valueRule, error) {
	r := valueRule{values: values, source: pattern}
	if pattern == "" {
		return r, nil
	}
	// Read by itself first: "a)|(b" would be readable within parentheses.
	if _, err := regexp.Compile(pattern); err != nil {
		return r, &ValueError{Field: field + ".pattern", Err: err}
	}
	whole, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return r, &ValueError{Field: field + ".pattern", Err: err}
	}
	r.pattern = whole
	return r, nil
}

func (r valueRule) allows(value string) bool {
	if r.pattern != nil {
		return r.pattern.MatchString(value)
	}
	return len(r.values) == 0 || slices.Contains(r.values, value)
}

// String says what is allowed.
func (r valueRule) String() string {
	switch {
	case r.pattern != nil:
		return "what matches " + r.source
	case len(r.values) > 0:
		return strings.Join(r.values, ", ")
	default:
		return "any value"
	}
}
