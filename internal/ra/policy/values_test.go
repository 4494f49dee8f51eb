package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

func TestValueRules(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		values  []string
		pattern string
		value   string
		want    bool
	}{
		{nil, "", "anything", true},
		{[]string{"a", "b"}, "", "b", true},
		{[]string{"a", "b"}, "", "B", false},
		{nil, "d-[0-9]{4}", "d-0001", true},
		{nil, "d-[0-9]{4}", "d-00012", false},
		{nil, "d-[0-9]{4}", "x d-0001", false},
		{nil, "d|e", "e", true},
		{nil, "d|e", "dx", false},
		{nil, "(?i)abc", "ABC", true},
		{nil, "^d$", "d", true},
		{nil, "(?m)^d$", "d\ne", false},
		{nil, ".*", "é", true},
	} {
		r, err := compileValues("f", tc.values, tc.pattern)
		if err != nil || r.allows(tc.value) != tc.want {
			t.Errorf("%q by %v and %q: %v (%v)", tc.value, tc.values, tc.pattern, !tc.want, err)
		}
	}
}

// A pattern must be readable by itself, and cannot break out of, or swallow, what
// makes it match the whole value.
func TestPatternsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"(", "a)|(b", "[", "a{1001}", `\Qa`, "(?<n>", "a**", "(a{999}){999}"} {
		spec := template()
		spec.Subject.Attributes = []v1alpha1.AttributeValues{{Name: v1alpha1.CommonName, Values: []string{"a"}}, {Name: v1alpha1.Organization, Pattern: pattern}}
		_, err := Compile(spec)
		var value *ValueError
		if !errors.As(err, &value) || value.Field != "subject.attributes[1].pattern" || !strings.Contains(err.Error(), "error parsing regexp") {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestValuesOfAttributes(t *testing.T) {
	t.Parallel()
	spec := template()
	spec.Subject = &v1alpha1.SubjectPolicy{Attributes: []v1alpha1.AttributeValues{
		{Name: v1alpha1.Organization, Values: []string{"Example Ltd", "Example AG"}},
		{Name: v1alpha1.CommonName, Pattern: "d[0-9]+"},
	}}
	p := compile(t, spec)
	for text, change := range map[string]func(*wish){
		"": named(attr(cn, "d1"), attr("2.5.4.10", "Example AG"), attr("2.5.4.10", "Example Ltd")),
		`subject attribute organization "Evil" refused: allowed is Example Ltd, Example AG`: named(attr(cn, "d1"), attr("2.5.4.10", "Example AG"), attr("2.5.4.10", "Evil")),
		`subject attribute commonName "d1x" refused: allowed is what matches d[0-9]+`:       named(attr(cn, "d1x")),
		`subject attribute country refused: allowed is commonName, organization`:            named(attr(cn, "d1"), attr("2.5.4.6", "CH")),
	} {
		w := allowedWish()
		change(w)
		_, err := p.Judge(w.csr(t), Context{})
		got, refused := refusal.As(err)
		if refused != (text != "") || refused && got.Text != text {
			t.Errorf("got %v, want %q", err, text)
		}
	}
}
