package certificatetemplate

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// observation is what a reconcile reads beside the template itself.
type observation struct {
	// usedBy counts the endpoints that have the template on offer.
	usedBy int32
	err    error
}

func (r *Reconciler) observe(ctx context.Context, template *v1alpha1.CertificateTemplate) observation {
	var endpoints v1alpha1.ScepEndpointList
	if err := r.client.List(ctx, &endpoints, client.InNamespace(template.Namespace)); err != nil {
		return observation{usedBy: template.Status.UsedBy, err: fmt.Errorf("list ScepEndpoints: %w", err)}
	}
	var seen observation
	for i := range endpoints.Items {
		if usedTemplates(&endpoints.Items[i]).Has(template.Name) {
			seen.usedBy++
		}
	}
	return seen
}
