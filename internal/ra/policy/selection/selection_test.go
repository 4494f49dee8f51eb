package selection

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// key is made once.
var key = sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })

// request is a CSR with extensions, through its encoding.
func request(t testing.TB, extensions ...pkix.Extension) *x509.CertificateRequest {
	t.Helper()
	k, err := key()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}, ExtraExtensions: extensions}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, k)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var (
	nameID  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2}
	infoID  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 7}
	usageID = asn1.ObjectIdentifier{2, 5, 29, 15}
)

// bmp is a name as Windows writes it.
func bmp(name string) []byte {
	var value []byte
	for _, unit := range utf16.Encode([]rune(name)) {
		value = append(value, byte(unit>>8), byte(unit))
	}
	return append([]byte{30, byte(len(value))}, value...)
}

func named(name string) pkix.Extension { return pkix.Extension{Id: nameID, Value: bmp(name)} }

func informed(t testing.TB, oid asn1.ObjectIdentifier) pkix.Extension {
	return pkix.Extension{Id: infoID, Value: marshal(t, struct {
		ID           asn1.ObjectIdentifier
		Major, Minor int
	}{oid, 100, 7})}
}

// usages is a key usage extension with some of its bits, the first is 0x80.
func usages(t testing.TB, bits byte) pkix.Extension {
	return pkix.Extension{Id: usageID, Value: marshal(t, asn1.BitString{Bytes: []byte{bits}, BitLength: 8})}
}

var kioskOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 8, 16777215, 12}

// entries are an endpoint with a template for each way of selection.
func entries() []Entry {
	return []Entry{
		{Name: "device", Default: true},
		{Name: "signing", KeyUsage: v1alpha1.KeyUsageSignature},
		{Name: "encryption", KeyUsage: v1alpha1.KeyUsageEncryption},
		{Name: "both", KeyUsage: v1alpha1.KeyUsageGeneralPurpose},
		{Name: "laptop", Microsoft: &v1alpha1.MicrosoftTemplate{Name: "Workstation", Aliases: []string{"OldWorkstation", "1.2.3.4"}}},
		{Name: "kiosk", Microsoft: &v1alpha1.MicrosoftTemplate{OID: kioskOID.String(), Name: "Kioskgerät"}},
	}
}

