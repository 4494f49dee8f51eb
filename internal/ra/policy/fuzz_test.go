package policy

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// everything allows as much as a template can, so that fuzzers get far.
func everything() v1alpha1.CertificateTemplateSpec {
	spec := template()
	spec.SANs.OtherNames, spec.SANs.DirectoryName = []v1alpha1.OtherName{{OID: "1.2.3"}, {OID: xmppAddress, Pattern: ".*"}}, &v1alpha1.SubjectPolicy{}
	spec.SANs.RegisteredID = &v1alpha1.RegisteredIDPolicy{AllowedOIDs: []string{"1.3"}}
	spec.ExtendedKeyUsages, spec.MicrosoftSID = []string{smartCard}, v1alpha1.SIDIgnore
	spec.Rules = append(spec.Rules, v1alpha1.Rule{Message: "no", Expression: "csr.directoryNames.all(d, d.commonName != 'x') && csr.otherNames.all(n, n.value != '')"})
	return spec
}

// FuzzRequest judges whatever is a CSR: it is refused, or what is granted is the template's.
func FuzzRequest(f *testing.F) {
	p := compile(f, everything()).For(v1alpha1.IssuanceDirect)
	for _, tc := range refused {
		w := allowedWish()
		tc.change(w)
		f.Add(w.csr(f).Raw)
	}
	w := allowedWish()
	asks(keyUsage(0), extKeyUsages(clientAuth, smartCard), extension(oidMicrosoftSID, der("x")), sans(
		san(uniformID, sidOf), other("1.2.3", der(1)), other(xmppAddress, utf8String("#a")),
		directory(attr(cn, "a,b")), registered("1.3.6"), upn("a@corp.example.com"),
	))(w)
	f.Add(w.csr(f).Raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		csr, err := x509.ParseCertificateRequest(raw)
		if err != nil {
			return
		}
		grant, err := p.Judge(csr, Context{})
		if err != nil {
			if _, ok := refusal.As(err); !ok || grant != nil {
				t.Errorf("error %v is no refusal", err)
			}
			return
		}
		if len(grant.Usages) == 0 || !subset(grant.Usages, p.spec.Usages) {
			t.Errorf("granted %v", grant.Usages)
		}
		if again, err := p.Judge(csr, Context{}); err != nil || len(again.Usages) != len(grant.Usages) {
			t.Errorf("judged anew: %v", err)
		}
	})
}

// FuzzWithoutSID leaves names that can be read, all that were there but SIDs.
func FuzzWithoutSID(f *testing.F) {
	f.Add(sans(san(uniformID, sidOf), san(dnsName, "a")).Value)
	f.Add(sans(san(uniformID, "tag:x"), upn("a@b"), directory(attr(cn, "x"))).Value)
	f.Fuzz(func(t *testing.T, value []byte) {
		before, after := &content{}, &content{}
		if before.readSANs(value) != nil {
			return
		}
		before.dropSIDs()
		rewritten, ok := WithoutSID(value)
		if ok != (len(before.sans) > 0) {
			t.Fatalf("%d names are left, rewritten is %v", len(before.sans), ok)
		}
		if !ok {
			return
		}
		if err := after.readSANs(rewritten); err != nil {
			t.Fatal(err)
		}
		if len(before.sans) != len(after.sans) || !subset(before.sans, after.sans) {
			t.Errorf("%v became %v", before.sans, after.sans)
		}
	})
}

// FuzzDirectoryName reads back what it wrote, whatever the values hold.
func FuzzDirectoryName(f *testing.F) {
	f.Add("d1", "Example, Ltd")
	f.Add(`\`, `a\,b=c`)
	f.Add("=", `,\\,`)
	f.Fuzz(func(t *testing.T, first, second string) {
		attributes := []attribute{{"2.5.4.3", first}, {"1.2.3", second}}
		text := formatDirectoryName(attributes)
		read, err := parseDirectoryName(text)
		if !printable(first) || !printable(second) || strings.ToValidUTF8(first+second, "") != first+second {
			return
		}
		if err != nil || len(read) != 2 || read[0] != attributes[0] || read[1] != attributes[1] {
			t.Errorf("%q was read as %v (%v)", text, read, err)
		}
	})
}

// FuzzParseName reads names of people: what it takes is in a form that stays as it is.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{
		"dns:A.example.com", "ip:::ffff:10.0.0.1", "uri:" + sidOf, "upn:a@b", "rid:1.2.3",
		`dn:commonName=a\,b,1.2.3=c`, "other:1.2.3;#0401", "other:1.2.3", "commonName=x", "email:a@b", "dn:", "rid:1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		canonical, err := ParseName(s)
		if err != nil {
			return
		}
		if again, err := ParseName(canonical); err != nil || again != canonical {
			t.Errorf("%q became %q, and that %q (%v)", s, canonical, again, err)
		}
	})
}

// FuzzCompile compiles what an API server would let through in free text: it is
// refused with a field or a rule, or can be used.
func FuzzCompile(f *testing.F) {
	f.Add("csr.keySize > 1", "a|b", "1.2.3")
	f.Add("csr.dnsNames.all(a, true)", "(", "1.2.03")
	f.Add("challenge.data", `\Qa`, "")
	csr := allowedWish().csr(f)
	f.Fuzz(func(t *testing.T, expression, pattern, oid string) {
		spec := template()
		rules(expression)(&spec)
		spec.Subject.Attributes = []v1alpha1.AttributeValues{{Name: v1alpha1.Organization, Pattern: pattern}}
		spec.ExtendedKeyUsages = []string{oid}
		p, err := Compile(spec)
		if err != nil {
			return
		}
		if _, err := p.Judge(csr, Context{}); err != nil {
			if _, ok := refusal.As(err); !ok {
				t.Errorf("error %v is no refusal", err)
			}
		}
	})
}
