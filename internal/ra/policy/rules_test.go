package policy

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/test/golden"
)

// What rules may speak of is API: a name in the file never goes and never changes its
// type within a version of the API. New ones may come.
func TestVariablesAreThoseOnRecord(t *testing.T) {
	t.Parallel()
	env := must(newEnvironment())
	lines := []string{v1alpha1.GroupVersion.String()}
	for _, v := range env.Variables() {
		lines = append(lines, describeVariable(t, env, v.Name(), v.Type())...)
	}
	for key, value := range (Challenge{}).variable() {
		lines = append(lines, fmt.Sprintf("challenge.%s %T", key, value))
	}
	slices.Sort(lines[1:])
	golden.Compare(t, "testdata/variables.golden", []byte(strings.Join(lines, "\n")+"\n"))
}

// describeVariable lists a variable and all below it, each with its type.
func describeVariable(t *testing.T, env *cel.Env, name string, kind *cel.Type) []string {
	t.Helper()
	if kind.Kind() == cel.ListKind && kind.Parameters()[0].Kind() == cel.StructKind {
		return describeVariable(t, env, name+"[]", kind.Parameters()[0])
	}
	if kind.Kind() != cel.StructKind {
		return []string{name + " " + kind.String()}
	}
	fields, ok := env.CELTypeProvider().FindStructFieldNames(kind.TypeName())
	if !ok {
		t.Fatalf("%s is of the unknown type %s", name, kind)
	}
	var lines []string
	for _, f := range fields {
		field, ok := env.CELTypeProvider().FindStructFieldType(kind.TypeName(), f)
		if !ok {
			t.Fatalf("%s.%s has no type", name, f)
		}
		lines = append(lines, describeVariable(t, env, name+"."+f, field.Type)...)
	}
	return lines
}

func TestRulesAboutRarerContent(t *testing.T) {
	t.Parallel()
	spec := template()
	spec.SANs = rareNames()
	spec.ExtendedKeyUsages = []string{smartCard}
	w := allowedWish()
	asks(keyUsage(0), extKeyUsages(clientAuth, smartCard), sans(
		other(xmppAddress, utf8String("ada@example.com")), other("1.2.3", der(1)),
		directory(attr("2.5.4.10", "Example, Ltd"), attr(cn, "d1")), registered("1.3.6.1.4.1.99999.7"),
	))(w)
	csr := w.csr(t)
	for expression, want := range map[string]bool{
		"csr.otherNames.exists(n, n.oid == '1.3.6.1.5.5.7.8.5' && n.value == 'ada@example.com')": true,
		"csr.otherNames.size() == 2 && csr.otherNames[1].value == '#020101'":                     true,
		"csr.directoryNames[0].organization == ['Example, Ltd']":                                 true,
		"csr.directoryNames[0].commonName == csr.subject.commonName":                             true,
		"csr.registeredIDs == ['1.3.6.1.4.1.99999.7']":                                           true,
		"csr.usages == ['digital signature', 'client auth']":                                     true,
		"'1.3.6.1.4.1.311.20.2.2' in csr.extendedKeyUsages && csr.extendedKeyUsages.size() == 2": true,
		"csr.signatureDigest == 'SHA-256'":                                                       true,
		"csr.signatureDigest == 'SHA-1' || csr.uris != []":                                       false,
	} {
		rules(expression)(&spec)
		if _, err := compile(t, spec).Judge(csr, Context{}); (err == nil) != want {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

// Rules like those of the docs are far from the limit.
func TestCostsOfOrdinaryRules(t *testing.T) {
	t.Parallel()
	spec := template()
	rules(
		"csr.dnsNames.all(n, n.endsWith('.devices.example.com') && n.matches('^[a-z]{3}-[0-9]+[.]'))",
		"csr.dnsNames.all(n, csr.emailAddresses.exists(e, e.split('@')[1] == n.substring(n.indexOf('.') + 1)))",
		"challenge.name == '' || has(challenge.data.serials) && challenge.data.serials.exists(s, s == csr.subject.serialNumber)",
		"client.family in ['Apple', 'Windows'] && client.address.startsWith('10.') && client.userAgent.matches('.*Agent.*')",
	)(&spec)
	compile(t, spec)
}

func TestRulesThatMayCostTooMuch(t *testing.T) {
	t.Parallel()
	spec := template()
	spec.Rules = []v1alpha1.Rule{
		{Expression: "true", Message: "no"},
		{Expression: "csr.dnsNames.all(a, csr.dnsNames.all(b, csr.dnsNames.all(c, a == b || b == c)))", Message: "no", Name: "costly"},
		{Expression: "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, a+b+c+d+e > 0)))))", Message: "no"},
		{Expression: "challenge.data.a.all(a, challenge.data.b.all(b, challenge.data.c.all(c, a == b || b == c)))", Message: "no"},
	}
	_, err := Compile(spec)
	var rule *RuleError
	if !errors.As(err, &rule) || rule.Index != 1 || rule.Name != "costly" {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"rules[1] (costly): may cost ", "rules[2]: may cost ", "rules[3]: may cost ", "100000 are allowed: use fewer macros"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A request that makes a rule cost more than estimates assume is refused, not answered.
func TestRulesThatDoCostTooMuch(t *testing.T) {
	t.Parallel()
	spec := template()
	rules("csr.dnsNames.all(a, csr.dnsNames.exists(b, a == b && b == a))")(&spec)
	p := compile(t, spec)
	for n, want := range map[int]bool{20: true, 400: false} {
		w := allowedWish()
		var list []asn1.RawValue
		for i := range n {
			list = append(list, san(dnsName, fmt.Sprintf("d%d.devices.example.com", i)))
		}
		asks(sans(list...))(w)
		_, err := p.Judge(w.csr(t), Context{})
		got, refused := refusal.As(err)
		if refused == want || refused && (got.Reason != refusal.RuleNotMet || !strings.Contains(err.Error(), "cost")) {
			t.Errorf("%d names: %v", n, err)
		}
	}
}