func table(t testing.TB) *Table {
	t.Helper()
	made, err := New(entries())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestSelect(t *testing.T) {
	t.Parallel()
	const sign, encrypt, agree = 0x80, 0x20, 0x08
	utf8Name := pkix.Extension{Id: nameID, Value: append([]byte{12, 11}, "workstation"...)}
	nulName := pkix.Extension{Id: nameID, Value: bmp("Workstation\x00")}
	oidAsName := pkix.Extension{Id: nameID, Value: bmp(kioskOID.String())}
	bare := pkix.Extension{Id: infoID, Value: marshal(t, []asn1.ObjectIdentifier{kioskOID})}
	for name, tc := range map[string]struct {
		path       string
		extensions []pkix.Extension
		want       Choice
	}{
		"nothing":                          {"", nil, Choice{"device", ByDefault, nil}},
		"a path that names none":           {"/scep", nil, Choice{"device", ByDefault, nil}},
		"a path":                           {"/scep/kiosk", nil, Choice{"kiosk", ByPath, nil}},
		"a path to the default":            {"/scep/device", []pkix.Extension{named("Workstation")}, Choice{"device", ByPath, nil}},
		"a path beside a Microsoft name":   {"/scep/signing", []pkix.Extension{named("Workstation")}, Choice{"signing", ByPath, nil}},
		"a path beside an unknown name":    {"/scep/signing", []pkix.Extension{named("Nobody")}, Choice{"signing", ByPath, nil}},
		"a Microsoft name":                 {"/scep", []pkix.Extension{named("Workstation")}, Choice{"laptop", ByMicrosoft, nil}},
		"a Microsoft name of another case": {"", []pkix.Extension{named("WORKSTATION")}, Choice{"laptop", ByMicrosoft, nil}},
		"a Microsoft name beyond ASCII":    {"", []pkix.Extension{named("KIOSKGERÄT")}, Choice{"kiosk", ByMicrosoft, nil}},
		"a Microsoft name in UTF-8":        {"", []pkix.Extension{utf8Name}, Choice{"laptop", ByMicrosoft, nil}},
		"a Microsoft name with a NUL":      {"", []pkix.Extension{nulName}, Choice{"laptop", ByMicrosoft, nil}},
		"an OID in the place of a name":    {"", []pkix.Extension{oidAsName}, Choice{"kiosk", ByMicrosoft, nil}},
		"an alias":                         {"", []pkix.Extension{named("oldworkstation")}, Choice{"laptop", ByMicrosoft, nil}},
		"a Microsoft OID":                  {"", []pkix.Extension{informed(t, kioskOID)}, Choice{"kiosk", ByMicrosoft, nil}},
		"a Microsoft OID without versions": {"", []pkix.Extension{bare}, Choice{"kiosk", ByMicrosoft, nil}},
		"an OID among the aliases":         {"", []pkix.Extension{informed(t, asn1.ObjectIdentifier{1, 2, 3, 4})}, Choice{"laptop", ByMicrosoft, nil}},
		"both extensions of one template":  {"", []pkix.Extension{named("kioskgerät"), informed(t, kioskOID)}, Choice{"kiosk", ByMicrosoft, nil}},
		"one known, one unknown":           {"", []pkix.Extension{named("Nobody"), informed(t, kioskOID)}, Choice{"kiosk", ByMicrosoft, []string{"Nobody"}}},
		"a Microsoft name and a key usage": {"", []pkix.Extension{named("Workstation"), usages(t, sign)}, Choice{"laptop", ByMicrosoft, nil}},
		"an unknown name":                  {"", []pkix.Extension{named("Nobody")}, Choice{"device", ByDefault, []string{"Nobody"}}},
		"an unknown name and a key usage":  {"", []pkix.Extension{named("Nobody"), usages(t, sign)}, Choice{"signing", ByKeyUsage, []string{"Nobody"}}},
		"signature":                        {"/certsrv/mscep/mscep.dll", []pkix.Extension{usages(t, sign)}, Choice{"signing", ByKeyUsage, nil}},
		"encryption":                       {"", []pkix.Extension{usages(t, encrypt)}, Choice{"encryption", ByKeyUsage, nil}},
		"both usages":                      {"", []pkix.Extension{usages(t, sign|encrypt)}, Choice{"both", ByKeyUsage, nil}},
		"signature and key agreement":      {"", []pkix.Extension{usages(t, sign|agree)}, Choice{"signing", ByKeyUsage, nil}},
		"key agreement alone":              {"", []pkix.Extension{usages(t, agree)}, Choice{"device", ByDefault, nil}},
		"a key usage that is none":         {"", []pkix.Extension{{Id: usageID, Value: []byte{1, 2, 3}}}, Choice{"device", ByDefault, nil}},
	} {
		got, err := table(t).Select(tc.path, request(t, tc.extensions...))
		if err != nil || got.Template != tc.want.Template || got.By != tc.want.By || !slices.Equal(got.Unknown, tc.want.Unknown) {
			t.Errorf("%s: %+v (%v), want %+v", name, got, err, tc.want)
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path       string
		extensions []pkix.Extension
		reason     refusal.Reason
		text       string
	}{
		"a template that is not there": {"/scep/nobody", nil, refusal.TemplateUnknown, `there is no template "nobody" here`},
		"two templates": {
			"",
			[]pkix.Extension{named("Workstation"), informed(t, kioskOID)},
			refusal.TemplateAmbiguous, "it names two Microsoft templates, those of laptop and kiosk",
		},
	} {
		_, err := table(t).Select(tc.path, request(t, tc.extensions...))
		if refused, ok := refusal.As(err); !ok || refused.Reason != tc.reason || !strings.Contains(refused.Text, tc.text) {
			t.Errorf("%s: %v, want %s and %q", name, err, tc.reason, tc.text)
		}
	}
}

func TestByPath(t *testing.T) {
	t.Parallel()
	const unknown = "404"
	for path, want := range map[string]string{
		"":                                    "",
		"/":                                   "",
		"/scep":                               "",
		"/scep/":                              "",
		"/SCEP/pkiclient.exe":                 "",
		"/scep/kiosk":                         "kiosk",
		"/scep/kiosk/":                        "kiosk",
		"//scep//kiosk":                       "kiosk",
		"/Scep/Kiosk/PKIClient.exe":           "kiosk",
		"/scep/kiosk/pkiclient.exe/":          "kiosk",
		"/cgi-bin/pkiclient.exe":              "",
		"/certsrv/mscep/mscep.dll":            "",
		"/certsrv/mscep/kiosk":                "",
		"/anything/scep/kiosk":                "",
		"/scepter/kiosk":                      "",
		"/scep/nobody":                        unknown,
		"/scep/nobody/pkiclient.exe":          unknown,
		"/scep/kiosk/more":                    unknown,
		"/scep/kiosk/pkiclient.exe/x":         unknown,
		"/scep/pkiclient.exe/kiosk":           unknown,
		"/scep/../kiosk":                      unknown,
		"/scep/kiosk;v=1":                     unknown,
		"/scep/k\u0131osk":                    unknown, // a dotless i
		"/scep/ kiosk":                        unknown,
		"/scep/" + strings.Repeat("a/", 1000): unknown,
	} {
		name, ok := table(t).ByPath(path)
		if want == unknown && ok || want != unknown && (!ok || name != want) {
			t.Errorf("%s: %q (%t), want %q", path, name, ok, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	microsoft := func(m v1alpha1.MicrosoftTemplate) *v1alpha1.MicrosoftTemplate { return &m }
	for want, list := range map[string][]Entry{
		`templates a and b both have the Microsoft template "KIOSK": leave it to one of them`: {
			{Name: "a", Default: true, Microsoft: microsoft(v1alpha1.MicrosoftTemplate{Name: "Kiosk"})},
			{Name: "b", Microsoft: microsoft(v1alpha1.MicrosoftTemplate{Name: "Other", Aliases: []string{"KIOSK"}})},
		},
		`templates a and b both have the Microsoft template "1.2.3": leave it to one of them`: {
			{Name: "a", Default: true, Microsoft: microsoft(v1alpha1.MicrosoftTemplate{OID: "1.2.3"})},
			{Name: "b", Microsoft: microsoft(v1alpha1.MicrosoftTemplate{OID: "1.2.3"})},
		},
		"templates a and b both have keyUsage Signature: leave it to one of them": {
			{Name: "a", Default: true, KeyUsage: v1alpha1.KeyUsageSignature}, {Name: "b", KeyUsage: v1alpha1.KeyUsageSignature},
		},
	} {
		_, err := New(list)
		if ambiguous := (*AmbiguousError)(nil); !errors.As(err, &ambiguous) || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := New([]Entry{{Name: "a"}, {Name: "b"}}); !errors.Is(err, errNoDefault) {
		t.Errorf("two entries without a default: %v", err)
	}
	one, err := New([]Entry{{Name: "a", Microsoft: microsoft(v1alpha1.MicrosoftTemplate{Name: "A", Aliases: []string{"a"}})}})
	if err != nil {
		t.Fatalf("a name twice in one template: %v", err)
	}
	if got, err := one.Select("", request(t)); err != nil || got.Template != "a" {
		t.Errorf("the only entry is not the default: %+v (%v)", got, err)
	}
}

func TestMalformedNamesAreNone(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]pkix.Extension{
		"no value":              {Id: nameID, Value: []byte{30}},
		"odd BMPString":         {Id: nameID, Value: []byte{30, 1, 65}},
		"half a surrogate":      {Id: nameID, Value: []byte{30, 2, 0xd8, 0}},
		"control characters":    {Id: nameID, Value: bmp("Work\nstation")},
		"invalid UTF-8":         {Id: nameID, Value: []byte{12, 1, 0xff}},
		"blank":                 {Id: nameID, Value: bmp("  ")},
		"an integer":            {Id: nameID, Value: []byte{2, 1, 1}},
		"something behind":      {Id: nameID, Value: append(bmp("Workstation"), 5, 0)},
		"no OID":                {Id: infoID, Value: []byte{0x30, 0}},
		"an OID that overflows": {Id: infoID, Value: []byte{0x30, 12, 6, 10, 0x2b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
		"three versions":        {Id: infoID, Value: []byte{0x30, 13, 6, 2, 0x2a, 3, 2, 1, 1, 2, 1, 1, 2, 1, 1}},
		"no sequence":           {Id: infoID, Value: []byte{6, 2, 0x2a, 3}},
	} {
		if got := microsoftTemplates(request(t, e)); got != nil {
			t.Errorf("%s: %q, want none", name, got)
		}
	}
}

// FuzzMicrosoft: whatever is in the extensions, reading them neither fails nor gives
// what cannot be shown.
func FuzzMicrosoft(f *testing.F) {
	f.Add(bmp("Workstation"), informed(f, kioskOID).Value)
	f.Add(marshal(f, "Workstation"), marshal(f, []asn1.ObjectIdentifier{kioskOID}))
	f.Fuzz(func(t *testing.T, name, info []byte) {
		csr := &x509.CertificateRequest{Extensions: []pkix.Extension{{Id: nameID, Value: name}, {Id: infoID, Value: info}}}
		for _, found := range microsoftTemplates(csr) {
			if found == "" || len([]rune(found)) > maxName*4 || strings.ContainsFunc(found, unshowable) {
				t.Errorf("%s and %s give %q", hex.EncodeToString(name), hex.EncodeToString(info), found)
			}
		}
	})
}

// FuzzByPath: a path names one of the entries, none, or is not served.
func FuzzByPath(f *testing.F) {
	f.Add("/scep/kiosk/pkiclient.exe")
	f.Fuzz(func(t *testing.T, path string) {
		made := table(t)
		if name, ok := made.ByPath(path); ok && name != "" && !slices.Contains(made.names, name) {
			t.Errorf("%q names %q", path, name)
		}
	})
}
