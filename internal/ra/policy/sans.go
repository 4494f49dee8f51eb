package policy

import (
	"encoding/asn1"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// nameType is the type of a GeneralName; otherNames that are no UPN have their own.
type nameType int

// The types of RFC 5280, section 4.2.1.6, numbered by their tags.
const (
	otherName     nameType = 0
	rfc822Name    nameType = 1
	dnsName       nameType = 2
	x400Address   nameType = 3
	directoryName nameType = 4
	ediPartyName  nameType = 5
	uniformID     nameType = 6
	ipAddress     nameType = 7
	registeredID  nameType = 8
	// upnName is the otherName of a Microsoft user principal name.
	upnName nameType = 100
)

var nameTypeNames = map[nameType]string{
	otherName:     "otherName",
	rfc822Name:    "e-mail address",
	dnsName:       "DNS name",
	x400Address:   "x400Address",
	directoryName: "directoryName",
	ediPartyName:  "ediPartyName",
	uniformID:     "URI",
	ipAddress:     "IP address",
	registeredID:  "registeredID",
	upnName:       "user principal name",
}

// generalName is a subject alternative name; value is empty for types that no template can allow.
type generalName struct {
	kind  nameType
	value string
}

const upnOID = "1.3.6.1.4.1.311.20.2.3"

// generalNameTag is the identifier octet's class, without number and form.
const (
	tagClassMask    = 0xc0
	tagConstructed  = 0x20
	tagNumberMask   = 0x1f
	tagContextClass = 0x80
)

func (c *content) readSANs(der []byte) error {
	in := cryptobyte.String(der)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() || list.Empty() {
		return malformed("subject alternative names")
	}
	for !list.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1(&value, &tag) || tag&tagClassMask != tagContextClass {
			return malformed("subject alternative names")
		}
		name, ok := readGeneralName(nameType(tag&tagNumberMask), value)
		if !ok {
			return malformed("subject alternative names")
		}
		c.sans = append(c.sans, name)
	}
	return nil
}

// readGeneralName reads the types that a template can allow, and leaves the value of others.
func readGeneralName(kind nameType, value cryptobyte.String) (generalName, bool) {
	switch kind {
	case dnsName, rfc822Name, uniformID:
		return generalName{kind, string(value)}, printable(string(value)) && isASCII(string(value))
	case ipAddress:
		addr, ok := netip.AddrFromSlice(value)
		return generalName{kind, addr.Unmap().String()}, ok
	case otherName:
		return readOtherName(value)
	case x400Address, directoryName, ediPartyName, registeredID:
		return generalName{kind: kind}, true
	default:
		return generalName{}, false
	}
}

