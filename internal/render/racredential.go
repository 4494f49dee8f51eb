package render

import (
	"github.com/scepter-pki/scepter/api/v1alpha1"
	scepterac "github.com/scepter-pki/scepter/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// RACredential is made for an endpoint that refers to none: from the issuer of
// the devices' certificates, with the defaults of its kind.
func RACredential(ep *v1alpha1.ScepEndpoint) *scepterac.RACredentialApplyConfiguration {
	issuer := ep.Spec.Issuance.IssuerRef
	return scepterac.RACredential(CredentialName(ep), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithSpec(scepterac.RACredentialSpec().
			WithPurpose(v1alpha1.PurposeRA).
			WithIssuerRef(scepterac.IssuerReference().
				WithGroup(issuer.Group).
				WithKind(issuer.Kind).
				WithName(issuer.Name)))
}
