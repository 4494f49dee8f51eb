package scependpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	scepterac "github.com/scepter-pki/scepter/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/telling"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// endpointStatus computes the whole status, from what was seen, planned and done.
func endpointStatus(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan, d *done, now time.Time) *v1alpha1.ScepEndpointStatus {
	status := &v1alpha1.ScepEndpointStatus{
		ObservedGeneration:     ep.Generation,
		Conditions:             conditions.Merge(ep.Status.Conditions, now, ep.Generation, endpointConditions(ep, seen, p, d, now)...),
		URLs:                   urls(ep, seen),
		Exposure:               exposureStatus(ep, seen),
		Selector:               render.SelectorString(ep.Name),
		RACredential:           credentialStatus(ep, seen, p, d, now),
		IssuingCA:              issuingCA(ep, seen, now),
		ClientCredentials:      clientStatus(ep, seen, p, d, now),
		Grants:                 grants(ep, seen),
		Probes:                 probesStatus(ep, seen),
		Funnel:                 funnelStatus(ep, seen),
		Trials:                 p.trials,
		Uncollected:            uncollectedStatus(ep, seen, now),
		LastIssuedAt:           lastIssued(ep, seen),
		Remedy:                 remedyStatus(p.remedy.Record),
		LastHandledReconcileAt: ep.Annotations[v1alpha1.AnnotationReconcile],
	}
	status.CA = caStatus(ep, authoritiesOf(seen, p.config, status.IssuingCA))
	if seen.deployment.value != nil {
		status.Replicas = seen.deployment.value.Status.Replicas
	}
	if ep.Spec.Suspend {
		status.LastHandledReconcileAt = ep.Status.LastHandledReconcileAt
	}
	return status
}

// waysIn lists what devices use, by routes and past them.
func waysIn(ep *v1alpha1.ScepEndpoint, seen *observation) []string {
	ep = routed(ep, seen)
	return append(route.URLs(ep), route.ServiceURLs(ep, seen.exposure.service.value)...)
}

// urls lists what devices use, or, without a route, the Service's own address.
func urls(ep *v1alpha1.ScepEndpoint, seen *observation) []string {
	if all := waysIn(ep, seen); len(all) > 0 {
		return all
	}
	return []string{fmt.Sprintf("http://%s.%s.svc/scep", render.ChildName(ep.Name), ep.Namespace)}
}

func credentialStatus(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan, d *done, now time.Time) *v1alpha1.EndpointCredentialStatus {
	config := seen.config.value
	if p.config != nil && d.succeeded("ConfigMap") {
		config = p.config
	}
	is := shownBy(ep, config)
	status := &v1alpha1.EndpointCredentialStatus{Name: is.credential, ActiveGeneration: is.generation, NextGeneration: p.rollover.Next}
	for _, a := range is.accepted {
		status.Previous = append(status.Previous, v1alpha1.ShownGeneration{Name: a.Credential, Generation: a.Generation, Until: metav1.NewTime(a.Until)})
	}
	if g := seen.findShown(ep, status.ActiveGeneration); g != nil {
		end := metav1.NewTime(notAfter(*g))
		status.NotAfter = &end
	}
	describeLoading(status, p.rollover)
	status.SwitchedAt = switchedAt(ep.Status.RACredential, status, now)
	return status
}

// describeLoading says who holds what is to be shown, and who does not.
func describeLoading(status *v1alpha1.EndpointCredentialStatus, to *rotation.SwitchPlan) {
	if to.Next != "" {
		since := metav1.NewTime(to.Since)
		status.Since = &since
		if to.NextCredential != status.Name {
			status.NextName = to.NextCredential
		}
	}
	if to.Of > 0 {
		status.Held = fmt.Sprintf("%d/%d", to.Held, to.Of)
	}
	status.Missing = to.Missing[:min(len(to.Missing), maxNamed)]
}

func switchedAt(old, current *v1alpha1.EndpointCredentialStatus, now time.Time) *metav1.Time {
	switch {
	case current.ActiveGeneration == "":
		return nil
	case old != nil && old.ActiveGeneration == current.ActiveGeneration && old.SwitchedAt != nil:
		return old.SwitchedAt
	}
	t := metav1.NewTime(now.Truncate(time.Second))
	return &t
}

// grants is the union of what the templates allow. While a template cannot be
// read, what was granted before stays granted: the servers go on with it.
//
// Where signers issue, the servers may ask for nothing.
func grants(ep *v1alpha1.ScepEndpoint, seen *observation) *v1alpha1.IssuanceGrants {
	if render.IsDirect(effective(ep, seen)) {
		return nil
	}
	if !usableTemplates(effective(ep, seen), seen) {
		return ep.Status.Grants
	}
	usages := map[certmanagerv1.KeyUsage]bool{}
	longest := metav1.Duration{}
	for _, t := range templatesOf(seen) {
		for _, usage := range allUsages(t.Spec) {
			usages[usage] = true
		}
		longest.Duration = max(longest.Duration, t.Spec.Validity.Duration)
	}
	return &v1alpha1.IssuanceGrants{Usages: slices.Sorted(maps.Keys(usages)), MaxDuration: &longest}
}

