package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
)

// cacheOptions keep in memory only what the controllers read: of the kinds that
// everybody uses, our own labelled objects. A read of anything that is not
// watched fails, rather than begin to watch a whole cluster unnoticed.
func cacheOptions(namespaces []string) cache.Options {
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{render.LabelManagedBy: render.ManagedBy})}
	o := cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            dropBookkeeping,
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.Deployment{}:                ours,
			&corev1.Service{}:                   ours,
			&corev1.ServiceAccount{}:            ours,
			&corev1.ConfigMap{}:                 ours,
			&corev1.Pod{}:                       ours,
			&rbacv1.RoleBinding{}:               ours,
			&policyv1.PodDisruptionBudget{}:     ours,
			&networkingv1.Ingress{}:             ours,
			&networkingv1.NetworkPolicy{}:       ours,
			&certmanagerv1.Certificate{}:        ours,
			&certmanagerv1.CertificateRequest{}: {Label: having(v1alpha1.LabelEndpoint), Transform: dropRequest},
		},
	}
	for _, namespace := range namespaces {
		if o.DefaultNamespaces == nil {
			o.DefaultNamespaces = map[string]cache.Config{}
		}
		o.DefaultNamespaces[namespace] = cache.Config{}
	}
	return o
}

// clientOptions let no Secret into a cache: they are read by name from the API server.
func clientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}}
}

// having selects the objects that carry a label, whatever its value.
func having(label string) labels.Selector {
	requirement, err := labels.NewRequirement(label, selection.Exists, nil)
	if err != nil {
		return labels.Nothing()
	}
	return labels.NewSelector().Add(*requirement)
}

// dropBookkeeping drops what nobody here reads and what is as large as the object itself.
func dropBookkeeping(in any) (any, error) {
	object, err := meta.Accessor(in)
	if err != nil {
		return in, nil //nolint:nilerr // no object: a tombstone
	}
	object.SetManagedFields(nil)
	if annotations := object.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
		delete(annotations, corev1.LastAppliedConfigAnnotation)
		object.SetAnnotations(annotations)
	}
	return in, nil
}

// dropRequest drops the CSR and the certificates of a CertificateRequest: its
// conditions and metadata are all that the operator reads, and there are thousands.
func dropRequest(in any) (any, error) {
	if request, ok := in.(*certmanagerv1.CertificateRequest); ok {
		request.Spec.Request = nil
		request.Status.Certificate, request.Status.CA = nil, nil
	}
	return dropBookkeeping(in)
}

// syncTimeout bounds one readiness check.
const syncTimeout = time.Second

// cachesSynced is ready when the caches are: also in an operator that waits to lead.
func cachesSynced(mgr ctrl.Manager) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), syncTimeout)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("caches are not synced")
		}
		return nil
	}
}
