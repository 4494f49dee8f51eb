package render

import (
	rbacv1 "k8s.io/api/rbac/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	rbacv1ac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// ServiceAccount is the servers' identity. The endpoint owns it, so that it is
// gone with the endpoint: the admission policy knows it by its name alone.
func ServiceAccount(ep *v1alpha1.ScepEndpoint) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(ChildName(ep.Name), ep.Namespace).WithLabels(Labels(ep.Name))
}

// RoleBinding gives the servers, in their namespace, the rights that their mode of
// issuing needs: CertificateRequests, or the claims of one-time challenges. A
// binding's role can never change, so each mode has a binding of its own.
func RoleBinding(ep *v1alpha1.ScepEndpoint, p Program) *rbacv1ac.RoleBindingApplyConfiguration {
	name, role := ChildName(ep.Name), p.ClusterRole
	if IsDirect(ep) {
		name, role = DirectRoleBindingName(ep.Name), p.DirectClusterRole
	}
	return rbacv1ac.RoleBinding(name, ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithRoleRef(rbacv1ac.RoleRef().
			WithAPIGroup(rbacv1.GroupName).
			WithKind("ClusterRole").
			WithName(role)).
		WithSubjects(rbacv1ac.Subject().
			WithKind(rbacv1.ServiceAccountKind).
			WithName(ChildName(ep.Name)).
			WithNamespace(ep.Namespace))
}
