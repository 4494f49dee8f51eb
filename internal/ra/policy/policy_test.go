package policy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// keys are made once.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	made := map[string]crypto.Signer{}
	made["RSA 2048"] = must(rsa.GenerateKey(rand.Reader, 2048))
	made["RSA 1024"] = must(rsa.GenerateKey(rand.Reader, 1024))
	for name, curve := range map[string]elliptic.Curve{"P-224": elliptic.P224(), "P-256": elliptic.P256(), "P-521": elliptic.P521()} {
		made[name] = must(ecdsa.GenerateKey(curve, rand.Reader))
	}
	_, made["Ed25519"], _ = ed25519.GenerateKey(rand.Reader)
	return made
})

// must is for tests' preparations that cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// template allows names below devices.example.com for client authentication.
func template() v1alpha1.CertificateTemplateSpec {
	return v1alpha1.CertificateTemplateSpec{
		Keys:     []v1alpha1.KeyRequirement{{Algorithm: v1alpha1.RSAKey, MinSize: 2048}, {Algorithm: v1alpha1.ECDSAKey, Curves: []v1alpha1.Curve{v1alpha1.P256}}},
		Usages:   []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageKeyEncipherment, certmanagerv1.UsageClientAuth},
		Validity: metav1.Duration{Duration: time.Hour},
		Subject: &v1alpha1.SubjectPolicy{
			Required: []v1alpha1.SubjectAttribute{v1alpha1.CommonName},
			Allowed:  []v1alpha1.SubjectAttribute{v1alpha1.CommonName, v1alpha1.Organization, v1alpha1.SerialNumber},
		},
		SANs: &v1alpha1.SANPolicy{
			DNS:   &v1alpha1.DNSNamePolicy{AllowedSuffixes: []string{"devices.example.com"}},
			Email: &v1alpha1.EmailPolicy{AllowedDomains: []string{"example.com"}},
			URI:   &v1alpha1.URIPolicy{AllowedPrefixes: []string{"spiffe://example.com", "urn:uuid:"}},
			IP:    &v1alpha1.IPPolicy{AllowedCIDRs: []string{"10.0.0.0/8", "fd00::/8"}},
			UPN:   &v1alpha1.UPNPolicy{AllowedSuffixes: []string{"corp.example.com"}},
		},
		Rules: []v1alpha1.Rule{{Expression: "!csr.subject.commonName.startsWith('forbidden')", Message: "CN is forbidden"}},
	}
}

func compile(t testing.TB, spec v1alpha1.CertificateTemplateSpec) *Policy {
	t.Helper()
	p, err := Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wish is what a CSR asks for; tests change one that is allowed.
type wish struct {
	key        string
	subject    pkix.Name
	extensions []pkix.Extension
}

func (w wish) csr(t testing.TB) *x509.CertificateRequest {
	t.Helper()
	key := keys()[w.key]
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: w.subject, ExtraExtensions: w.extensions,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return must(x509.ParseCertificateRequest(der))
}

func der(v any) []byte { return must(asn1.Marshal(v)) }

func extension(oid string, value []byte) pkix.Extension {
	return pkix.Extension{Id: parseOID(oid), Value: value}
}

func parseOID(dotted string) asn1.ObjectIdentifier {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(dotted, ".") {
		oid = append(oid, must(strconv.Atoi(part)))
	}
	return oid
}

func keyUsage(bits ...int) pkix.Extension {
	b := asn1.BitString{Bytes: make([]byte, 2)}
	for _, bit := range bits {
		b.Bytes[bit/8] |= 0x80 >> (bit % 8)
		b.BitLength = max(b.BitLength, bit+1)
	}
	b.Bytes = b.Bytes[:(b.BitLength+7)/8]
	return extension(oidKeyUsage, der(b))
}

func extKeyUsages(oids ...string) pkix.Extension {
	var list []asn1.ObjectIdentifier
	for _, o := range oids {
		list = append(list, parseOID(o))
	}
	return extension(oidExtKeyUsage, der(list))
}

func sans(names ...asn1.RawValue) pkix.Extension { return extension(oidSubjectAltName, der(names)) }

// san is a GeneralName with a context tag.
func san(kind nameType, value string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: int(kind), Bytes: []byte(value)}
}

func other(oid string, value []byte) asn1.RawValue {
	explicit := der(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: value})
	return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: append(der(parseOID(oid)), explicit...)}
}

