package policy

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// keyRule accepts one family of public keys.
type keyRule struct {
	algorithm v1alpha1.KeyAlgorithm
	minSize   int              // RSA, bits
	curves    []v1alpha1.Curve // ECDSA
	usages    []certmanagerv1.KeyUsage
}

// publicKey describes a public key.
type publicKey struct {
	algorithm v1alpha1.KeyAlgorithm
	size      int            // bits
	curve     v1alpha1.Curve // ECDSA
	// usages that the template has for it.
	usages []certmanagerv1.KeyUsage
}

const (
	defaultMinSize = 2048
	// maxSize is the largest RSA key in bits: larger ones only cost time.
	maxSize = 8192
)

var (
	defaultCurves = []v1alpha1.Curve{v1alpha1.P256, v1alpha1.P384}
	defaultKeys   = []v1alpha1.KeyRequirement{{Algorithm: v1alpha1.RSAKey}, {Algorithm: v1alpha1.ECDSAKey}}
)

// compileKeys makes a rule of each entry; one without usages has those of the template.
func compileKeys(requirements []v1alpha1.KeyRequirement, usages []certmanagerv1.KeyUsage) []keyRule {
	if len(requirements) == 0 {
		requirements = defaultKeys
	}
	rules := make([]keyRule, 0, len(requirements))
	for _, r := range requirements {
		k := keyRule{algorithm: r.Algorithm, minSize: cmp.Or(int(r.MinSize), defaultMinSize), curves: r.Curves, usages: r.Usages}
		if len(k.curves) == 0 {
			k.curves = defaultCurves
		}
		if len(k.usages) == 0 {
			k.usages = usages
		}
		rules = append(rules, k)
	}
	return rules
}

// judgeKey finds a rule that accepts the key.
func (p *Policy) judgeKey(key any) (*publicKey, error) {
	described, name := describeKey(key)
	if described == nil || !p.assignUsages(described) {
		return nil, refusal.New(refusal.KeyNotAllowed, "key %s refused: allowed is %s", name, p.describeKeys())
	}
	return described, nil
}

// assignUsages looks up the first rule that accepts the key.
func (p *Policy) assignUsages(key *publicKey) bool {
	i := slices.IndexFunc(p.keys, key.meets)
	if i >= 0 {
		key.usages = p.keys[i].usages
	}
	return i >= 0
}

// usagesOf are the usages that the template has for a key, whether it accepts it or not.
func (p *Policy) usagesOf(key any) []certmanagerv1.KeyUsage {
	described, _ := describeKey(key)
	if described == nil || !p.assignUsages(described) {
		return p.spec.Usages
	}
	return described.usages
}

func describeKey(key any) (*publicKey, string) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		size := k.N.BitLen()
		return &publicKey{algorithm: v1alpha1.RSAKey, size: size}, fmt.Sprintf("RSA %d", size)
	case *ecdsa.PublicKey:
		curve := k.Params()
		return &publicKey{algorithm: v1alpha1.ECDSAKey, size: curve.BitSize, curve: v1alpha1.Curve(curve.Name)}, "ECDSA " + curve.Name
	default:
		return nil, "of another algorithm"
	}
}

func (k *publicKey) meets(r keyRule) bool {
	if k.algorithm != r.algorithm {
		return false
	}
	if k.algorithm == v1alpha1.RSAKey {
		return k.size >= r.minSize && k.size <= maxSize
	}
	return slices.Contains(r.curves, k.curve)
}

func (p *Policy) describeKeys() string {
	var parts []string
	for _, r := range p.keys {
		if r.algorithm == v1alpha1.RSAKey {
			parts = append(parts, fmt.Sprintf("RSA >= %d", r.minSize))
			continue
		}
		for _, c := range r.curves {
			parts = append(parts, "ECDSA "+string(c))
		}
	}
	return strings.Join(parts, ", ")
}
