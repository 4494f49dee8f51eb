package policy

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"unicode"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// content is what a request asks for, or what a certificate has.
type content struct {
	publicKey any
	// digest of a request's signature; "" for one that no template can allow.
	digest  v1alpha1.SignatureDigest
	subject []attribute
	sans    []generalName
	isCA    bool
	// sid is true where the extension for a Microsoft SID is there, sidDropped where
	// alternative names with one were left out.
	sid, sidDropped bool
	// keyUsages and extKeyUsages are nil where the extension is absent.
	keyUsages    []certmanagerv1.KeyUsage
	extKeyUsages []extKeyUsage
}

// attribute is a subject attribute; its value is a string without control characters.
type attribute struct {
	oid   string
	value string
}

// The extensions that a template has a say in (RFC 5280, section 4.2.1).
const (
	oidKeyUsage         = "2.5.29.15"
	oidSubjectAltName   = "2.5.29.17"
	oidBasicConstraints = "2.5.29.19"
	oidExtKeyUsage      = "2.5.29.37"
)

// extensionReaders read the extensions that are judged.
var extensionReaders = map[string]func(*content, []byte) error{
	oidKeyUsage:         (*content).readKeyUsage,
	oidSubjectAltName:   (*content).readSANs,
	oidBasicConstraints: (*content).readBasicConstraints,
	oidExtKeyUsage:      (*content).readExtKeyUsage,
	oidMicrosoftSID:     (*content).noteSID,
}

// ignoredExtensions may be asked for and change nothing: issuers set them by
// themselves or drop them.
var ignoredExtensions = map[string]string{
	"2.5.29.14":             "subject key identifier",
	"1.3.6.1.4.1.311.20.2":  "Microsoft certificate template name",
	"1.3.6.1.4.1.311.21.7":  "Microsoft certificate template information",
	"1.2.840.113549.1.9.15": "S/MIME capabilities",
}

// refusedExtensions are named to the device; any other is shown by its OID.
var refusedExtensions = map[string]string{
	oidMicrosoftSID:         "Microsoft SID",
	"1.3.6.1.4.1.311.21.10": "Microsoft application policies",
	"2.5.29.30":             "name constraints",
	"2.5.29.32":             "certificate policies",
	"2.5.29.35":             "authority key identifier",
}

// readRequest reads a CSR. Its error is a *refusal.Error.
func readRequest(csr *x509.CertificateRequest) (*content, error) {
	err := checkAttributes(csr)
	if err != nil {
		return nil, malformed("attributes").Because(err)
	}
	c := &content{publicKey: csr.PublicKey, digest: signatureDigests[csr.SignatureAlgorithm]}
	if c.subject, err = readAttributes(csr.Subject); err != nil {
		return nil, malformed("subject").Because(err)
	}
	for _, e := range csr.Extensions {
		if err := c.readRequested(e); err != nil {
			return nil, err
		}
	}
	if c.isCA {
		return nil, refusal.New(refusal.CANotAllowed, "request refused: it asks for a CA certificate")
	}
	return c, nil
}

func (c *content) readRequested(e pkix.Extension) error {
	oid := e.Id.String()
	if read, ok := extensionReaders[oid]; ok {
		return read(c, e.Value)
	}
	if _, ok := ignoredExtensions[oid]; ok {
		return nil
	}
	return refuseExtension(oid)
}

func (c *content) noteSID([]byte) error {
	c.sid = true
	return nil
}