// allUsages are those of a template for any key.
func allUsages(t v1alpha1.CertificateTemplateSpec) []certmanagerv1.KeyUsage {
	usages := slices.Clone(t.Usages)
	for _, k := range t.Keys {
		usages = append(usages, k.Usages...)
	}
	return usages
}

// report writes the status if it changed, then tells of what changed, then says
// when to look again.
func (r *Reconciler) report(
	ctx context.Context, ep *v1alpha1.ScepEndpoint, seen *observation, p *plan, d *done, next *v1alpha1.ScepEndpointStatus,
) (ctrl.Result, error) {
	if err := r.writeStatus(ctx, ep, next); err != nil {
		return ctrl.Result{}, errors.Join(err, d.err)
	}
	r.ledger.Note(keyOf(ep), p.remedy.Record)
	r.tell(ep, d, next)
	r.tellClients(ep, next, p)
	if err := errors.Join(retriable(d.err), readErrors(seen)); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: wait.Jitter(r.paced(wake(ep, seen, p, d, next, r.clock.Now())), 0.1)}, nil
}

// writeStatus writes the complete set of owned fields, or nothing if all is as before.
func (r *Reconciler) writeStatus(ctx context.Context, ep *v1alpha1.ScepEndpoint, next *v1alpha1.ScepEndpointStatus) error {
	if equality.Semantic.DeepEqual(&ep.Status, next) {
		return nil
	}
	raw, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	status := scepterac.ScepEndpointStatus()
	if err := json.Unmarshal(raw, status); err != nil {
		return fmt.Errorf("decode status: %w", err)
	}
	object := scepterac.ScepEndpoint(ep.Name, ep.Namespace).WithUID(ep.UID).WithStatus(status)
	if err := r.client.Status().Apply(ctx, object, client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("write status: %w", client.IgnoreNotFound(err))
	}
	return nil
}

// tell makes Events for what changed: conditions, and children made, restored or removed.
func (r *Reconciler) tell(ep *v1alpha1.ScepEndpoint, d *done, next *v1alpha1.ScepEndpointStatus) {
	for _, o := range d.outcomes {
		if o.Action == apply.Created {
			r.events.Eventf(ep, telling.Related(o.Object), corev1.EventTypeNormal, "Created", telling.Action, "%s was made", o.Object)
		}
	}
	telling.Restored(r.events, ep, d.outcomes)
	for _, ref := range d.pruned {
		r.events.Eventf(ep, telling.Related(ref), corev1.EventTypeNormal, "Pruned", telling.Action, "%s is not wanted any more and was deleted", ref)
	}
	telling.Transitions(r.events, ep, ep.Status.Conditions, next.Conditions)
}

// retriable leaves out names that are taken and fields that are contested: that heals by
// hand, and is looked at again without a backoff.
func retriable(err error) error {
	var notOwned *apply.NotOwnedError
	var contested *apply.ContestedError
	if errors.As(err, &notOwned) || errors.As(err, &contested) {
		return nil
	}
	return err
}

// readErrors joins the reads that failed, so that they are tried again with a backoff.
func readErrors(seen *observation) error {
	errs := []error{
		seen.issuer.Err, seen.credential.err, seen.keyring.err, seen.state.err, seen.config.err, seen.deployment.err,
		seen.replicas.err, seen.requests.err, seen.exposure.ingressClass.err, seen.exposure.httpRoute.err, seen.exposure.tlsRoute.err,
		seen.exposure.lost.err, seen.exposure.service.err, seen.exposure.serverTLS.err, seen.exposure.adminTLS.err, seen.exposure.adminBasic.err,
		seen.signers.readErrors(), seen.claims.err, seen.ca.chain.Err, seen.ca.next.Err, seen.funnel.err,
	}
	for _, c := range seen.earlier {
		errs = append(errs, c.err())
	}
	for _, i := range seen.exposure.ingresses {
		errs = append(errs, i.err)
	}
	for _, g := range seen.exposure.gateways {
		errs = append(errs, g.gateway.err, g.class.err)
	}
	for _, t := range seen.templates {
		errs = append(errs, t.err)
	}
	for _, c := range seen.challenges {
		errs = append(errs, c.readErrors()...)
	}
	for _, f := range seen.recording {
		errs = append(errs, f.readErrors()...)
	}
	for _, name := range slices.Sorted(maps.Keys(seen.exposure.certificates)) {
		errs = append(errs, seen.exposure.certificates[name].err)
	}
	for _, name := range slices.Sorted(maps.Keys(seen.exposure.secrets)) {
		errs = append(errs, seen.exposure.secrets[name].err)
	}
	return errors.Join(errs...)
}
