package racredential

import (
	"cmp"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certmanagerac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/certmanager/v1"
	cmmetaac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// keptRequests is how many past CertificateRequests cert-manager keeps of a source.
const keptRequests = 2

// rolesOf lists the certificates that are issued for a credential.
func rolesOf(spec *v1alpha1.RACredentialSpec) []v1alpha1.CredentialRole {
	switch {
	case spec.IssuerRef == nil:
		return nil
	case spec.Purpose == v1alpha1.PurposePolicyModule:
		return []v1alpha1.CredentialRole{v1alpha1.RoleClient}
	case spec.Layout == v1alpha1.LayoutCombined:
		return []v1alpha1.CredentialRole{v1alpha1.RoleCombined}
	}
	return []v1alpha1.CredentialRole{v1alpha1.RoleSigning, v1alpha1.RoleEncryption}
}

// sourceName names the Certificate, and its Secret, of a role.
func sourceName(credential string, role v1alpha1.CredentialRole) string {
	return credential + "-" + strings.ToLower(string(role))
}

// labelsOf are the labels of a credential's children.
func labelsOf(rc *v1alpha1.RACredential) map[string]string {
	return map[string]string{
		render.LabelName:           "scepter-ra",
		render.LabelInstance:       rc.Name,
		render.LabelComponent:      "racredential",
		render.LabelManagedBy:      render.ManagedBy,
		v1alpha1.LabelRACredential: rc.Name,
	}
}

// sourceCertificate is what cert-manager is asked to issue and to renew for a role.
func sourceCertificate(rc *v1alpha1.RACredential, role v1alpha1.CredentialRole) *certmanagerac.CertificateApplyConfiguration {
	name := sourceName(rc.Name, role)
	ref := issuer.Canonical(*rc.Spec.IssuerRef)
	return certmanagerac.Certificate(name, rc.Namespace).
		WithLabels(labelsOf(rc)).
		WithSpec(certmanagerac.CertificateSpec().
			WithSecretName(name).
			WithSecretTemplate(certmanagerac.CertificateSecretTemplate().
				WithLabels(map[string]string{v1alpha1.LabelRACredential: rc.Name})).
			WithCommonName(cmp.Or(rc.Spec.CommonName, defaultCommonName(rc.Name, role))).
			WithIssuerRef(cmmetaac.IssuerReference().WithGroup(ref.Group).WithKind(ref.Kind).WithName(ref.Name)).
			WithUsages(pkifacts.UsagesFor(role)...).
			WithIsCA(false).
			WithDuration(rc.Spec.Duration).
			WithRenewBefore(renewBefore(rc)).
			WithPrivateKey(certmanagerac.CertificatePrivateKey().
				WithAlgorithm(certmanagerv1.PrivateKeyAlgorithm(rc.Spec.Key.Algorithm)).
				WithSize(int(rc.Spec.Key.Size)).
				WithRotationPolicy(certmanagerv1.RotationPolicyAlways)).
			WithRevisionHistoryLimit(keptRequests))
}

// renewBefore spreads the renewals of credentials that were made together.
func renewBefore(rc *v1alpha1.RACredential) metav1.Duration {
	early := rotation.Spread(string(rc.UID), rc.Spec.Duration.Duration, rc.Spec.RenewBefore.Duration)
	return metav1.Duration{Duration: rc.Spec.RenewBefore.Duration + early}
}

// commonNames end the default common names: with the 40 characters that a
// credential's name may have they stay within the 64 of X.520.
var commonNames = map[v1alpha1.CredentialRole]string{
	v1alpha1.RoleSigning:    " RA signing",
	v1alpha1.RoleEncryption: " RA encryption",
	v1alpha1.RoleCombined:   " RA",
	v1alpha1.RoleClient:     " policy client",
}

func defaultCommonName(credential string, role v1alpha1.CredentialRole) string {
	return credential + commonNames[role]
}
