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
	// AlternativeNames holds "dns:…", "email:…", "uri:…", "ip:…" and "upn:…".
	AlternativeNames []string
}

// nameForms are the types of alternative names that a person can write, in the order of messages.
var nameForms = []struct {
	prefix string
	kind   nameType
}{
	{"dns", dnsName}, {"email", rfc822Name}, {"uri", uniformID}, {"ip", ipAddress}, {"upn", upnName},
}

// RequestNames reads what a CSR names. Names that no template can allow are kept
// in a form that nobody can ask for.
func RequestNames(csr *x509.CertificateRequest) (*Names, error) {
	c, err := readRequest(csr)
	if err != nil {
		return nil, err
	}
	n := &Names{}
	for _, a := range c.subject {
		name := a.oid
		if known, ok := subjectOIDs[a.oid]; ok {
			name = string(known)
		}
		n.Subject = append(n.Subject, name+"="+a.value)
	}
	for _, s := range c.sans {
		n.AlternativeNames = append(n.AlternativeNames, canonicalName(s))
	}
	n.sort()
	return n, nil
}

func canonicalName(n generalName) string {
	for _, form := range nameForms {
		if form.kind != n.kind {
			continue
		}
		if n.kind == dnsName {
			return form.prefix + ":" + strings.ToLower(n.value)
		}
		return form.prefix + ":" + n.value
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

var errName = errors.New("it must be of the form dns:…, email:…, uri:…, ip:… or upn:…")

func parseName(s string) (generalName, error) {
	prefix, value, _ := strings.Cut(s, ":")
	for _, form := range nameForms {
		if form.prefix != prefix {
			continue
		}
		if !printable(value) {
			break
		}
		if form.kind != ipAddress {
			return generalName{form.kind, value}, nil
		}
		addr, err := netip.ParseAddr(value)
		if err != nil {
			return generalName{}, fmt.Errorf("alternative name %q: %w", s, err)
		}
		return generalName{ipAddress, addr.Unmap().String()}, nil
	}
	return generalName{}, fmt.Errorf("alternative name %q: %w", s, errName)
}
