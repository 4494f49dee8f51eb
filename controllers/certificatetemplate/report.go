package certificatetemplate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	scepterac "github.com/scepter-pki/scepter/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/telling"
	"github.com/scepter-pki/scepter/internal/conditions"
)

// statusOf is the complete status. It is pure.
func statusOf(template *v1alpha1.CertificateTemplate, seen observation, found verdict, now time.Time) v1alpha1.CertificateTemplateStatus {
	wanted := conditions.KStatus(found.ready, found.err != nil)
	return v1alpha1.CertificateTemplateStatus{
		ObservedGeneration:     template.Generation,
		Conditions:             conditions.Merge(template.Status.Conditions, now, template.Generation, wanted...),
		UsedBy:                 seen.usedBy,
		LastHandledReconcileAt: template.Annotations[v1alpha1.AnnotationReconcile],
	}
}

// report writes the status if it changed, and then tells what changed.
func (r *Reconciler) report(
	ctx context.Context, template *v1alpha1.CertificateTemplate, seen observation, found verdict,
) (ctrl.Result, error) {
	status := statusOf(template, seen, found, r.clock.Now())
	if !equality.Semantic.DeepEqual(template.Status, status) {
		if err := r.writeStatus(ctx, template, status); err != nil {
			return ctrl.Result{}, err
		}
	}
	telling.Transitions(r.recorder, template, template.Status.Conditions, status.Conditions)
	if seen.err != nil {
		return ctrl.Result{}, seen.err
	}
	if found.err != nil {
		return ctrl.Result{}, reconcile.TerminalError(found.err)
	}
	return ctrl.Result{}, nil
}

func (r *Reconciler) writeStatus(ctx context.Context, template *v1alpha1.CertificateTemplate, status v1alpha1.CertificateTemplateStatus) error {
	raw, err := json.Marshal(status)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	wanted := scepterac.CertificateTemplateStatus()
	if err := json.Unmarshal(raw, wanted); err != nil {
		return fmt.Errorf("convert status: %w", err)
	}
	whole := scepterac.CertificateTemplate(template.Name, template.Namespace).WithUID(template.UID).WithStatus(wanted)
	err = r.client.Status().Apply(ctx, whole, client.FieldOwner(fieldOwner), client.ForceOwnership)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}
