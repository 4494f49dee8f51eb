package render

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const signerPortName = "signer"

// SignerHost is the DNS name of an endpoint's signers.
func SignerHost(ep *v1alpha1.ScepEndpoint) string {
	return SignerName(ep.Name) + "." + ep.Namespace + ".svc"
}

// SignerAddress is where servers reach the signers: host and port.
func SignerAddress(ep *v1alpha1.ScepEndpoint) string {
	return fmt.Sprintf("%s:%d", SignerHost(ep), raconfig.SignerPort)
}

// SignerService sends servers to the signers.
func SignerService(ep *v1alpha1.ScepEndpoint) *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service(SignerName(ep.Name), ep.Namespace).
		WithLabels(SignerLabels(ep.Name)).
		WithSpec(corev1ac.ServiceSpec().
			WithSelector(SignerSelector(ep.Name)).
			WithPorts(servicePort(signerPortName, raconfig.SignerPort)))
}

// SignerServiceAccount gives the signers a name of their own, and no right. The
// endpoint owns it, and it owns the Secrets that signers and servers know each other
// by: they go with it when the mode changes.
func SignerServiceAccount(ep *v1alpha1.ScepEndpoint) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(SignerName(ep.Name), ep.Namespace).
		WithLabels(SignerLabels(ep.Name)).
		WithAutomountServiceAccountToken(false)
}

// SignerPodDisruptionBudget lets one signer go at a time.
func SignerPodDisruptionBudget(ep *v1alpha1.ScepEndpoint) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(SignerName(ep.Name), ep.Namespace).
		WithLabels(SignerLabels(ep.Name)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(SignerSelector(ep.Name))))
}

// SignerNetworkPolicy lets this endpoint's servers reach the signers, and lets the
// signers reach nobody. Their state and metrics are open within the cluster, as the
// servers' are.
func SignerNetworkPolicy(ep *v1alpha1.ScepEndpoint) *networkingv1ac.NetworkPolicyApplyConfiguration {
	servers := networkingv1ac.NetworkPolicyPeer().
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(PodSelector(ep.Name)))
	return networkingv1ac.NetworkPolicy(SignerName(ep.Name), ep.Namespace).
		WithLabels(SignerLabels(ep.Name)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(SignerSelector(ep.Name))).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithIngress(
				networkingv1ac.NetworkPolicyIngressRule().WithFrom(servers).WithPorts(policyPort(raconfig.SignerPort)),
				networkingv1ac.NetworkPolicyIngressRule().WithPorts(policyPort(raconfig.AdminPort))))
}
