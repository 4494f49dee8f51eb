package render

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// nonRoot is the user and group as which the servers run.
const nonRoot = 65532

// drainSeconds is how long a server may take to end; it serves for 5 s more after SIGTERM.
const drainSeconds = 30

// AnnotationServiceAccountUID is on the servers' pods. A service account that was
// deleted and made anew has another UID, and the tokens that running pods hold are
// void: the annotation then rolls the servers over.
const AnnotationServiceAccountUID = v1alpha1.GroupName + "/service-account-uid"

// Deployment runs the servers. Nothing in it depends on the configuration's
// content, so that a change of that is loaded and not rolled out.
func Deployment(in Input) *appsv1ac.DeploymentApplyConfiguration {
	ep := in.Endpoint
	spec := appsv1ac.DeploymentSpec().
		WithRevisionHistoryLimit(3).
		WithSelector(metav1ac.LabelSelector().WithMatchLabels(PodSelector(ep.Name))).
		WithStrategy(appsv1ac.DeploymentStrategy().
			WithType(appsv1.RollingUpdateDeploymentStrategyType).
			WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
				WithMaxUnavailable(intstr.FromInt32(0)).
				WithMaxSurge(intstr.FromInt32(1)))).
		WithTemplate(corev1ac.PodTemplateSpec().
			WithLabels(Labels(ep.Name)).
			WithAnnotations(map[string]string{AnnotationServiceAccountUID: string(in.ServiceAccountUID)}).
			WithSpec(podSpec(ep, in.Program)))
	spec.Replicas = ep.Spec.Server.Replicas
	return appsv1ac.Deployment(ChildName(ep.Name), ep.Namespace).WithLabels(Labels(ep.Name)).WithSpec(spec)
}

func podSpec(ep *v1alpha1.ScepEndpoint, p Program) *corev1ac.PodSpecApplyConfiguration {
	spec := corev1ac.PodSpec().
		WithServiceAccountName(ChildName(ep.Name)).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(drainSeconds).
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(nonRoot).
			WithRunAsGroup(nonRoot).
			WithFSGroup(nonRoot).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))).
		WithTopologySpreadConstraints(
			spread(ep, corev1.LabelHostname),
			spread(ep, corev1.LabelTopologyZone)).
		WithContainers(container(ep, p)).
		WithVolumes(volumes(ep)...)
	if len(ep.Spec.Server.NodeSelector) > 0 {
		spec.WithNodeSelector(ep.Spec.Server.NodeSelector)
	}
	for i := range ep.Spec.Server.Tolerations {
		spec.WithTolerations(toleration(&ep.Spec.Server.Tolerations[i]))
	}
	return spec
}

// spread puts the servers of one revision onto different places, as far as there are any.
func spread(ep *v1alpha1.ScepEndpoint, topologyKey string) *corev1ac.TopologySpreadConstraintApplyConfiguration {
	return corev1ac.TopologySpreadConstraint().
		WithMaxSkew(1).
		WithTopologyKey(topologyKey).
		WithWhenUnsatisfiable(corev1.ScheduleAnyway).
		WithMatchLabelKeys(appsv1.DefaultDeploymentUniqueLabelKey).
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(PodSelector(ep.Name)))
}

func toleration(t *corev1.Toleration) *corev1ac.TolerationApplyConfiguration {
	out := corev1ac.Toleration()
	if t.Key != "" {
		out.WithKey(t.Key)
	}
	if t.Operator != "" {
		out.WithOperator(t.Operator)
	}
	if t.Value != "" {
		out.WithValue(t.Value)
	}
	if t.Effect != "" {
		out.WithEffect(t.Effect)
	}
	out.TolerationSeconds = t.TolerationSeconds
	return out
}
