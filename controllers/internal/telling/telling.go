// Package telling records Events: one for each change, after the status was
// written, and none at rest.
package telling

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
)

// Action is what every Event says the operator was doing.
const Action = "Reconcile"

// ReasonRestored surfaces when a child that somebody had changed was put back.
const ReasonRestored = "Restored"

// waiting are the reasons that deserve no warning: nothing is wrong yet.
var waiting = map[string]bool{
	v1alpha1.ReasonProgressing: true,
	v1alpha1.ReasonNotIssued:   true,
	v1alpha1.ReasonRollingOver: true,
	v1alpha1.ReasonSuspended:   true,
}

// ahead are the reasons that deserve a warning although nothing is wrong yet: nobody
// but a person can see to it that nothing will be.
var ahead = map[string]bool{
	v1alpha1.ReasonReplacementDue: true,
	v1alpha1.ReasonRenewalOverdue: true,
	v1alpha1.ReasonImageStopped:   true,
	v1alpha1.ReasonConfigRefused:  true,
}

// toldOnce are the reasons of which one Event tells for all objects that show them.
var toldOnce = map[string]bool{v1alpha1.ReasonSystemicStop: true}

// summaries are the conditions that repeat others.
var summaries = map[string]bool{
	v1alpha1.ConditionReady:       true,
	v1alpha1.ConditionReconciling: true,
	v1alpha1.ConditionStalled:     true,
}

// Transitions records the conditions that changed: under their reason if they are
// not True or want something to be done, under their type else. A Ready that only repeats another
// condition's trouble is left out.
func Transitions(recorder events.EventRecorder, obj client.Object, old, current []metav1.Condition) {
	for _, t := range conditions.Transitions(old, current) {
		if t.Type == v1alpha1.ConditionReady && t.Worsened() && isRepeated(t.Condition, current) {
			continue
		}
		if toldOnce[t.Reason] {
			continue
		}
		kind, reason := kindAndReason(t)
		note := conditions.Bound(fmt.Sprintf("%s is %s: %s", t.Type, t.Status, t.Message))
		recorder.Eventf(obj, nil, kind, reason, Action, "%s", note)
	}
}

func isRepeated(ready metav1.Condition, conds []metav1.Condition) bool {
	return slices.ContainsFunc(conds, func(c metav1.Condition) bool {
		return !summaries[c.Type] && c.Status == ready.Status && c.Reason == ready.Reason
	})
}

func kindAndReason(t conditions.Transition) (kind, reason string) {
	switch {
	case ahead[t.Reason]:
		return corev1.EventTypeWarning, t.Reason
	case !t.Worsened():
		return corev1.EventTypeNormal, t.Type
	case waiting[t.Reason]:
		return corev1.EventTypeNormal, t.Reason
	}
	return corev1.EventTypeWarning, t.Reason
}

// Related makes a child part of an Event about its owner: Events that differ in
// their text alone would be taken for one, and only the first child be named.
func Related(child apply.Ref) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: child.GroupVersion().String(), Kind: child.Kind, Namespace: child.Namespace, Name: child.Name,
	}
}

// Restored records the children that somebody had changed.
func Restored(recorder events.EventRecorder, obj client.Object, outcomes []apply.Outcome) {
	for _, outcome := range outcomes {
		if outcome.Action == apply.Restored {
			recorder.Eventf(obj, Related(outcome.Object), corev1.EventTypeWarning, ReasonRestored, Action,
				"%s was changed by somebody else and was put back", outcome.Object)
		}
	}
}
