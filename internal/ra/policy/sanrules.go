package policy

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// sanRules say for each type which names are allowed; a type without a rule is refused.
type sanRules map[nameType]sanRule

// sanRule judges a name of its type.
type sanRule func(generalName) error

// compileSANs reads the policy; an unreadable range, pattern or object identifier is an error.
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
		rules.addURIs(s.URI.AllowedPrefixes)
	}
	if s.UPN != nil {
		rules[upnName] = anyOf(s.UPN.AllowedSuffixes, allowsDomain)
	}
	return rules, errors.Join(rules.addIPs(s.IP), rules.addRegisteredIDs(s.RegisteredID),
		rules.addOtherNames(s.OtherNames), rules.addDirectoryNames(s.DirectoryName))
}

// addURIs allows SIDs only by prefixes that spell them out.
func (r sanRules) addURIs(prefixes []string) {
	r[uniformID] = anyOf(prefixes, allowsURI)
	if sids := slices.DeleteFunc(slices.Clone(prefixes), func(p string) bool { return !isSID(p) }); len(sids) > 0 {
		r[sidURI] = anyOf(sids, allowsURI)
	}
}

func (r sanRules) addIPs(p *v1alpha1.IPPolicy) error {
	if p == nil {
		return nil
	}
	r[ipAddress] = anyOf(p.AllowedCIDRs, allowsIP)
	return checkCIDRs(p.AllowedCIDRs)
}

func (r sanRules) addRegisteredIDs(p *v1alpha1.RegisteredIDPolicy) error {
	if p == nil {
		return nil
	}
	r[registeredID] = anyOf(p.AllowedOIDs, allowsOID)
	for _, oid := range p.AllowedOIDs {
		if _, err := parseObjectIdentifier(oid); err != nil {
			return &ValueError{Field: "sans.registeredID.allowedOIDs", Err: err}
		}
	}
	return nil
}

// anyOf makes a rule of a list and a way to compare a name with one of its entries.
func anyOf(list []string, allows func(name, entry string) bool) sanRule {
	return func(n generalName) error {
		if slices.ContainsFunc(list, func(entry string) bool { return allows(n.value, entry) }) {
			return nil
		}
		return refuseName(n, strings.Join(list, ", "))
	}
}

func refuseName(n generalName, allowed string) error {
	kind := nameTypeNames[n.kind]
	if n.oid != "" {
		kind += " " + n.oid
	}
	return refusal.New(refusal.SANNotAllowed, "%s %s refused: allowed is %s", kind, refusal.Quote(n.value), allowed)
}

func (r sanRules) judge(sans []generalName) error {
	for _, n := range sans {
		rule, ok := r[n.kind]
		if !ok {
			return refusal.New(refusal.SANNotAllowed, "alternative name of type %s refused: the template allows none", nameTypeNames[n.kind])
		}
		if err := rule(n); err != nil {
			return err
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
			return &ValueError{Field: "sans.ip.allowedCIDRs", Err: err}
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

// allowsOID allows an object identifier and all below it.
func allowsOID(oid, root string) bool { return oid == root || strings.HasPrefix(oid, root+".") }
