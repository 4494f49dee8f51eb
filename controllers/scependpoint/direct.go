package scependpoint

import (
	"fmt"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
)

// caSecret is the Secret with the key that the signers sign with: that of an Issuer
// of type CA in the endpoint's namespace. It is empty while that is not known.
func caSecret(ep *v1alpha1.ScepEndpoint, i issuer.Fact) string {
	if i.Issuer == nil || !isNamespacedIssuer(ep) || i.Issuer.GetSpec().CA == nil {
		return ""
	}
	return i.Issuer.GetSpec().CA.SecretName
}

func isNamespacedIssuer(ep *v1alpha1.ScepEndpoint) bool {
	ref := issuer.Canonical(ep.Spec.Issuance.IssuerRef)
	return !issuer.IsForeign(ref) && ref.Kind == certmanagerv1.IssuerKind
}

// directProblem says why signers cannot issue in the name of the issuer. An issuer
// that is not there, or could not be read, is told of by the condition IssuerReady.
func directProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	unknown := isNamespacedIssuer(ep) && seen.issuer.Issuer == nil
	if !render.IsDirect(ep) || unknown || caSecret(ep, seen.issuer) != "" {
		return metav1.Condition{}, false
	}
	return conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonModeCannot, fmt.Sprintf(
		"mode Direct signs with a CA's own key, which %s does not have: name an Issuer of cert-manager of type CA in namespace %s, or set issuance.mode to CertificateRequest",
		issuer.Name(ep.Spec.Issuance.IssuerRef), ep.Namespace)), true
}

// effective is the endpoint as it can be brought about: where signers cannot issue, or
// a template wants what the mode cannot do, the mode stays what the servers have been
// told last.
func effective(ep *v1alpha1.ScepEndpoint, seen *observation) *v1alpha1.ScepEndpoint {
	_, noKey := directProblem(ep, seen)
	_, unfit := modeProblem(ep, seen)
	if !noKey && !unfit {
		return ep
	}
	ep = ep.DeepCopy()
	ep.Spec.Issuance.Mode = v1alpha1.IssuanceCertificateRequest
	if seen.config.value != nil {
		ep.Spec.Issuance.Mode = seen.config.value.Issuance.Mode
	}
	return ep
}
