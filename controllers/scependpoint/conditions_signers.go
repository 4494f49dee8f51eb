package scependpoint

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
)

// signersAvailable says whether enough signers issue by the current configuration.
func signersAvailable(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan) metav1.Condition {
	const available = v1alpha1.ConditionServersAvailable
	s := &seen.signers
	wanted := render.Signers(ep)
	switch {
	case s.readErrors() != nil:
		return conditions.Unknown(available, v1alpha1.ReasonReadFailed, "the signers' objects could not be read; "+tryAgain)
	case caSecret(ep, seen.issuer) != "" && s.ca.absent():
		return conditions.False(available, v1alpha1.ReasonServersUnavailable, fmt.Sprintf(
			"the signers have no CA: Secret %s, which %s names, does not exist in namespace %s; restore it, or name another in the Issuer",
			caSecret(ep, seen.issuer), issuer.Name(ep.Spec.Issuance.IssuerRef), ep.Namespace))
	case s.deployment.value == nil:
		return conditions.False(available, v1alpha1.ReasonProgressing, "the signers start when Accepted and IssuerReady are True")
	}
	if c, bad := rolloutProblem(signerCrew, s.deployment.value, *s.replicas.value, wanted); bad {
		return c
	}
	loaded := configLoaded(signerCrew, *s.replicas.value, p, needed(wanted))
	if problem := crlProblem(*s.replicas.value); loaded.Status == metav1.ConditionTrue && problem != "" {
		return conditions.True(available, v1alpha1.ReasonNoRevocationList, "certificates are issued, but revoked ones cannot be published: "+problem)
	}
	return loaded
}

// crlProblem is why the signers cannot make a CRL; empty if they can.
func crlProblem(replicas []replica) string {
	for _, r := range replicas {
		if r.signer != nil && r.signer.CRLProblem != "" {
			return r.signer.CRLProblem
		}
	}
	return ""
}