func directory(attributes ...pkix.AttributeTypeAndValue) asn1.RawValue {
	sequence := pkix.RDNSequence{}
	for _, a := range attributes {
		sequence = append(sequence, pkix.RelativeDistinguishedNameSET{a})
	}
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: int(directoryName), IsCompound: true, Bytes: der(sequence)}
}

func upn(name string) asn1.RawValue {
	return other(upnOID, der(asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(name)}))
}

const (
	clientAuth = "1.3.6.1.5.5.7.3.2"
	serverAuth = "1.3.6.1.5.5.7.3.1"
	smartCard  = "1.3.6.1.4.1.311.20.2.2"
)

// judgement is a row of the table of what is refused, with the text the device gets.
type judgement struct {
	name   string
	change func(*wish)
	reason refusal.Reason
	text   string
}

func named(attributes ...pkix.AttributeTypeAndValue) func(*wish) {
	return func(w *wish) { w.subject = pkix.Name{ExtraNames: attributes} }
}

func attr(oid string, value any) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: parseOID(oid), Value: value}
}

func asks(extensions ...pkix.Extension) func(*wish) {
	return func(w *wish) { w.extensions = extensions }
}

func withKey(name string) func(*wish) { return func(w *wish) { w.key = name } }

const (
	cn       = "2.5.4.3"
	noUsage  = "allowed is digital signature, key encipherment, client auth"
	noKey    = "allowed is RSA >= 2048, ECDSA P-256"
	noName   = "allowed is commonName, organization, serialNumber"
	noPrefix = "allowed is spiffe://example.com, urn:uuid:"
)

