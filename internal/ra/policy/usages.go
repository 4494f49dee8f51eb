package policy

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// keyUsageNames are cert-manager's words for the bits of the key usage extension
// (RFC 5280, section 4.2.1.3), in their order.
var keyUsageNames = []certmanagerv1.KeyUsage{
	certmanagerv1.UsageDigitalSignature,
	certmanagerv1.UsageContentCommitment,
	certmanagerv1.UsageKeyEncipherment,
	certmanagerv1.UsageDataEncipherment,
	certmanagerv1.UsageKeyAgreement,
	certmanagerv1.UsageCertSign,
	certmanagerv1.UsageCRLSign,
	certmanagerv1.UsageEncipherOnly,
	certmanagerv1.UsageDecipherOnly,
}

// purpose is an extended key usage (RFC 5280, section 4.2.1.12) that a template can name.
type purpose struct {
	name certmanagerv1.KeyUsage
	x509 x509.ExtKeyUsage
}

// knownPurposes are those under cert-manager's words.
var knownPurposes = []purpose{
	{certmanagerv1.UsageServerAuth, x509.ExtKeyUsageServerAuth},
	{certmanagerv1.UsageClientAuth, x509.ExtKeyUsageClientAuth},
	{certmanagerv1.UsageCodeSigning, x509.ExtKeyUsageCodeSigning},
	{certmanagerv1.UsageEmailProtection, x509.ExtKeyUsageEmailProtection},
	{certmanagerv1.UsageIPsecEndSystem, x509.ExtKeyUsageIPSECEndSystem},
	{certmanagerv1.UsageIPsecTunnel, x509.ExtKeyUsageIPSECTunnel},
	{certmanagerv1.UsageIPsecUser, x509.ExtKeyUsageIPSECUser},
}

// X509Usages are usages as package crypto/x509 has them, in the order of the
// knownPurposes, whatever order they come in. Words that no template can use are
// left out.
func X509Usages(usages []certmanagerv1.KeyUsage) (x509.KeyUsage, []x509.ExtKeyUsage) {
	var bits x509.KeyUsage
	for i, name := range keyUsageNames {
		if slices.Contains(usages, name) {
			bits |= 1 << i
		}
	}
	var extended []x509.ExtKeyUsage
	for _, p := range knownPurposes {
		if slices.Contains(usages, p.name) {
			extended = append(extended, p.x509)
		}
	}
	return bits, extended
}

// extKeyUsage is a purpose; name is empty for one that no template can name.
type extKeyUsage struct {
	oid  string
	name certmanagerv1.KeyUsage
}

func (u extKeyUsage) String() string {
	if u.name == "" {
		return u.oid
	}
	return string(u.name)
}

func (c *content) readKeyUsage(der []byte) error {
	var bits asn1.BitString
	rest, err := asn1.Unmarshal(der, &bits)
	if err != nil || len(rest) > 0 || bits.BitLength > len(keyUsageNames) {
		return malformed("key usage").Because(err)
	}
	for i, name := range keyUsageNames {
		if bits.At(i) == 1 {
			c.keyUsages = append(c.keyUsages, name)
		}
	}
	if len(c.keyUsages) == 0 {
		return malformed("key usage")
	}
	return nil
}

func (c *content) readExtKeyUsage(der []byte) error {
	var oids []asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(der, &oids)
	if err != nil || len(rest) > 0 || len(oids) == 0 {
		return malformed("extended key usage").Because(err)
	}
	for _, oid := range oids {
		c.extKeyUsages = append(c.extKeyUsages, newExtKeyUsage(oid.String()))
	}
	return nil
}

func newExtKeyUsage(oid string) extKeyUsage {
	i := slices.IndexFunc(knownPurposes, func(p purpose) bool { return p.x509.OID().String() == oid })
	if i < 0 {
		return extKeyUsage{oid: oid}
	}
	return extKeyUsage{oid, knownPurposes[i].name}
}

// granted are the usages of a certificate: cert-manager's words, and object
// identifiers that have none.
type granted struct {
	usages   []certmanagerv1.KeyUsage
	purposes []asn1.ObjectIdentifier
}

// judgeUsages decides which usages a request gets.
func (p *Policy) judgeUsages(c *content, key *publicKey) (granted, error) {
	if err := p.allowUsages(c, key.usages); err != nil {
		return granted{}, err
	}
	for _, u := range c.usages() {
		if !fits(u, key.algorithm) {
			return granted{}, refusal.New(refusal.UsageUnfit, "usage %q refused: %s keys cannot have it", u, key.algorithm)
		}
	}
	if p.mode == v1alpha1.IssuanceDirect {
		return p.usagesByKind(c, key)
	}
	return p.usagesToMatch(c, key)
}

