package policy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Names are a subject and alternative names in a canonical form, which is compared
// byte by byte: each list is sorted.
type Names struct {
	// Subject holds "<attribute>=<value>", with the attributes of v1alpha1.
	Subject []string
	// AlternativeNames holds "dns:…", "email:…", "uri:…", "ip:…", "upn:…", "rid:<object
	// identifier>", "dn:<attribute>=<value>,…" and "other:<object identifier>;<value>".
	AlternativeNames []string
}

// nameForms are the types of alternative names that a person can write, in the order of messages.
var nameForms = []struct {
	prefix string
	kind   nameType
}{
	{"dns", dnsName},
	{"email", rfc822Name},
	{"uri", uniformID},
	{"ip", ipAddress},
	{"upn", upnName},
	{"rid", registeredID},
	{"dn", directoryName},
	{"other", otherName},
	{"uri", sidURI},
}

// RequestNames reads what a CSR names. Names that no template can allow are kept
// in a form that nobody can ask for.
func RequestNames(csr *x509.CertificateRequest) (*Names, error) {
	c, err := readRequest(csr)
	if err != nil {
		return nil, err
	}
	return c.allNames(), nil
}

// CertificateNames reads what a certificate names, in the same form.
func CertificateNames(certificate *x509.Certificate) (*Names, error) {
	c, err := readCertificate(certificate)
	if err != nil {
		return nil, err
	}
	return c.allNames(), nil
}

func (c *content) allNames() *Names {
	n := &Names{}
	for _, a := range c.subject {
		n.Subject = append(n.Subject, attributeName(a.oid)+"="+a.value)
	}
	for _, s := range c.sans {
		n.AlternativeNames = append(n.AlternativeNames, canonicalName(s))
	}
	n.sort()
	return n
}

func canonicalName(n generalName) string {
	for _, form := range nameForms {
		if form.kind != n.kind {
			continue
		}
		switch n.kind {
		case dnsName:
			return form.prefix + ":" + strings.ToLower(n.value)
		case otherName:
			return form.prefix + ":" + n.oid + ";" + n.value
		default:
			return form.prefix + ":" + n.value
		}
	}
	return strconv.Itoa(int(n.kind)) + ":" + n.value
}

func (n *Names) sort() {
	slices.Sort(n.Subject)
	slices.Sort(n.AlternativeNames)
}

// Equal says whether two hold the same names.
func (n *Names) Equal(other *Names) bool {
	return slices.Equal(n.Subject, other.Subject) && slices.Equal(n.AlternativeNames, other.AlternativeNames)
}

// ParseNames reads names as a person writes them, into the canonical form.
func ParseNames(subject, alternativeNames []string) (*Names, error) {
	n := &Names{}
	for _, s := range subject {
		if err := checkAttribute(s); err != nil {
			return nil, err
		}
		n.Subject = append(n.Subject, s)
	}
	for _, s := range alternativeNames {
		name, err := parseName(s)
		if err != nil {
			return nil, err
		}
		n.AlternativeNames = append(n.AlternativeNames, canonicalName(name))
	}
	n.sort()
	return n, nil
}

// ParseName reads one name as a person writes it, of a subject or an alternative
// one, into the canonical form.
func ParseName(s string) (string, error) {
	if checkAttribute(s) == nil {
		return s, nil
	}
	name, err := parseName(s)
	if err != nil {
		return "", err
	}
	return canonicalName(name), nil
}

// All are the names of both kinds.
func (n *Names) All() []string { return slices.Concat(n.Subject, n.AlternativeNames) }

func checkAttribute(s string) error {
	name, value, found := strings.Cut(s, "=")
	if !found || !printable(value) {
		return fmt.Errorf("subject %q is not of the form attribute=value", s)
	}
	for _, known := range subjectOIDs {
		if known == v1alpha1.SubjectAttribute(name) {
			return nil
		}
	}
	return fmt.Errorf("subject attribute %q is not known; commonName is one", name)
}

var errName = errors.New("it must be of the form dns:…, email:…, uri:…, ip:…, upn:…, rid:…, dn:…=… or other:…;…")

func parseName(s string) (generalName, error) {
	prefix, value, _ := strings.Cut(s, ":")
	for _, form := range nameForms {
		if form.prefix != prefix || !printable(value) {
			continue
		}
		n, err := readName(form.kind, value)
		if err != nil {
			return generalName{}, fmt.Errorf("alternative name %q: %w", s, err)
		}
		return n, nil
	}
	return generalName{}, fmt.Errorf("alternative name %q: %w", s, errName)
}

// readName brings a name into the form in which readGeneralName leaves it.
func readName(kind nameType, value string) (generalName, error) {
	switch kind {
	case ipAddress:
		addr, err := netip.ParseAddr(value)
		return generalName{kind: kind, value: addr.Unmap().String()}, err //nolint:wrapcheck // the caller names the value
	case uniformID:
		return newURI(value), nil
	case directoryName:
		attributes, err := parseDirectoryName(value)
		return generalName{kind: kind, value: formatDirectoryName(attributes)}, err
	case registeredID:
		_, err := parseObjectIdentifier(value)
		return generalName{kind: kind, value: value}, err
	case otherName:
		oid, text, found := strings.Cut(value, ";")
		if !found {
			return generalName{}, errName
		}
		_, err := parseObjectIdentifier(oid)
		return generalName{kind: kind, oid: oid, value: text}, err
	default:
		return generalName{kind: kind, value: value}, nil
	}
}
