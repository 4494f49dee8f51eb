package scependpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/remedy"
	"github.com/scepter-pki/scepter/internal/render"
)

// heldInterval is how often a remedy that waits for others is looked at again, if nothing
// wakes it before.
const heldInterval = 30 * time.Second

// admit decides about the one kind of change that interrupts servers and that the
// endpoint's spec did not ask for: another pod template. Where its time has not come,
// the Deployments stay as they are; all other children are not concerned.
func (r *Reconciler) admit(ctx context.Context, ep *v1alpha1.ScepEndpoint, seen *observation, p *plan) {
	last := recordOf(ep.Status.Remedy)
	p.remedy = remedy.Decision{Record: last}
	if ep.Spec.Suspend || p.err != nil {
		return
	}
	needs, err := r.needs(ep, seen, p)
	if err != nil {
		p.err = err
		return
	}
	now := r.clock.Now()
	situation := remedy.Situation{
		Need: first(needs), Record: last, Whole: isWhole(ep, seen, p), Asked: isAsked(ep), Now: now,
	}
	p.need = situation.Need
	p.remedy = remedy.Decide(situation, func(cause remedy.Cause) remedy.Hold {
		if cause != remedy.CauseImage && refusesConfig(seen, p) {
			return remedy.HoldConfig
		}
		if p.err = r.look(ctx); p.err != nil {
			return remedy.HoldBudget
		}
		return r.ledger.Admit(keyOf(ep), cause, situation.Asked, now)
	})
	if situation.Need != "" && !p.remedy.Act {
		p.holdBack(needs)
	}
}

// isAsked says whether somebody wants the endpoint to be looked at now.
func isAsked(ep *v1alpha1.ScepEndpoint) bool {
	return ep.Annotations[v1alpha1.AnnotationReconcile] != ep.Status.LastHandledReconcileAt
}

func keyOf(o client.Object) string { return o.GetNamespace() + "/" + o.GetName() }

// holdBack leaves Deployments as they are.
func (p *plan) holdBack(needs map[string]remedy.Cause) {
	p.children = slices.DeleteFunc(p.children, func(o apply.Object) bool {
		d, is := o.(*appsv1ac.DeploymentApplyConfiguration)
		return is && needs[*d.Name] != ""
	})
	p.prune = slices.DeleteFunc(p.prune, func(kind schema.GroupVersionKind) bool { return kind == deploymentKind })
}

// needs says, by the name of each Deployment, why its pods are to be replaced; "" where
// they stay, or where the endpoint's own spec asks for it.
func (r *Reconciler) needs(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan) (map[string]remedy.Cause, error) {
	live := map[string]*appsv1.Deployment{
		render.ChildName(ep.Name):  seen.deployment.value,
		render.SignerName(ep.Name): seen.signers.deployment.value,
	}
	out := map[string]remedy.Cause{}
	for _, child := range p.children {
		want, is := child.(*appsv1ac.DeploymentApplyConfiguration)
		if !is || !interrupts(live[*want.Name]) {
			continue
		}
		action, fields, err := r.applier.Compare(ep, live[*want.Name], want)
		if err != nil {
			return nil, fmt.Errorf("compare Deployment %s: %w", *want.Name, err)
		}
		if replacesPods(fields) {
			out[*want.Name] = causeOf(action, live[*want.Name], want, p)
		}
	}
	return out, nil
}

// interrupts says whether there is anything to interrupt: where no server is available,
// nothing gets worse, and another image may be what mends it.
func interrupts(live *appsv1.Deployment) bool {
	return live != nil && live.DeletionTimestamp == nil && live.Status.AvailableReplicas > 0
}

func replacesPods(fields []string) bool {
	return slices.ContainsFunc(fields, func(f string) bool { return f == "spec.template" || strings.HasPrefix(f, "spec.template.") })
}

// causeOf is why the pods are to be replaced. It is not for the operator to put off what
// the endpoint's spec asks for, nor the keyring of the credential that is to be shown.
func causeOf(action apply.Action, live *appsv1.Deployment, want *appsv1ac.DeploymentApplyConfiguration, p *plan) remedy.Cause {
	madeFrom, account := live.Annotations[render.AnnotationGeneration], live.Spec.Template.Annotations[render.AnnotationServiceAccountUID]
	switch {
	case action == apply.Restored:
		return remedy.CauseTemplate
	case madeFrom != "" && madeFrom != want.Annotations[render.AnnotationGeneration], lacksKeyring(live, p):
		return ""
	case account != want.Spec.Template.Annotations[render.AnnotationServiceAccountUID]:
		return remedy.CauseAccount
	case imageOf(live) != *want.Spec.Template.Spec.Containers[0].Image:
		return remedy.CauseImage
	}
	return remedy.CauseTemplate
}

func lacksKeyring(live *appsv1.Deployment, p *plan) bool {
	mounted := render.MountedKeyrings(&live.Spec.Template.Spec)
	return len(mounted) > 0 && slices.ContainsFunc(p.rollover.Keyrings(), func(name string) bool { return !slices.Contains(mounted, name) })
}

