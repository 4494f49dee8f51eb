package policy

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

const sidOf = sidPrefix + "S-1-5-21-1-2-3-500"

func TestSecurityIdentifiers(t *testing.T) {
	t.Parallel()
	const requests, direct = v1alpha1.IssuanceCertificateRequest, v1alpha1.IssuanceDirect
	extended := asks(extension(oidMicrosoftSID, der("x")))
	uri := asks(sans(san(uniformID, sidOf)))
	const refusedExtension = "extension Microsoft SID (1.3.6.1.4.1.311.25.2) refused: no template can allow it"
	const refusedURI = "alternative name of type Microsoft SID refused: the template allows none"
	anyTag := []string{"tag:", "tag:microsoft.com,2022-09-14:"}
	for name, tc := range map[string]struct {
		mode     v1alpha1.IssuanceMode
		sid      v1alpha1.MicrosoftSID
		prefixes []string
		change   func(*wish)
		text     string // "": allowed
		without  bool
	}{
		"extension, left out":       {direct, "", anyTag, extended, refusedExtension, false},
		"extension, refused":        {requests, v1alpha1.SIDRefuse, anyTag, extended, refusedExtension, false},
		"extension, ignored":        {requests, v1alpha1.SIDIgnore, anyTag, extended, "", false},
		"extension, ignored Direct": {direct, v1alpha1.SIDIgnore, anyTag, extended, "", false},
		"URI, refused":              {direct, v1alpha1.SIDRefuse, anyTag, uri, refusedURI, false},
		"URI, cannot be left out":   {requests, v1alpha1.SIDIgnore, anyTag, uri, refusedURI, false},
		"URI, left out":             {direct, v1alpha1.SIDIgnore, anyTag, uri, "", true},
		"URI, other case, left out": {direct, v1alpha1.SIDIgnore, anyTag, asks(sans(san(uniformID, "TAG:Microsoft.com,2022-09-14:SID:S-1-5"))), "", true},
		"URI, other case, refused":  {direct, v1alpha1.SIDRefuse, anyTag, asks(sans(san(uniformID, "TAG:Microsoft.com,2022-09-14:SID:S-1-5"))), refusedURI, false},
		"URI, spelled out":          {requests, v1alpha1.SIDRefuse, []string{sidPrefix}, uri, "", false},
		"URI, spelled out, ignored": {direct, v1alpha1.SIDIgnore, []string{sidPrefix}, uri, "", false},
		"URI, another domain's": {
			requests, v1alpha1.SIDRefuse,
			[]string{sidPrefix + "S-1-5-21-9-"},
			uri,
			`Microsoft SID "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-500" refused: allowed is tag:microsoft.com,2022-09-14:sid:S-1-5-21-9-`, false,
		},
	} {
		spec := template()
		spec.MicrosoftSID, spec.SANs.URI.AllowedPrefixes = tc.sid, tc.prefixes
		w := allowedWish()
		tc.change(w)
		grant, err := compile(t, spec).For(tc.mode).Judge(w.csr(t), Context{})
		got, refused := refusal.As(err)
		if refused != (tc.text != "") || refused && got.Text != tc.text {
			t.Errorf("%s: %v, want %q", name, err, tc.text)
		}
		if err == nil && grant.WithoutSID != tc.without {
			t.Errorf("%s: grant %+v", name, grant)
		}
	}
}

func TestWithoutSID(t *testing.T) {
	t.Parallel()
	device, sid := san(dnsName, "a.example.com"), san(uniformID, sidOf)
	for name, tc := range map[string]struct{ in, want []byte }{
		"one of three":   {der([]asn1.RawValue{device, sid, upn("a@b")}), der([]asn1.RawValue{device, upn("a@b")})},
		"several":        {der([]asn1.RawValue{sid, device, sid}), der([]asn1.RawValue{device})},
		"another URI":    {der([]asn1.RawValue{san(uniformID, "tag:example.com,2022:sid:1")}), der([]asn1.RawValue{san(uniformID, "tag:example.com,2022:sid:1")})},
		"a DNS name":     {der([]asn1.RawValue{san(dnsName, sidOf)}), der([]asn1.RawValue{san(dnsName, sidOf)})},
		"nothing else":   {der([]asn1.RawValue{sid}), nil},
		"no sequence":    {der(1), nil},
		"half a name":    {[]byte{0x30, 3, 0x82, 5, 'a'}, nil},
		"nothing at all": {nil, nil},
	} {
		got, ok := WithoutSID(tc.in)
		if ok != (tc.want != nil) || !bytes.Equal(got, tc.want) {
			t.Errorf("%s: %x (%v), want %x", name, got, ok, tc.want)
		}
	}
}

// issuedWith makes a certificate as an issuer would that adds extensions.
func issuedWith(t *testing.T, csr *x509.CertificateRequest, extensions []pkix.Extension) *x509.Certificate {
	t.Helper()
	return issued(t, csr, func(c *x509.Certificate) { c.ExtraExtensions = extensions })
}

func TestAnIssuerAddsNoSID(t *testing.T) {
	t.Parallel()
	w := allowedWish()
	sid := extension(oidMicrosoftSID, der("x"))
	asks(sid)(w)
	csr := w.csr(t)
	err := CheckIssued(issuedWith(t, csr, []pkix.Extension{sid}), csr, usageList{signature, clients}, nil)
	if got, ok := refusal.As(err); !ok || got.Text != "the issuer made a certificate other than requested: a Microsoft SID" {
		t.Errorf("a certificate with a SID: %v", err)
	}
	if err := CheckIssued(issuedWith(t, csr, nil), csr, usageList{signature, clients}, nil); err != nil {
		t.Errorf("a certificate without: %v", err)
	}
}

// A device that names its SID each time can renew the certificate that was made without it.
func TestRenewalWithASIDThatIsLeftOut(t *testing.T) {
	t.Parallel()
	spec := template()
	spec.MicrosoftSID = v1alpha1.SIDIgnore
	p := compile(t, spec).For(v1alpha1.IssuanceDirect)
	plain := allowedWish().csr(t)
	w := allowedWish()
	asks(extension(oidMicrosoftSID, der("x")), sans(san(uniformID, sidOf)))(w)
	if err := p.JudgeRenewal(issuedWith(t, plain, nil), w.csr(t)); err != nil {
		t.Errorf("renewal: %v", err)
	}
	err := p.JudgeRenewal(issuedWith(t, plain, []pkix.Extension{extension(oidMicrosoftSID, der("x"))}), plain)
	if got, ok := refusal.As(err); !ok || got.Reason != refusal.SignerUnfit {
		t.Errorf("a certificate with a SID renews: %v", err)
	}
}