// readOtherName reads a user principal name; any other is left to be refused.
func readOtherName(in cryptobyte.String) (generalName, bool) {
	var oid asn1.ObjectIdentifier
	var explicit, value cryptobyte.String
	if !in.ReadASN1ObjectIdentifier(&oid) || !in.ReadASN1(&explicit, contextZero) || !in.Empty() {
		return generalName{}, false
	}
	if oid.String() != upnOID {
		return generalName{kind: otherName, value: oid.String()}, true
	}
	ok := explicit.ReadASN1(&value, cbasn1.UTF8String) && explicit.Empty()
	return generalName{upnName, string(value)}, ok && utf8.Valid(value) && printable(string(value))
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// sanRules says for each type which names are allowed; a type without a rule is refused.
type sanRules map[nameType]sanRule

type sanRule struct {
	allows  func(string) bool
	allowed string // for the device
}

// compileSANs reads the policy; an unreadable range is an error.
func compileSANs(s *v1alpha1.SANPolicy) (sanRules, error) {
	rules := sanRules{}
	if s == nil {
		return rules, nil
	}
	if s.DNS != nil {
		rules[dnsName] = anyOf(s.DNS.AllowedSuffixes, allowsDNS)
	}
	if s.Email != nil {
		rules[rfc822Name] = anyOf(s.Email.AllowedDomains, allowsEmail)
	}
	if s.URI != nil {
		rules[uniformID] = anyOf(s.URI.AllowedPrefixes, allowsURI)
	}
	if s.UPN != nil {
		rules[upnName] = anyOf(s.UPN.AllowedSuffixes, allowsDomain)
	}
	if s.IP != nil {
		if err := checkCIDRs(s.IP.AllowedCIDRs); err != nil {
			return nil, err
		}
		rules[ipAddress] = anyOf(s.IP.AllowedCIDRs, allowsIP)
	}
	return rules, nil
}

// anyOf makes a rule of a list and a way to compare a name with one of its entries.
func anyOf(list []string, allows func(name, entry string) bool) sanRule {
	return sanRule{
		allows: func(name string) bool {
			return slices.ContainsFunc(list, func(entry string) bool { return allows(name, entry) })
		},
		allowed: strings.Join(list, ", "),
	}
}

func (r sanRules) judge(sans []generalName) error {
	for _, n := range sans {
		rule, ok := r[n.kind]
		if !ok {
			return refusal.New(refusal.SANNotAllowed, "alternative name of type %s refused: the template allows none", nameTypeNames[n.kind])
		}
		if !rule.allows(n.value) {
			return refusal.New(refusal.SANNotAllowed, "%s %s refused: allowed is %s", nameTypeNames[n.kind], refusal.Quote(n.value), rule.allowed)
		}
	}
	return nil
}

// dnsSyntax is a host name without wildcard and final dot; devices do use underscores.
var dnsSyntax = regexp.MustCompile(`^[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?)*$`)

// Anything allows every name where it is a DNS suffix or an e-mail domain. The API
// does not let it in; it is for servers that are tried out.
const Anything = "*"

// maxDNSName is the longest host name in bytes (RFC 1035, section 2.3.4).
const maxDNSName = 253

func allowsDNS(name, suffix string) bool {
	name = strings.ToLower(name)
	if len(name) > maxDNSName || !dnsSyntax.MatchString(name) {
		return false
	}
	return suffix == Anything || name == suffix || strings.HasSuffix(name, "."+suffix)
}

// allowsEmail is allowsDomain, or any domain.
func allowsEmail(name, domain string) bool {
	if domain == Anything {
		_, domain, _ = strings.Cut(name, "@")
		return dnsSyntax.MatchString(strings.ToLower(domain)) && allowsDomain(name, domain)
	}
	return allowsDomain(name, domain)
}

// allowsDomain compares what follows the only "@".
func allowsDomain(name, domain string) bool {
	local, have, ok := strings.Cut(name, "@")
	return ok && local != "" && !strings.ContainsAny(local, " \t") && strings.EqualFold(have, domain)
}

// uriBoundaries end a part of a URI: a prefix ends at one, or the rest begins with one.
const uriBoundaries = "/?#:="

// allowsURI demands that the prefix ends where a part of the URI ends, so that
// https://example.com does not allow https://example.com.evil.org.
func allowsURI(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok || prefix == "" {
		return false
	}
	u, err := url.Parse(name)
	if err != nil || u.Scheme == "" || u.User != nil || hasDotSegment(u.Path) {
		return false
	}
	return rest == "" || strings.ContainsRune(uriBoundaries, rune(prefix[len(prefix)-1])) || strings.ContainsRune("/?#", rune(rest[0]))
}

func hasDotSegment(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." })
}

func checkCIDRs(cidrs []string) error {
	for _, c := range cidrs {
		if _, err := netip.ParsePrefix(c); err != nil {
			return fmt.Errorf("sans.ip.allowedCIDRs: %w", err)
		}
	}
	return nil
}

func allowsIP(name, cidr string) bool {
	addr, err := netip.ParseAddr(name)
	if err != nil {
		return false
	}
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Masked().Contains(addr)
}