// readCertificate reads what a template has a say in; other extensions are the issuer's.
func readCertificate(cert *x509.Certificate) (*content, error) {
	subject, err := readAttributes(cert.Subject)
	if err != nil {
		return nil, malformed("subject").Because(err)
	}
	c := &content{publicKey: cert.PublicKey, subject: subject}
	for _, e := range cert.Extensions {
		read, ok := extensionReaders[e.Id.String()]
		if !ok {
			continue
		}
		if err := read(c, e.Value); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func malformed(part string) *refusal.Error {
	return refusal.New(refusal.Malformed, "request refused: its %s cannot be read", part)
}

var errAttribute = errors.New("an attribute's value is no printable string")

// readAttributes reads a distinguished name.
func readAttributes(name pkix.Name) ([]attribute, error) {
	var out []attribute
	for _, n := range name.Names {
		value, ok := n.Value.(string)
		if !ok || !printable(value) {
			return nil, errAttribute
		}
		out = append(out, attribute{oid: n.Type.String(), value: value})
	}
	return out, nil
}

// printable says whether a name holds something, and nothing that hides or ends
// it where it is shown.
func printable(s string) bool {
	return strings.TrimSpace(s) != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r == unicode.ReplacementChar || unicode.Is(unicode.C, r)
	})
}

func (c *content) readBasicConstraints(der []byte) error {
	in := cryptobyte.String(der)
	var body cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !in.Empty() {
		return malformed("basic constraints")
	}
	if body.PeekASN1Tag(cbasn1.BOOLEAN) && !body.ReadASN1Boolean(&c.isCA) {
		return malformed("basic constraints")
	}
	if !body.Empty() && !c.isCA {
		return malformed("basic constraints")
	}
	return nil
}

// The attributes by which a CSR carries extensions (RFC 2985, section 5.4.2).
const (
	oidExtensionRequest          = "1.2.840.113549.1.9.14"
	oidMicrosoftExtensionRequest = "1.3.6.1.4.1.311.2.1.14"
)

var (
	errAttributes = errors.New("malformed CSR attributes")
	errTwice      = errors.New("extensions are requested more than once")
)

// checkAttributes makes sure that what is judged is all that any issuer could
// read: one extensionRequest with one value. Go's own parser skips what it does
// not understand, another's may not.
func checkAttributes(csr *x509.CertificateRequest) error {
	attributes, err := csrAttributes(csr.RawTBSCertificateRequest)
	if err != nil {
		return err
	}
	requests := 0
	for _, a := range attributes {
		if a.oid == oidMicrosoftExtensionRequest {
			return errTwice
		}
		if a.oid != oidExtensionRequest {
			continue
		}
		requests++
		if err := checkExtensionRequest(a.values, csr.Extensions); err != nil {
			return err
		}
	}
	if requests > 1 || requests == 0 && len(csr.Extensions) > 0 {
		return errTwice
	}
	return nil
}

type csrAttribute struct {
	oid    string
	values cryptobyte.String
}

var contextZero = cbasn1.Tag(0).ContextSpecific().Constructed()

// csrAttributes lists the attributes of a CertificationRequestInfo (RFC 2986, section 4.1).
func csrAttributes(tbs cryptobyte.String) ([]csrAttribute, error) {
	var body, set cryptobyte.String
	if !tbs.ReadASN1(&body, cbasn1.SEQUENCE) || !body.SkipASN1(cbasn1.INTEGER) ||
		!body.SkipASN1(cbasn1.SEQUENCE) || !body.SkipASN1(cbasn1.SEQUENCE) ||
		!body.ReadOptionalASN1(&set, nil, contextZero) || !body.Empty() {
		return nil, errAttributes
	}
	var out []csrAttribute
	for !set.Empty() {
		var one, values cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !set.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&oid) ||
			!one.ReadASN1(&values, cbasn1.SET) || !one.Empty() {
			return nil, errAttributes
		}
		out = append(out, csrAttribute{oid: oid.String(), values: values})
	}
	return out, nil
}

// checkExtensionRequest compares the one value of an extensionRequest with what was read from it.
func checkExtensionRequest(values cryptobyte.String, read []pkix.Extension) error {
	var list cryptobyte.String
	if !values.ReadASN1(&list, cbasn1.SEQUENCE) || !values.Empty() {
		return errTwice
	}
	var oids []string
	for !list.Empty() {
		var one cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !list.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&oid) {
			return errAttributes
		}
		oids = append(oids, oid.String())
	}
	same := slices.EqualFunc(oids, read, func(oid string, e pkix.Extension) bool { return oid == e.Id.String() })
	if !same {
		return errAttributes
	}
	return nil
}