var refused = []judgement{
	{"small RSA", withKey("RSA 1024"), refusal.KeyNotAllowed, "key RSA 1024 refused: " + noKey},
	{"weak curve", withKey("P-224"), refusal.KeyNotAllowed, "key ECDSA P-224 refused: " + noKey},
	{"unlisted curve", withKey("P-521"), refusal.KeyNotAllowed, "key ECDSA P-521 refused: " + noKey},
	{"other algorithm", withKey("Ed25519"), refusal.KeyNotAllowed, "key of another algorithm refused: " + noKey},

	{"key usage", asks(keyUsage(0, 5)), refusal.UsageNotAllowed, `usage "cert sign" refused: ` + noUsage},
	{"key usage of the last bit", asks(keyUsage(8)), refusal.UsageNotAllowed, `usage "decipher only" refused: ` + noUsage},
	{"key usage without bits", asks(keyUsage()), refusal.Malformed, "request refused: its key usage cannot be read"},
	{"key usage beyond the last bit", asks(keyUsage(9)), refusal.Malformed, "request refused: its key usage cannot be read"},
	{"key usage of another type", asks(extension(oidKeyUsage, der("x"))), refusal.Malformed, "request refused: its key usage cannot be read"},
	{"purpose", asks(extKeyUsages(clientAuth, serverAuth)), refusal.UsageNotAllowed, `usage "server auth" refused: ` + noUsage},
	{"smart-card logon", asks(extKeyUsages(clientAuth, smartCard)), refusal.UsageNotAllowed, `usage "1.3.6.1.4.1.311.20.2.2" refused: ` + noUsage},
	{"any purpose", asks(extKeyUsages("2.5.29.37.0")), refusal.UsageNotAllowed, `usage "2.5.29.37.0" refused: ` + noUsage},
	{"no purpose", asks(extKeyUsages()), refusal.Malformed, "request refused: its extended key usage cannot be read"},
	{"usage for another key", func(w *wish) { withKey("P-256")(w); asks(keyUsage(2))(w) }, refusal.UsageUnfit, `usage "key encipherment" refused: ECDSA keys cannot have it`},

	{"CA", asks(extension(oidBasicConstraints, []byte{0x30, 3, 1, 1, 0xff})), refusal.CANotAllowed, "request refused: it asks for a CA certificate"},
	{"CA, not DER", asks(extension(oidBasicConstraints, []byte{0x30, 3, 1, 1, 1})), refusal.Malformed, "request refused: its basic constraints cannot be read"},
	{"path length without CA", asks(extension(oidBasicConstraints, []byte{0x30, 3, 2, 1, 0})), refusal.Malformed, "request refused: its basic constraints cannot be read"},
	{"Microsoft SID", asks(extension("1.3.6.1.4.1.311.25.2", der("x"))), refusal.ExtensionNotAllowed, "extension Microsoft SID (1.3.6.1.4.1.311.25.2) refused: no template can allow it"},
	{"unknown extension", asks(extension("1.2.3.4", der("x"))), refusal.ExtensionNotAllowed, "extension 1.2.3.4 refused: no template can allow it"},
	{"name constraints", asks(extension("2.5.29.30", der("x"))), refusal.ExtensionNotAllowed, "extension name constraints (2.5.29.30) refused: no template can allow it"},

	{"no subject", named(), refusal.SubjectMissing, "request refused: it names neither a subject nor an alternative name"},
	{"required attribute", named(attr("2.5.4.10", "Example")), refusal.SubjectMissing, "subject refused: commonName is required"},
	{"unlisted attribute", named(attr(cn, "d1"), attr("2.5.4.11", "Sales")), refusal.SubjectNotAllowed, "subject attribute organizationalUnit refused: " + noName},
	{"unknown attribute", named(attr(cn, "d1"), attr("1.2.3.4", "x")), refusal.SubjectNotAllowed, "subject attribute 1.2.3.4 refused: " + noName},
	{"two common names", named(attr(cn, "d1"), attr(cn, "d2")), refusal.SubjectNotAllowed, "subject refused: it names commonName twice"},
	{"empty attribute", named(attr(cn, " ")), refusal.Malformed, "request refused: its subject cannot be read"},
	{"control character", named(attr(cn, "d1\x00.example.com")), refusal.Malformed, "request refused: its subject cannot be read"},
	{"right to left", named(attr(cn, "d1\u202e")), refusal.Malformed, "request refused: its subject cannot be read"},
	{"attribute that is no string", named(attr(cn, 7)), refusal.Malformed, "request refused: its subject cannot be read"},

	{"DNS name", asks(sans(san(dnsName, "www.example.com"))), refusal.SANNotAllowed, `DNS name "www.example.com" refused: allowed is devices.example.com`},
	{"DNS name, suffix in a label", asks(sans(san(dnsName, "evildevices.example.com"))), refusal.SANNotAllowed, `DNS name "evildevices.example.com" refused: allowed is devices.example.com`},
	{"wildcard", asks(sans(san(dnsName, "*.devices.example.com"))), refusal.SANNotAllowed, `DNS name "*.devices.example.com" refused: allowed is devices.example.com`},
	{"second of two", asks(sans(san(dnsName, "a.devices.example.com"), san(dnsName, "b"))), refusal.SANNotAllowed, `DNS name "b" refused: allowed is devices.example.com`},
	{"long DNS name", asks(sans(san(dnsName, strings.Repeat("a.", 130)+"devices.example.com"))), refusal.SANNotAllowed, `DNS name "` + strings.Repeat("a.", 32) + `…" refused: allowed is devices.example.com`},
	{"e-mail address", asks(sans(san(rfc822Name, "a@evil.org"))), refusal.SANNotAllowed, `e-mail address "a@evil.org" refused: allowed is example.com`},
	{"e-mail address with two at", asks(sans(san(rfc822Name, "a@evil.org@example.com"))), refusal.SANNotAllowed, `e-mail address "a@evil.org@example.com" refused: allowed is example.com`},
	{"e-mail address without a name", asks(sans(san(rfc822Name, "@example.com"))), refusal.SANNotAllowed, `e-mail address "@example.com" refused: allowed is example.com`},
	{"URI", asks(sans(san(uniformID, "https://example.com/"))), refusal.SANNotAllowed, `URI "https://example.com/" refused: ` + noPrefix},
	{"URI of a longer host", asks(sans(san(uniformID, "spiffe://example.com.evil.org/a"))), refusal.SANNotAllowed, `URI "spiffe://example.com.evil.org/a" refused: ` + noPrefix},
	{"URI with dots", asks(sans(san(uniformID, "spiffe://example.com/%2e%2e/a"))), refusal.SANNotAllowed, `URI "spiffe://example.com/%2e%2e/a" refused: ` + noPrefix},
	{"IP address", asks(sans(san(ipAddress, "\xc0\x00\x02\x01"))), refusal.SANNotAllowed, `IP address "192.0.2.1" refused: allowed is 10.0.0.0/8, fd00::/8`},
	{"UPN", asks(sans(upn("admin@example.com"))), refusal.SANNotAllowed, `user principal name "admin@example.com" refused: allowed is corp.example.com`},
	{"UPN that is no UTF-8 string", asks(sans(other(upnOID, der(7)))), refusal.Malformed, "request refused: its subject alternative names cannot be read"},
	{"other name", asks(sans(other("1.2.3.4", der("x")))), refusal.SANNotAllowed, "alternative name of type otherName refused: the template allows none"},
	{"directory name", asks(sans(directory(attr(cn, "d1")))), refusal.SANNotAllowed, "alternative name of type directoryName refused: the template allows none"},
	{"directory name without attributes", asks(sans(directory())), refusal.Malformed, "request refused: its subject alternative names cannot be read"},
	{"registered ID", asks(sans(san(registeredID, "\x2a\x03"))), refusal.SANNotAllowed, "alternative name of type registeredID refused: the template allows none"},
	{"unknown type of name", asks(sans(san(9, "x"))), refusal.Malformed, "request refused: its subject alternative names cannot be read"},
	{"no alternative name", asks(sans()), refusal.Malformed, "request refused: its subject alternative names cannot be read"},

	{"rule", named(attr(cn, "forbidden fruit")), refusal.RuleNotMet, "CN is forbidden"},
}

