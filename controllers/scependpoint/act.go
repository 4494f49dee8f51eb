package scependpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
)

// done is what became of a plan.
type done struct {
	outcomes []apply.Outcome
	pruned   []apply.Ref
	err      error
}

// act is the only part that writes children.
func (r *Reconciler) act(ctx context.Context, ep *v1alpha1.ScepEndpoint, seen *observation, p *plan) *done {
	if p.err != nil {
		return &done{err: p.err}
	}
	if ep.Spec.Suspend {
		return &done{}
	}
	d := &done{}
	d.add(r.makeState(ctx, ep, p, seen.state))
	d.add(r.makePeers(ctx, ep, p.signers))
	d.add(nil, r.makeRevoked(ctx, ep, p.signers))
	d.add(nil, r.revoke(ctx, ep, p.signers.revoke))
	d.add(r.keepFunnel(ctx, ep, seen.funnel.keep))
	d.add(r.applier.Apply(ctx, ep, p.children...))
	if d.err == nil {
		d.prune(r.applier.Prune(ctx, ep, map[string]string{v1alpha1.LabelEndpoint: ep.Name}, p.prune, wanted(d.outcomes)))
	}
	d.err = errors.Join(d.err, r.nudge(ctx, ep, p.nudges), r.deleteRequests(ctx, ep, p.expired), r.deleteClaims(ctx, ep, p.claims))
	return d
}

func (d *done) add(outcomes []apply.Outcome, err error) {
	d.outcomes = append(d.outcomes, outcomes...)
	d.err = errors.Join(d.err, err)
}

func (d *done) prune(pruned []apply.Ref, err error) {
	d.pruned = pruned
	d.err = errors.Join(d.err, err)
}

// succeeded says whether a child of a kind is as it is wanted now.
func (d *done) succeeded(kind string) bool {
	for _, o := range d.outcomes {
		if o.Object.Kind == kind {
			return o.Err == nil
		}
	}
	return false
}

func wanted(outcomes []apply.Outcome) sets.Set[apply.Ref] {
	keep := sets.New[apply.Ref]()
	for _, o := range outcomes {
		keep.Insert(o.Object)
	}
	return keep
}

// nudge touches pods; one that is gone needs it no more.
func (r *Reconciler) nudge(ctx context.Context, ep *v1alpha1.ScepEndpoint, nudges map[string]string) error {
	var errs []error
	for name, value := range nudges {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{v1alpha1.AnnotationNudge: value}}})
		if err != nil {
			errs = append(errs, fmt.Errorf("nudge %s: %w", name, err))
			continue
		}
		pod := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: ep.Namespace, Name: name}}
		pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
		if err := client.IgnoreNotFound(r.client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch))); err != nil {
			errs = append(errs, fmt.Errorf("nudge %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// deleteClaims deletes claims whose challenges can be used no more.
func (r *Reconciler) deleteClaims(ctx context.Context, ep *v1alpha1.ScepEndpoint, names []string) error {
	var errs []error
	for _, name := range names {
		claim := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: ep.Namespace, Name: name}}
		if err := client.IgnoreNotFound(r.client.Delete(ctx, claim)); err != nil {
			errs = append(errs, fmt.Errorf("delete the claim %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Reconciler) deleteRequests(ctx context.Context, ep *v1alpha1.ScepEndpoint, names []string) error {
	var errs []error
	for _, name := range names {
		request := &certmanagerv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: ep.Namespace, Name: name}}
		if err := client.IgnoreNotFound(r.client.Delete(ctx, request)); err != nil {
			errs = append(errs, fmt.Errorf("delete CertificateRequest %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
