package policy

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

const (
	xmppAddress = "1.3.6.1.5.5.7.8.5"
	ntdsGUID    = "1.3.6.1.4.1.311.25.1"
)

// rareNames allows the types of names that few devices use.
func rareNames() *v1alpha1.SANPolicy {
	return &v1alpha1.SANPolicy{
		OtherNames: []v1alpha1.OtherName{
			{OID: xmppAddress, Pattern: "[a-z]+@example[.]com"},
			{OID: ntdsGUID, Values: []string{"#0403010203"}},
			{OID: "1.2.3"},
		},
		DirectoryName: &v1alpha1.SubjectPolicy{
			Required:   []v1alpha1.SubjectAttribute{v1alpha1.Organization},
			Attributes: []v1alpha1.AttributeValues{{Name: v1alpha1.Organization, Values: []string{"Example, Ltd"}}},
		},
		RegisteredID: &v1alpha1.RegisteredIDPolicy{AllowedOIDs: []string{"1.3.6.1.4.1.99999"}},
	}
}

func utf8String(s string) []byte {
	return der(asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(s)})
}

func registered(oid string) asn1.RawValue {
	whole := der(parseOID(oid))
	return san(registeredID, string(whole[2:]))
}

func TestNamesOfRareTypes(t *testing.T) {
	t.Parallel()
	spec := template()
	spec.SANs = rareNames()
	p := compile(t, spec)
	const organization = "2.5.4.10"
	for name, tc := range map[string]struct {
		name asn1.RawValue
		text string // "": allowed
	}{
		"text that matches":            {other(xmppAddress, utf8String("ada@example.com")), ""},
		"text of another alphabet":     {other(xmppAddress, der(asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("ada@example.com")})), ""},
		"text that does not match":     {other(xmppAddress, utf8String("ada@example.com.evil.org")), `otherName 1.3.6.1.5.5.7.8.5 "ada@example.com.evil.org" refused: allowed is what matches [a-z]+@example[.]com`},
		"octets":                       {other(ntdsGUID, der([]byte{1, 2, 3})), ""},
		"other octets":                 {other(ntdsGUID, der([]byte{1, 2, 4})), `otherName 1.3.6.1.4.1.311.25.1 "#0403010204" refused: allowed is #0403010203`},
		"text that looks like octets":  {other(ntdsGUID, utf8String("#0403010203")), `otherName 1.3.6.1.4.1.311.25.1 "\\#0403010203" refused: allowed is #0403010203`},
		"any value":                    {other("1.2.3", der(struct{ A, B int }{1, 2})), ""},
		"any text":                     {other("1.2.3", utf8String(`\#`)), ""},
		"text with control characters": {other("1.2.3", utf8String("a\x00b")), "request refused: its subject alternative names cannot be read"},
		"two values":                   {other("1.2.3", append(der(1), der(2)...)), "request refused: its subject alternative names cannot be read"},
		"no value":                     {other("1.2.3", nil), "request refused: its subject alternative names cannot be read"},
		"a type that is not listed":    {other("1.2.4", der(1)), `otherName 1.2.4 "#020101" refused: allowed is 1.2.3, 1.3.6.1.4.1.311.25.1, 1.3.6.1.5.5.7.8.5`},
		"a type below a listed one":    {other("1.2.3.4", der(1)), `otherName 1.2.3.4 "#020101" refused: allowed is 1.2.3, 1.3.6.1.4.1.311.25.1, 1.3.6.1.5.5.7.8.5`},

		"a directory name":             {directory(attr(organization, "Example, Ltd"), attr(cn, "d1")), ""},
		"a directory name, required":   {directory(attr(cn, "d1")), "directory name: subject refused: organization is required"},
		"a directory name, value":      {directory(attr(organization, "Example")), `directory name: subject attribute organization "Example" refused: allowed is Example, Ltd`},
		"a directory name, attribute":  {directory(attr(organization, "Example, Ltd"), attr("2.5.4.6", "CH")), "directory name: subject attribute country refused: allowed is organization, commonName"},
		"a directory name, unknown":    {directory(attr("1.2.3", "x")), "directory name: subject attribute 1.2.3 refused: allowed is organization, commonName"},
		"a directory name, no string":  {directory(attr(cn, 7)), "request refused: its subject alternative names cannot be read"},
		"a directory name and more":    {asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: append(der(pkix.Name{CommonName: "a"}.ToRDNSequence()), 5, 0)}, "request refused: its subject alternative names cannot be read"},
		"a directory name, commas":     {directory(attr(organization, `Example, Ltd,commonName=d1\`)), `directory name: subject attribute organization "Example, Ltd,commonName=d1\\" refused: allowed is Example, Ltd`},
		"a registered ID":              {registered("1.3.6.1.4.1.99999"), ""},
		"a registered ID below":        {registered("1.3.6.1.4.1.99999.1.2"), ""},
		"a registered ID beside":       {registered("1.3.6.1.4.1.999990"), `registeredID "1.3.6.1.4.1.999990" refused: allowed is 1.3.6.1.4.1.99999`},
		"a registered ID, half of one": {san(registeredID, "\x2a\x83"), "request refused: its subject alternative names cannot be read"},
		"an X.400 address":             {san(x400Address, "x"), "alternative name of type x400Address refused: the template allows none"},
		"an EDI party":                 {san(ediPartyName, "x"), "alternative name of type ediPartyName refused: the template allows none"},
	} {
		w := allowedWish()
		asks(sans(tc.name))(w)
		csr := w.csr(t)
		_, err := p.Judge(csr, Context{})
		got, refused := refusal.As(err)
		if refused != (tc.text != "") || refused && got.Text != tc.text {
			t.Errorf("%s: got %v\nwant %q", name, err, tc.text)
		}
		checkIssuedName(t, name, w, err == nil)
	}
}

// checkIssuedName asserts that an issuer may copy a name that is allowed, and may not
// make it up.
func checkIssuedName(t *testing.T, name string, w *wish, allowed bool) {
	t.Helper()
	if !allowed {
		return
	}
	asked := w.csr(t)
	cert := issuedWith(t, asked, w.extensions)
	if err := CheckIssued(cert, asked, usageList{signature, clients}, nil); err != nil {
		t.Errorf("%s: as asked: %v", name, err)
	}
	plain := allowedWish().csr(t)
	err := CheckIssued(issuedWith(t, plain, w.extensions), plain, usageList{signature, clients}, nil)
	if got, ok := refusal.As(err); !ok || got.Reason != refusal.IssuedMismatch {
		t.Errorf("%s: made up by the issuer: %v", name, err)
	}
}

func TestNameRulesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*v1alpha1.SANPolicy){
		"sans.otherNames[0].pattern":               func(s *v1alpha1.SANPolicy) { s.OtherNames[0].Pattern = "(" },
		"sans.otherNames[1].oid":                   func(s *v1alpha1.SANPolicy) { s.OtherNames[1].OID = upnOID },
		"sans.otherNames[2].oid":                   func(s *v1alpha1.SANPolicy) { s.OtherNames[2].OID = "1.2." },
		"sans.directoryName.attributes[0].pattern": func(s *v1alpha1.SANPolicy) { s.DirectoryName.Attributes[0].Pattern = "[" },
		"sans.registeredID.allowedOIDs":            func(s *v1alpha1.SANPolicy) { s.RegisteredID.AllowedOIDs[0] = "x" },
	} {
		spec := template()
		spec.SANs = rareNames()
		change(spec.SANs)
		_, err := Compile(spec)
		var value *ValueError
		if !errors.As(err, &value) || value.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Whoever mints a challenge for exact names writes them as they are read from a request.
func TestRareNamesAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	w := allowedWish()
	asks(sans(
		other(xmppAddress, utf8String("ada@example.com")), other("1.2.3", der(1)), registered("1.3.6.1"),
		directory(attr("2.5.4.10", "Example, Ltd"), attr(cn, "d1")), san(uniformID, sidOf),
	))(w)
	read, err := RequestNames(w.csr(t))
	if err != nil {
		t.Fatal(err)
	}
	written, err := ParseNames([]string{"commonName=d1"}, []string{
		"other:1.2.3;#020101", `dn:organization=Example\, Ltd,commonName=d1`, "rid:1.3.6.1",
		"other:1.3.6.1.5.5.7.8.5;ada@example.com", "uri:" + sidOf,
	})
	if err != nil || !read.Equal(written) {
		t.Errorf("read %+v, written %+v (%v)", read, written, err)
	}
	for _, wrong := range []string{"rid:x", "dn:colour=red", "dn:commonName=", `dn:commonName=a\b`, `dn:commonName=a\`, "other:1.2.3", "other:x;y", "dn:1.2.3"} {
		if name, err := ParseName(wrong); err == nil {
			t.Errorf("%q was read as %q", wrong, name)
		}
	}
}
