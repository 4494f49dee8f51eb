package pkifacts

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// keyUsages are the bits of RFC 5280, section 4.2.1.3, in cert-manager's words.
var keyUsages = []struct {
	bit  x509.KeyUsage
	name string
}{
	{x509.KeyUsageDigitalSignature, string(certmanagerv1.UsageDigitalSignature)},
	{x509.KeyUsageContentCommitment, string(certmanagerv1.UsageContentCommitment)},
	{x509.KeyUsageKeyEncipherment, string(certmanagerv1.UsageKeyEncipherment)},
	{x509.KeyUsageDataEncipherment, string(certmanagerv1.UsageDataEncipherment)},
	{x509.KeyUsageKeyAgreement, string(certmanagerv1.UsageKeyAgreement)},
	{x509.KeyUsageCertSign, string(certmanagerv1.UsageCertSign)},
	{x509.KeyUsageCRLSign, string(certmanagerv1.UsageCRLSign)},
	{x509.KeyUsageEncipherOnly, string(certmanagerv1.UsageEncipherOnly)},
	{x509.KeyUsageDecipherOnly, string(certmanagerv1.UsageDecipherOnly)},
}

var extendedNames = map[x509.ExtKeyUsage]certmanagerv1.KeyUsage{
	x509.ExtKeyUsageAny:             certmanagerv1.UsageAny,
	x509.ExtKeyUsageServerAuth:      certmanagerv1.UsageServerAuth,
	x509.ExtKeyUsageClientAuth:      certmanagerv1.UsageClientAuth,
	x509.ExtKeyUsageCodeSigning:     certmanagerv1.UsageCodeSigning,
	x509.ExtKeyUsageEmailProtection: certmanagerv1.UsageEmailProtection,
	x509.ExtKeyUsageTimeStamping:    certmanagerv1.UsageTimestamping,
	x509.ExtKeyUsageOCSPSigning:     certmanagerv1.UsageOCSPSigning,
}

func extendedName(usage x509.ExtKeyUsage) string {
	if name, ok := extendedNames[usage]; ok {
		return string(name)
	}
	return fmt.Sprintf("extended key usage %d", usage)
}

// demand is what a role asks of a certificate's usages.
type demand struct {
	must, mustNot x509.KeyUsage
	extended      []x509.ExtKeyUsage
	usages        []certmanagerv1.KeyUsage
	// authority is true for what a registration authority shows: extended key usages
	// that are named at all must be such that it may (RFC 5280, section 4.2.1.12).
	authority bool
}

// authorityPurposes are the purposes of a registration authority: id-kp-cmcRA (RFC
// 6402), and the Certificate Request Agent that NDES has.
var authorityPurposes = []string{"1.3.6.1.5.5.7.3.28", "1.3.6.1.4.1.311.20.2.1"}

// demands says what each role asks. Devices tell the certificates of a pair apart
// by their key usage alone, so neither may have the other's.
var demands = map[v1alpha1.CredentialRole]demand{
	v1alpha1.RoleSigning: {
		must: x509.KeyUsageDigitalSignature, mustNot: x509.KeyUsageKeyEncipherment,
		usages:    []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature},
		authority: true,
	},
	v1alpha1.RoleEncryption: {
		must: x509.KeyUsageKeyEncipherment, mustNot: x509.KeyUsageDigitalSignature,
		usages:    []certmanagerv1.KeyUsage{certmanagerv1.UsageKeyEncipherment},
		authority: true,
	},
	v1alpha1.RoleCombined: {
		must:      x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		usages:    []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageKeyEncipherment},
		authority: true,
	},
	v1alpha1.RoleClient: {
		must:     x509.KeyUsageDigitalSignature,
		extended: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		usages:   []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageClientAuth},
	},
}

// UsagesFor lists the usages to ask an issuer for, for a role.
func UsagesFor(role v1alpha1.CredentialRole) []certmanagerv1.KeyUsage {
	return slices.Clone(demands[role].usages)
}

// CheckUsages says whether a certificate's usages are exactly what a role needs: a
// signing certificate signs and does not encrypt, an encryption certificate the
// reverse, a combined one does both, a client certificate is for client
// authentication (RFC 5280, sections 4.2.1.3 and 4.2.1.12; RFC 8894, section 2.1.2).
// Of the extended key usages an RA's certificate has none, or one that is for RAs.
func CheckUsages(c *x509.Certificate, role v1alpha1.CredentialRole) error {
	want, ok := demands[role]
	if !ok {
		return fmt.Errorf("role %q is not known", role)
	}
	if c.KeyUsage&want.must != want.must || c.KeyUsage&want.mustNot != 0 || !hasAll(c.ExtKeyUsage, want.extended) {
		return fmt.Errorf("its usages are %s, and role %s needs exactly %s", describeUsages(c), role, join(want.usages))
	}
	if want.authority && !mayBeAuthority(c) {
		return fmt.Errorf("its usages are %s, and an extended key usage that is not for registration authorities keeps role %s from using it: it needs exactly %s",
			describeUsages(c), role, join(want.usages))
	}
	return nil
}

func mayBeAuthority(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return true
	}
	return slices.ContainsFunc(c.UnknownExtKeyUsage, func(oid asn1.ObjectIdentifier) bool {
		return slices.Contains(authorityPurposes, oid.String())
	})
}

func hasAll(have, want []x509.ExtKeyUsage) bool {
	for _, usage := range want {
		if !slices.Contains(have, usage) {
			return false
		}
	}
	return true
}

func join(usages []certmanagerv1.KeyUsage) string {
	out := ""
	for i, usage := range usages {
		if i > 0 {
			out += ", "
		}
		out += string(usage)
	}
	return out
}
