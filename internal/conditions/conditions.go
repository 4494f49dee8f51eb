// Package conditions computes the conditions of a status: it makes them, sums
// them up, merges them with the earlier ones, and says what changed. It is pure:
// no client, no clock.
//
// A controller derives its conditions from what it observed, adds the summary,
// and merges the complete set:
//
//	conds := []metav1.Condition{issuerReady(seen), issued(seen)}
//	ready := conditions.Summarise(conds, "IssuerReady", "Issued")
//	conds = append(conds, conditions.KStatus(ready, stalled)...)
//	next := conditions.Merge(obj.Status.Conditions, now, obj.Generation, conds...)
package conditions

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Condition is the condition of the Kubernetes API conventions.
type Condition = metav1.Condition

// MaxMessageBytes bounds the message of every condition.
const MaxMessageBytes = 1024

const ellipsis = "…"

// True makes a condition that is as it should be.
func True(conditionType, reason, message string) Condition {
	return newCondition(conditionType, metav1.ConditionTrue, reason, message)
}

// False makes a condition that is not as it should be. The message names the
// cause and the remedy.
func False(conditionType, reason, message string) Condition {
	return newCondition(conditionType, metav1.ConditionFalse, reason, message)
}

// Unknown makes a condition that could not be found out. The message says why.
func Unknown(conditionType, reason, message string) Condition {
	return newCondition(conditionType, metav1.ConditionUnknown, reason, message)
}

func newCondition(conditionType string, status metav1.ConditionStatus, reason, message string) Condition {
	return Condition{Type: conditionType, Status: status, Reason: reason, Message: Bound(message)}
}

// Merge returns the complete set of conditions to write: those wanted, and no
// others. A condition whose status did not change keeps its time of transition;
// the others get now. Each is stamped with the generation. Ready comes first, the
// others follow in alphabetical order.
func Merge(old []Condition, now time.Time, generation int64, wanted ...Condition) []Condition {
	out := make([]Condition, 0, len(wanted))
	for _, c := range wanted {
		c.Message = Bound(c.Message)
		c.ObservedGeneration = generation
		c.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		if had := Find(old, c.Type); had != nil && had.Status == c.Status {
			c.LastTransitionTime = had.LastTransitionTime
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, byRank)
	return out
}

func byRank(a, b Condition) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Type, b.Type))
}

func rank(c Condition) int {
	if c.Type == v1alpha1.ConditionReady {
		return 0
	}
	return 1
}

// Find returns the condition of a type, or nil.
func Find(conditions []Condition, conditionType string) *Condition {
	for i := range conditions {
		if conditions[i].Type == conditionType {
			return &conditions[i]
		}
	}
	return nil
}

// IsTrue says whether a condition is there, True, and speaks of the given
// generation of the spec: a True from before an edit does not count.
func IsTrue(conditions []Condition, conditionType string, generation int64) bool {
	c := Find(conditions, conditionType)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration >= generation
}

// Summarise makes the Ready condition of the counted types: True if all of them
// are True; else the first in the given order that is not True gives status,
// reason and message. A type that is missing counts as Unknown.
func Summarise(conditions []Condition, counted ...string) Condition {
	for _, conditionType := range counted {
		c := Find(conditions, conditionType)
		if c == nil {
			return Unknown(v1alpha1.ConditionReady, v1alpha1.ReasonProgressing, conditionType+" has not been looked at yet")
		}
		if c.Status != metav1.ConditionTrue {
			return newCondition(v1alpha1.ConditionReady, c.Status, c.Reason, c.Message)
		}
	}
	return True(v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "All is as specified")
}

// KStatus returns the Ready condition and what kstatus wants beside it: Stalled
// if only a change of the spec can help, else Reconciling while Ready is not True.
// Both are present only while they are True.
func KStatus(ready Condition, stalled bool) []Condition {
	switch {
	case stalled:
		return []Condition{ready, True(v1alpha1.ConditionStalled, ready.Reason, ready.Message)}
	case ready.Status != metav1.ConditionTrue:
		return []Condition{ready, True(v1alpha1.ConditionReconciling, ready.Reason, ready.Message)}
	}
	return []Condition{ready}
}

// Apply converts conditions for a server-side apply of the status.
func Apply(conditions []Condition) []*metav1ac.ConditionApplyConfiguration {
	out := make([]*metav1ac.ConditionApplyConfiguration, 0, len(conditions))
	for _, c := range conditions {
		out = append(out, metav1ac.Condition().
			WithType(c.Type).
			WithStatus(c.Status).
			WithObservedGeneration(c.ObservedGeneration).
			WithLastTransitionTime(c.LastTransitionTime).
			WithReason(c.Reason).
			WithMessage(c.Message))
	}
	return out
}

// Transition is a condition that changed its status or its reason.
type Transition struct {
	// Condition as it is now.
	Condition
	// From is the status it had before; empty if it was not there.
	From metav1.ConditionStatus
}

// Worsened says whether a condition that should be True is not.
func (t Transition) Worsened() bool { return t.Status != metav1.ConditionTrue }

// Transitions lists what changed between two sets of conditions, in the order of
// the second; it is what deserves an Event. Reconciling and Stalled are left out,
// for they repeat what Ready says; so are conditions that appear for the first
// time as Unknown, which say nothing yet.
func Transitions(old, current []Condition) []Transition {
	var out []Transition
	for _, c := range current {
		if c.Type == v1alpha1.ConditionReconciling || c.Type == v1alpha1.ConditionStalled {
			continue
		}
		if t, changed := transition(Find(old, c.Type), c); changed {
			out = append(out, t)
		}
	}
	return out
}

func transition(had *Condition, c Condition) (Transition, bool) {
	if had == nil {
		return Transition{Condition: c}, c.Status != metav1.ConditionUnknown
	}
	return Transition{Condition: c, From: had.Status}, had.Status != c.Status || had.Reason != c.Reason
}

// Bound cuts a message to MaxMessageBytes, never inside of a character. Events have the same limit.
func Bound(message string) string {
	if len(message) <= MaxMessageBytes {
		return message
	}
	cut := MaxMessageBytes - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + ellipsis
}