func allowedWish() *wish {
	return &wish{key: "RSA 2048", subject: pkix.Name{CommonName: "d1"}}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	p := compile(t, template())
	for _, tc := range refused {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := allowedWish()
			tc.change(w)
			_, err := p.Judge(w.csr(t), Context{})
			got, ok := refusal.As(err)
			if !ok || got.Reason != tc.reason || got.Text != tc.text {
				t.Errorf("got  %v\nwant %s: %s", err, tc.reason, tc.text)
			}
		})
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	const (
		signature    = certmanagerv1.UsageDigitalSignature
		encipherment = certmanagerv1.UsageKeyEncipherment
		clients      = certmanagerv1.UsageClientAuth
	)
	all := []certmanagerv1.KeyUsage{signature, encipherment, clients}
	for name, tc := range map[string]struct {
		change func(*wish)
		usages []certmanagerv1.KeyUsage
	}{
		"nothing named":         {asks(), all},
		"nothing named, ECDSA":  {withKey("P-256"), []certmanagerv1.KeyUsage{signature, clients}},
		"key usage only":        {asks(keyUsage(0)), []certmanagerv1.KeyUsage{signature}},
		"purpose only":          {asks(extKeyUsages(clientAuth)), []certmanagerv1.KeyUsage{clients}},
		"all of the template's": {asks(keyUsage(0, 2), extKeyUsages(clientAuth)), all},
		"purpose named twice":   {asks(extKeyUsages(clientAuth, clientAuth)), []certmanagerv1.KeyUsage{clients}},
		"not a CA":              {asks(extension(oidBasicConstraints, []byte{0x30, 0})), all},
		"ignored extensions": {asks(
			extension("2.5.29.14", der([]byte{1})), extension("1.3.6.1.4.1.311.20.2", der("x")),
			extension("1.3.6.1.4.1.311.21.7", der("x")), extension("1.2.840.113549.1.9.15", der("x")),
		), all},
		"every type of name": {asks(sans(
			san(dnsName, "A.devices.example.com"), san(dnsName, "devices.example.com"), san(dnsName, "_tcp.x_1.devices.example.com"),
			san(rfc822Name, "a@EXAMPLE.com"), san(uniformID, "spiffe://example.com/a"), san(uniformID, "urn:uuid:1"),
			san(ipAddress, "\x0a\x01\x02\x03"), san(ipAddress, string(net.ParseIP("fd00::1"))), upn("a@corp.example.com"),
		)), all},
		"several organizations": {named(attr(cn, "d1"), attr("2.5.4.10", "A"), attr("2.5.4.10", "B"), attr("2.5.4.5", "1")), all},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := allowedWish()
			tc.change(w)
			grant, err := compile(t, template()).Judge(w.csr(t), Context{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(grant.Usages, tc.usages) || grant.Duration != time.Hour {
				t.Errorf("granted %v for %v, want %v for an hour", grant.Usages, grant.Duration, tc.usages)
			}
		})
	}
}

