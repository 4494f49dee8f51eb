package testenv

import (
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
)

// CheckKStatus says in what an object's status breaks the rules of kstatus and
// our own: the status speaks of the current spec, Ready is there, Reconciling and
// Stalled are there only while True and never both, an object that is not Ready
// has one of them, and every condition that is not True has a message.
func CheckKStatus(obj client.Object, observedGeneration int64, conds []metav1.Condition) error {
	var errs []error
	if observedGeneration != obj.GetGeneration() {
		errs = append(errs, fmt.Errorf("status.observedGeneration is %d, the generation %d", observedGeneration, obj.GetGeneration()))
	}
	for _, c := range conds {
		if c.ObservedGeneration != obj.GetGeneration() {
			errs = append(errs, fmt.Errorf("%s: observedGeneration is %d, the generation %d", c.Type, c.ObservedGeneration, obj.GetGeneration()))
		}
		if c.Status != metav1.ConditionTrue && c.Message == "" {
			errs = append(errs, fmt.Errorf("%s: %s without a message", c.Type, c.Status))
		}
	}
	return errors.Join(append(errs, checkSummary(conds)...)...)
}

func checkSummary(conds []metav1.Condition) []error {
	ready := conditions.Find(conds, v1alpha1.ConditionReady)
	if ready == nil {
		return []error{errors.New("there is no Ready condition")}
	}
	var errs []error
	present := 0
	for _, name := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		c := conditions.Find(conds, name)
		if c == nil {
			continue
		}
		present++
		if c.Status != metav1.ConditionTrue {
			errs = append(errs, fmt.Errorf("%s is there though it is %s", name, c.Status))
		}
	}
	if wanted := ready.Status != metav1.ConditionTrue; wanted != (present == 1) || present > 1 {
		errs = append(errs, fmt.Errorf("ready is %s, and %d of Reconciling and Stalled are there", ready.Status, present))
	}
	return errs
}
