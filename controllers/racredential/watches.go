package racredential

import (
	"context"
	"reflect"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
)

func credentialsOfEndpoint(_ context.Context, obj client.Object) []ctrl.Request {
	ep, ok := obj.(*v1alpha1.ScepEndpoint)
	if !ok {
		return nil
	}
	var requests []ctrl.Request
	for _, u := range usesOf(ep) {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: ep.Namespace, Name: u.credential}})
	}
	return requests
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
		if rc.Spec.IssuerRef != nil && issuer.Canonical(*rc.Spec.IssuerRef) == changed {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(rc)})
		}
	}
	return requests
}

// usesChanged passes endpoints that say something new of a credential or of the CA.
func usesChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			old, ok := e.ObjectOld.(*v1alpha1.ScepEndpoint)
			current, also := e.ObjectNew.(*v1alpha1.ScepEndpoint)
			return ok && also && (!equality.Semantic.DeepEqual(old.Status.IssuingCA, current.Status.IssuingCA) ||
				!equality.Semantic.DeepEqual(old.Spec.CA, current.Spec.CA) ||
				!reflect.DeepEqual(usesOf(old), usesOf(current)))
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
