package scependpoint

import (
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/render"
)

// refersToCredential is about the servers' own credential, and those that they show to webhooks.
func refersToCredential(ep *v1alpha1.ScepEndpoint, o client.Object) bool {
	return render.CredentialName(ep) == o.GetName() || slices.ContainsFunc(ep.Spec.Challenges, func(c v1alpha1.Challenge) bool {
		return slices.Contains(render.ClientCredentials(c), o.GetName())
	})
}

func refersToTemplate(ep *v1alpha1.ScepEndpoint, o client.Object) bool {
	return slices.ContainsFunc(ep.Spec.Templates, func(t v1alpha1.EndpointTemplate) bool { return t.TemplateRef.Name == o.GetName() })
}

// refersToIssuer is about the issuer of the devices' certificates: that of the RA's
// is its RACredential's affair, and those of the TLS certificates cert-manager's.
func refersToIssuer(kind string) func(*v1alpha1.ScepEndpoint, client.Object) bool {
	return func(ep *v1alpha1.ScepEndpoint, o client.Object) bool {
		ref := issuer.Canonical(ep.Spec.Issuance.IssuerRef)
		return !issuer.IsForeign(ref) && ref.Kind == kind && ref.Name == o.GetName()
	}
}

// usesIngress is about any IngressClass: it may be the cluster's default.
func usesIngress(ep *v1alpha1.ScepEndpoint, _ client.Object) bool {
	return ep.Spec.Exposure.Ingress != nil
}