// usagesToMatch are for cert-manager, which wants both kinds to match a CSR that
// names either, and copies the object identifiers that it has no word for.
func (p *Policy) usagesToMatch(c *content, key *publicKey) (granted, error) {
	if named := c.usages(); len(named) > 0 {
		return granted{named, p.customPurposes(c)}, nil
	}
	if len(c.extKeyUsages) > 0 {
		return granted{}, refusal.New(refusal.UsageUnfit, "request refused: it names %s alone, and must name a key usage too", c.extKeyUsages[0])
	}
	all := fitting(key.usages, key.algorithm)
	if len(all) == 0 {
		return granted{}, refuseUnfit(key)
	}
	return granted{usages: all}, nil
}

// usagesByKind are for an issuer that leaves the choice to the template: a kind
// that the request does not name is the template's.
func (p *Policy) usagesByKind(c *content, key *publicKey) (granted, error) {
	out := granted{c.usages(), p.customPurposes(c)}
	all := fitting(key.usages, key.algorithm)
	if len(c.keyUsages) == 0 {
		out.usages = append(out.usages, bits(all)...)
	}
	if len(c.extKeyUsages) == 0 {
		out.usages = append(out.usages, purposes(all)...)
		out.purposes = p.purposes
	}
	if len(out.usages) == 0 && len(out.purposes) == 0 {
		return granted{}, refuseUnfit(key)
	}
	return out, nil
}

func refuseUnfit(key *publicKey) error {
	return refusal.New(refusal.UsageUnfit, "request refused: %s keys can have none of the usages %s", key.algorithm, joinUsages(key.usages))
}

// allowUsages refuses usages that the template does not name.
func (p *Policy) allowUsages(c *content, allowed []certmanagerv1.KeyUsage) error {
	for _, u := range c.keyUsages {
		if !slices.Contains(allowed, u) {
			return p.refuseUsage(string(u), allowed)
		}
	}
	for _, u := range c.extKeyUsages {
		if u.name == "" && p.allowsPurpose(u.oid) || u.name != "" && slices.Contains(allowed, u.name) {
			continue
		}
		return p.refuseUsage(u.String(), allowed)
	}
	return nil
}

func (p *Policy) refuseUsage(usage string, allowed []certmanagerv1.KeyUsage) error {
	list := words(allowed)
	for _, o := range p.purposes {
		list = append(list, o.String())
	}
	return refusal.New(refusal.UsageNotAllowed, "usage %q refused: allowed is %s", usage, strings.Join(list, ", "))
}

// usages lists what is named, without repetition.
func (c *content) usages() []certmanagerv1.KeyUsage {
	out := slices.Clone(c.keyUsages)
	for _, u := range c.extKeyUsages {
		if u.name != "" && !slices.Contains(out, u.name) {
			out = append(out, u.name)
		}
	}
	return out
}

// onlyRSA are usages that need encryption to the key, onlyEC those that need key agreement.
var (
	onlyRSA = []certmanagerv1.KeyUsage{certmanagerv1.UsageKeyEncipherment, certmanagerv1.UsageDataEncipherment}
	onlyEC  = []certmanagerv1.KeyUsage{certmanagerv1.UsageKeyAgreement}
)

func fits(u certmanagerv1.KeyUsage, algorithm v1alpha1.KeyAlgorithm) bool {
	if algorithm == v1alpha1.RSAKey {
		return !slices.Contains(onlyEC, u)
	}
	return !slices.Contains(onlyRSA, u)
}

// fitting are the usages that a key can have.
func fitting(usages []certmanagerv1.KeyUsage, algorithm v1alpha1.KeyAlgorithm) []certmanagerv1.KeyUsage {
	unfit := func(u certmanagerv1.KeyUsage) bool { return !fits(u, algorithm) }
	return slices.DeleteFunc(slices.Clone(usages), unfit)
}

// bits are the key usages among usages.
func bits(usages []certmanagerv1.KeyUsage) []certmanagerv1.KeyUsage {
	return slices.DeleteFunc(slices.Clone(usages), func(u certmanagerv1.KeyUsage) bool { return !slices.Contains(keyUsageNames, u) })
}

// purposes are the extended key usages among usages.
func purposes(usages []certmanagerv1.KeyUsage) []certmanagerv1.KeyUsage {
	return slices.DeleteFunc(slices.Clone(usages), func(u certmanagerv1.KeyUsage) bool { return slices.Contains(keyUsageNames, u) })
}

func joinUsages(usages []certmanagerv1.KeyUsage) string {
	return strings.Join(words(usages), ", ")
}
