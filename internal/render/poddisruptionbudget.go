package render

import (
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// PodDisruptionBudget lets one server go at a time. With a single server it does
// not stand in the way of a node's drain.
func PodDisruptionBudget(ep *v1alpha1.ScepEndpoint) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(ChildName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(PodSelector(ep.Name))))
}