// What a challenge's service said is there for rules, of whatever JSON type it is.
func TestRulesAboutTheChallenge(t *testing.T) {
	t.Parallel()
	hook := Challenge{Name: "hook", Data: map[string]any{"cn": "d1", "level": 3.0, "tags": []any{"a"}, "owner": map[string]any{"name": "ada"}}}
	for expression, cases := range map[string]map[bool][]Challenge{
		"challenge.name == '' || challenge.data.cn == csr.subject.commonName": {true: {hook, {}}, false: {{Name: "hook"}, {Name: "hook", Data: map[string]any{"cn": 1.0}}}},
		"challenge.data.level >= 3":                                       {true: {hook}, false: {{}, {Data: map[string]any{"level": 2.0}}}},
		"'a' in challenge.data.tags":                                      {true: {hook}, false: {{}}},
		"has(challenge.data.owner) && challenge.data.owner.name == 'ada'": {true: {hook}, false: {{}}},
	} {
		spec := template()
		spec.Rules = []v1alpha1.Rule{{Expression: expression, Message: "no"}}
		p := compile(t, spec)
		for want, challenges := range cases {
			for _, by := range challenges {
				if _, err := p.Judge(allowedWish().csr(t), Context{Challenge: by}); (err == nil) != want {
					t.Errorf("%s with %+v: %v", expression, by, err)
				}
			}
		}
	}
}

