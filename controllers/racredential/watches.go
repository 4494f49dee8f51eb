package racredential

import (
	"context"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
)

func credentialOfEndpoint(_ context.Context, obj client.Object) []ctrl.Request {
	return requestFor(obj.GetNamespace(), shown(obj).Name)
}

func requestFor(namespace, name string) []ctrl.Request {
	if name == "" {
		return nil
	}
	return []ctrl.Request{{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}}
}

// credentialsOfIssuer lists the credentials that name an Issuer or a ClusterIssuer.
func (r *Reconciler) credentialsOfIssuer(ctx context.Context, obj client.Object) []ctrl.Request {
	kind := certmanagerv1.IssuerKind
	if obj.GetNamespace() == "" {
		kind = certmanagerv1.ClusterIssuerKind
	}
	changed := issuer.Canonical(v1alpha1.IssuerReference{Kind: kind, Name: obj.GetName()})
	var credentials v1alpha1.RACredentialList
	if err := r.client.List(ctx, &credentials, client.InNamespace(obj.GetNamespace())); err != nil {
		log.FromContext(ctx).Error(err, "list RACredentials of an issuer", "issuer", issuer.Name(changed))
		return nil
	}
	var requests []ctrl.Request
	for i := range credentials.Items {
		rc := &credentials.Items[i]
		if issuer.Canonical(rc.Spec.IssuerRef) == changed {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(rc)})
		}
	}
	return requests
}

// shownGenerationChanged passes endpoints whose generation on show is another one.
func shownGenerationChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc:  func(e event.UpdateEvent) bool { return shown(e.ObjectOld) != shown(e.ObjectNew) },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// show is the generation that an endpoint shows, and of which credential.
type show struct{ Name, Generation string }

func shown(obj client.Object) show {
	ep, ok := obj.(*v1alpha1.ScepEndpoint)
	if !ok || ep.Status.RACredential == nil {
		return show{}
	}
	return show{Name: ep.Status.RACredential.Name, Generation: ep.Status.RACredential.ActiveGeneration}
}