// imageOf is what the servers of a Deployment run. Injected containers come after our own.
func imageOf(d *appsv1.Deployment) string {
	for i := range d.Spec.Template.Spec.Containers {
		if c := &d.Spec.Template.Spec.Containers[i]; render.IsServer(c.Name) {
			return c.Image
		}
	}
	return ""
}

// first is what counts of several needs: what cannot serve before what can, and what
// waits longest before the rest.
func first(needs map[string]remedy.Cause) remedy.Cause {
	for _, cause := range []remedy.Cause{remedy.CauseAccount, remedy.CauseImage, remedy.CauseTemplate} {
		for _, need := range needs {
			if need == cause {
				return cause
			}
		}
	}
	return ""
}

// isWhole says whether all servers run what they are to run, and serve.
func isWhole(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan) bool {
	for _, d := range []*appsv1.Deployment{seen.deployment.value, seen.signers.deployment.value} {
		if d != nil && (d.Status.ObservedGeneration < d.Generation || d.Status.Replicas != d.Status.UpdatedReplicas) {
			return false
		}
	}
	available := serversAvailable(ep, seen, p)
	if available.Reason == v1alpha1.ReasonScaledToZero {
		return true
	}
	return available.Status == metav1.ConditionTrue && exposed(ep, seen).Reason != v1alpha1.ReasonServersFail
}

// refusesConfig says whether a server cannot use the configuration that it is to have.
// It goes on with the one before: its successor, of another revision, would have none.
func refusesConfig(seen *observation, p *plan) bool {
	return seen.replicas.value != nil && slices.ContainsFunc(*seen.replicas.value, func(r replica) bool { return refusal(r, p) != "" })
}

// refusal is why a server does not use the configuration; "" if it does, or says nothing.
func refusal(r replica, p *plan) string {
	if !r.ready || r.status == nil || p.config == nil || r.status.ConfigHash == p.configHash || len(r.status.Problems) == 0 {
		return ""
	}
	return r.status.Problems[0]
}

// recordOf reads the record from the status.
func recordOf(s *v1alpha1.EndpointRemedy) *remedy.Record {
	if s == nil {
		return nil
	}
	return &remedy.Record{
		Cause: remedy.Cause(s.Cause), State: remedy.State(s.State), Attempts: int(s.Attempts),
		Since: s.Since.Time, NotBefore: s.NotBefore.Time,
	}
}

// remedyStatus writes the record into the status.
func remedyStatus(r *remedy.Record) *v1alpha1.EndpointRemedy {
	if r == nil {
		return nil
	}
	return &v1alpha1.EndpointRemedy{
		Cause: v1alpha1.RemedyCause(r.Cause), State: v1alpha1.RemedyState(r.State), Attempts: int32(min(r.Attempts, 1<<30)), //nolint:gosec // bounded
		Since: metav1.NewTime(r.Since), NotBefore: metav1.NewTime(r.NotBefore),
	}
}

// holds say what a remedy waits for.
var holds = map[remedy.Hold]struct{ reason, text string }{
	remedy.HoldBackoff: {v1alpha1.ReasonRemedyWaiting, "the servers are to be replaced (%s), which was done a short while ago: it is done again at the time of status.remedy.notBefore"},
	remedy.HoldBudget:  {v1alpha1.ReasonRemedyWaiting, "the servers are to be replaced (%s), and that waits until it is done for other endpoints"},
	remedy.HoldSystemic: {v1alpha1.ReasonSystemicStop, "the servers are to be replaced (%s), and that waits, because too many endpoints of this cluster are not Ready for one reason: " +
		"see the Events of the operator's namespace, or set the annotation " + v1alpha1.AnnotationReconcile + " to have it done all the same"},
	remedy.HoldConfig: {v1alpha1.ReasonConfigRefused, "the servers are to be replaced (%s), and that waits until they can use the configuration: new ones could not start with it"},
	remedy.HoldWave:   {v1alpha1.ReasonImageWaiting, "the servers get another image when it is this endpoint's turn (%s)"},
	remedy.HoldStopped: {v1alpha1.ReasonImageStopped, "the servers are to get another image (%s), and that has stopped: endpoints that got it do not serve with it. " +
		"See the metric scepter_rollout_stopped and the operator's log for which they are"},
}

// orHeld adds what a remedy waits for, or puts it in the place of what is good.
func orHeld(c metav1.Condition, p *plan) metav1.Condition {
	hold, held := holds[p.remedy.Hold]
	record := p.remedy.Record
	switch {
	case held && c.Status == metav1.ConditionTrue && c.Reason != hold.reason:
		return conditions.True(c.Type, hold.reason, fmt.Sprintf(hold.text, p.need))
	case held:
		c.Message += "; " + fmt.Sprintf(hold.text, p.need)
	case c.Status == metav1.ConditionFalse && record.Open() && record.Cause == remedy.CauseImage:
		c.Message += "; other endpoints wait for their turn to get the image until this one serves with it"
	}
	return c
}

// untilRemedy is the time until a remedy may go on.
func untilRemedy(p *plan, now time.Time) time.Duration {
	switch at := p.remedy.Wake; {
	case !at.IsZero():
		return max(time.Millisecond, at.Sub(now))
	case p.remedy.Hold != remedy.NoHold:
		return heldInterval
	}
	return restInterval
}