// Who sent a request is there for rules.
func TestRulesAboutTheClient(t *testing.T) {
	t.Parallel()
	phone := Client{Address: "10.1.2.3", UserAgent: "CloudConfigServer/1.0", Family: "Apple", Path: "/scep/phones", TLS: true}
	for expression, want := range map[string]bool{
		"client.address.startsWith('10.')":                   true,
		"client.userAgent.contains('CloudConfig')":           true,
		"client.family in ['Apple', 'Windows']":              true,
		"client.path.endsWith('/phones') && client.tls":      true,
		"client.family == 'Cisco' || client.address == '::'": false,
	} {
		spec := template()
		spec.Rules = []v1alpha1.Rule{{Expression: expression, Message: "no"}}
		if _, err := compile(t, spec).Judge(allowedWish().csr(t), Context{Client: phone}); (err == nil) != want {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	p := compile(t, v1alpha1.CertificateTemplateSpec{Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageClientAuth}})
	w := allowedWish()
	grant, err := p.Judge(w.csr(t), Context{})
	if err != nil || grant.Duration != 365*24*time.Hour {
		t.Errorf("grant %+v (%v), want a year", grant, err)
	}
	for text, change := range map[string]func(*wish){
		"key RSA 1024 refused: allowed is RSA >= 2048, ECDSA P-256, ECDSA P-384":         withKey("RSA 1024"),
		"subject attribute organization refused: allowed is commonName":                  named(attr(cn, "d1"), attr("2.5.4.10", "A")),
		"alternative name of type DNS name refused: the template allows none":            asks(sans(san(dnsName, "d1.example.com"))),
		"alternative name of type IP address refused: the template allows none":          asks(sans(san(ipAddress, "\x0a\x01\x02\x03"))),
		"alternative name of type URI refused: the template allows none":                 asks(sans(san(uniformID, "urn:uuid:1"))),
		"alternative name of type user principal name refused: the template allows none": asks(sans(upn("a@b"))),
	} {
		w := allowedWish()
		change(w)
		_, err := p.Judge(w.csr(t), Context{})
		if got, ok := refusal.As(err); !ok || got.Text != text {
			t.Errorf("got %v, want %s", err, text)
		}
	}
}

// requestedTwice makes a CSR that different issuers would read differently.
func requestedTwice(t *testing.T, oid string) *x509.CertificateRequest {
	t.Helper()
	type attribute struct {
		ID     asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	request := func(oid string, e ...pkix.Extension) attribute {
		return attribute{parseOID(oid), []asn1.RawValue{{FullBytes: der(e)}}}
	}
	info := struct {
		Version    int
		Subject    asn1.RawValue
		Key        asn1.RawValue
		Attributes []attribute `asn1:"tag:0,set"`
	}{
		Subject: asn1.RawValue{FullBytes: der(pkix.Name{CommonName: "d1"}.ToRDNSequence())},
		Key:     asn1.RawValue{FullBytes: must(x509.MarshalPKIXPublicKey(keys()["P-256"].Public()))},
		Attributes: []attribute{
			request(oidExtensionRequest, keyUsage(0)),
			request(oid, extKeyUsages(smartCard)),
		},
	}
	csr := allowedWish().csr(t)
	csr.RawTBSCertificateRequest = der(info)
	csr.Extensions = []pkix.Extension{keyUsage(0)}
	return csr
}

func TestExtensionsRequestedTwice(t *testing.T) {
	t.Parallel()
	p := compile(t, template())
	for name, oid := range map[string]string{"twice": oidExtensionRequest, "Microsoft's way": oidMicrosoftExtensionRequest} {
		_, err := p.Judge(requestedTwice(t, oid), Context{})
		if !errors.Is(err, errTwice) && !errors.Is(err, errAttributes) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	w := allowedWish()
	w.subject = pkix.Name{CommonName: "d1", SerialNumber: "77", Organization: []string{"A", "B"}}
	w.extensions = []pkix.Extension{sans(
		san(dnsName, "a.devices.example.com"), san(rfc822Name, "a@example.com"), san(uniformID, "urn:uuid:1"),
		san(ipAddress, "\x0a\x01\x02\x03"), upn("a@corp.example.com"),
	)}
	csr := w.csr(t)
	for expression, want := range map[string]bool{
		"csr.subject.commonName == 'd1' && csr.subject.serialNumber == '77'": true,
		"csr.subject.organization == ['A', 'B']":                             true,
		"csr.subject.country.size() == 0 && csr.subject.userID == []":        true,
		"csr.dnsNames.all(n, n.endsWith('.devices.example.com'))":            true,
		"csr.emailAddresses[0].split('@')[1] == 'example.com'":               true,
		"csr.uris == ['urn:uuid:1'] && csr.ipAddresses == ['10.1.2.3']":      true,
		"csr.upns.exists(u, u.startsWith('a@'))":                             true,
		"csr.keyAlgorithm == 'RSA' && csr.keySize >= 2048":                   true,
		"csr.keyAlgorithm == 'ECDSA'":                                        false,
		"csr.dnsNames[1] == 'beyond the end'":                                false,
		"csr.subject.commonName.matches('^[a-z][0-9]$')":                     true,
	} {
		spec := template()
		spec.Rules = []v1alpha1.Rule{{Expression: expression, Message: "no"}}
		_, err := compile(t, spec).Judge(csr, Context{})
		if held := err == nil; held != want {
			t.Errorf("%s: held is %v (%v), want %v", expression, held, err, want)
		}
		if got, ok := refusal.As(err); err != nil && (!ok || got.Reason != refusal.RuleNotMet || got.Text != "no") {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestCompileSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*v1alpha1.CertificateTemplateSpec)
		want   string
	}{
		"syntax":         {rules("csr.("), "rules[0]: does not compile: ERROR: <input>:1:5: Syntax error"},
		"unknown field":  {rules("true", "csr.subject.colour == 'red'"), "rules[1]: does not compile: ERROR: <input>:1:12: undefined field 'colour'"},
		"unknown name":   {rules("device.id == 1"), "rules[0]: does not compile: ERROR: <input>:1:1: undeclared reference to 'device'"},
		"types":          {rules("csr.keySize == '2048'"), "rules[0]: does not compile: ERROR: <input>:1:13: found no matching overload"},
		"not a decision": {rules("csr.keySize"), "rules[0]: gives int, must give bool"},
		"cost":           {rules("true", "csr.dnsNames.all(a, csr.dnsNames.all(b, csr.dnsNames.all(c, a + b != c)))"), "rules[1]: may cost "},
		"range": {func(s *v1alpha1.CertificateTemplateSpec) {
			s.SANs.IP.AllowedCIDRs = []string{"10.0.0.0"}
		}, "sans.ip.allowedCIDRs: netip.ParsePrefix"},
		"usages": {func(s *v1alpha1.CertificateTemplateSpec) {
			s.Keys, s.Usages = []v1alpha1.KeyRequirement{{Algorithm: v1alpha1.ECDSAKey}}, []certmanagerv1.KeyUsage{certmanagerv1.UsageKeyEncipherment}
		}, "no accepted key can have any of the usages: ECDSA P-256, ECDSA P-384 with key encipherment"},
	} {
		spec := template()
		tc.change(&spec)
		_, err := Compile(spec)
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
	var ruleErr *RuleError
	spec := template()
	rules("1", "2")(&spec)
	if _, err := Compile(spec); !errors.As(err, &ruleErr) || ruleErr.Index != 0 {
		t.Errorf("error %v is no RuleError of the first rule", err)
	}
}

func rules(expressions ...string) func(*v1alpha1.CertificateTemplateSpec) {
	return func(s *v1alpha1.CertificateTemplateSpec) {
		s.Rules = nil
		for _, e := range expressions {
			s.Rules = append(s.Rules, v1alpha1.Rule{Expression: e, Message: "no"})
		}
	}
}

// issued makes a certificate as an issuer would for an allowed CSR; change makes another.
func issued(t *testing.T, csr *x509.CertificateRequest, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		Subject: csr.Subject, DNSNames: csr.DNSNames, PublicKey: csr.PublicKey,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(c)
	out, err := x509.CreateCertificate(rand.Reader, c, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}}, c.PublicKey, keys()["P-256"])
	if err != nil {
		t.Fatal(err)
	}
	return must(x509.ParseCertificate(out))
}

func TestCheckIssued(t *testing.T) {
	t.Parallel()
	w := allowedWish()
	w.extensions = []pkix.Extension{sans(san(dnsName, "a.devices.example.com"), san(dnsName, "b.devices.example.com"))}
	csr := w.csr(t)
	for name, tc := range map[string]struct {
		change func(*x509.Certificate)
		want   string
	}{
		"as requested":     {func(*x509.Certificate) {}, ""},
		"fewer names":      {func(c *x509.Certificate) { c.DNSNames = []string{"B.devices.example.com"} }, ""},
		"fewer usages":     {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, ""},
		"further names":    {func(c *x509.Certificate) { c.DNSNames = []string{"c.devices.example.com"} }, "further alternative names"},
		"further types":    {func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "urn", Opaque: "x"}} }, "further alternative names"},
		"another subject":  {func(c *x509.Certificate) { c.Subject.CommonName = "d2" }, "another subject"},
		"longer subject":   {func(c *x509.Certificate) { c.Subject.Country = []string{"CH"} }, "another subject"},
		"another key":      {func(c *x509.Certificate) { c.PublicKey = keys()["P-256"].Public() }, "another key"},
		"a CA":             {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, "a CA certificate"},
		"further bits":     {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }, "further usages"},
		"further purposes": {func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }, "further usages"},
		"unknown purposes": {func(c *x509.Certificate) { c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, parseOID(smartCard)) }, "further usages"},
	} {
		err := CheckIssued(issued(t, csr, tc.change), csr, []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageClientAuth}, nil)
		got, refused := refusal.As(err)
		if refused != (tc.want != "") || refused && (got.Reason != refusal.IssuedMismatch || !strings.HasSuffix(got.Text, ": "+tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func TestJudgeRenewalReadsNamesByValue(t *testing.T) {
	t.Parallel()
	p := compile(t, template())
	w := allowedWish()
	w.extensions = []pkix.Extension{sans(san(dnsName, "a.devices.example.com"), san(dnsName, "b.devices.example.com"))}
	csr := w.csr(t)
	reordered := issued(t, csr, func(c *x509.Certificate) {
		c.DNSNames = []string{"b.devices.example.com", "A.devices.example.com"}
		c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{attr(cn, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("d1")})}}
	})
	if err := p.JudgeRenewal(reordered, csr); err != nil {
		t.Error(err)
	}
	withoutClientAuth := template()
	withoutClientAuth.Usages = []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature}
	plain := issued(t, csr, func(c *x509.Certificate) { c.ExtKeyUsage = nil })
	if err := compile(t, withoutClientAuth).JudgeRenewal(plain, csr); err != nil {
		t.Errorf("a template without purposes wants one: %v", err)
	}
}

// FuzzExtensions feeds the readers of extensions: whatever comes is read or refused.
func FuzzExtensions(f *testing.F) {
	p := compile(f, template())
	for _, tc := range refused {
		w := allowedWish()
		tc.change(w)
		for _, e := range w.extensions {
			f.Add(e.Id.String(), e.Value)
		}
	}
	key := keys()["P-256"].Public()
	f.Fuzz(func(t *testing.T, oid string, value []byte) {
		c := &content{publicKey: key}
		read, ok := extensionReaders[oid]
		if !ok {
			return
		}
		if err := read(c, value); err != nil {
			if _, ok := refusal.As(err); !ok {
				t.Errorf("error %v is no refusal", err)
			}
			return
		}
		if err := p.sans.judge(c.sans); err != nil {
			return
		}
		for _, n := range c.sans {
			if n.value == "" || !printable(n.value) {
				t.Errorf("name %q of type %d is allowed", n.value, n.kind)
			}
		}
	})
}
