package render

import (
	"strconv"
	"time"

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

// finishSeconds is how long a server may take, after it has drained, to finish what it has begun.
const finishSeconds = 20

// defaultDrainDelay is that of the API.
const defaultDrainDelay = 10 * time.Second

// DrainDelay is how long a server goes on serving after SIGTERM.
func DrainDelay(ep *v1alpha1.ScepEndpoint) time.Duration {
	if d := ep.Spec.Server.DrainDelay; d != nil {
		return d.Duration
	}
	return defaultDrainDelay
}

// gracePeriod leaves a server time to drain and to finish, in seconds.
func gracePeriod(ep *v1alpha1.ScepEndpoint) int64 {
	return int64(DrainDelay(ep)/time.Second) + finishSeconds
}

// AnnotationServiceAccountUID is on the servers' pods. A service account that was
// deleted and made anew has another UID, and the tokens that running pods hold are
// void: the annotation then rolls the servers over.
const AnnotationServiceAccountUID = v1alpha1.GroupName + "/service-account-uid"

// AnnotationGeneration is on Deployments: the generation of the endpoint that they were
// made from. It tells a change that the endpoint's owner wants from one of the operator's.
const AnnotationGeneration = v1alpha1.GroupName + "/endpoint-generation"

func generationOf(ep *v1alpha1.ScepEndpoint) map[string]string {
	return map[string]string{AnnotationGeneration: strconv.FormatInt(ep.Generation, 10)}
}

// Deployment runs the servers. Nothing in it depends on the configuration's
// content, so that a change of that is loaded and not rolled out.
func Deployment(in Input) *appsv1ac.DeploymentApplyConfiguration {
	ep := in.Endpoint
	template := corev1ac.PodTemplateSpec().
		WithLabels(Labels(ep.Name)).
		WithAnnotations(map[string]string{AnnotationServiceAccountUID: string(in.ServiceAccountUID)}).
		WithSpec(podSpec(ep, in.Program, in.keyrings()))
	spec := deploymentSpec(PodSelector(ep.Name), template)
	spec.Replicas = ep.Spec.Server.Replicas
	return appsv1ac.Deployment(ChildName(ep.Name), ep.Namespace).WithLabels(Labels(ep.Name)).WithAnnotations(generationOf(ep)).WithSpec(spec)
}

// minReadySeconds is how long a new pod has to be ready before one in its place goes: what
// is in front takes a while to send requests there. Traefik reads its routes every two
// seconds, and answers 503 when all the pods it knows are on their way out.
const minReadySeconds = 5

// deploymentSpec takes no pod away before another is ready.
func deploymentSpec(selector map[string]string, template *corev1ac.PodTemplateSpecApplyConfiguration) *appsv1ac.DeploymentSpecApplyConfiguration {
	return appsv1ac.DeploymentSpec().
		WithRevisionHistoryLimit(3).
		WithMinReadySeconds(minReadySeconds).
		WithSelector(metav1ac.LabelSelector().WithMatchLabels(selector)).
		WithStrategy(appsv1ac.DeploymentStrategy().
			WithType(appsv1.RollingUpdateDeploymentStrategyType).
			WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
				WithMaxUnavailable(intstr.FromInt32(0)).
				WithMaxSurge(intstr.FromInt32(1)))).
		WithTemplate(template)
}

func podSpec(ep *v1alpha1.ScepEndpoint, p Program, keyrings []string) *corev1ac.PodSpecApplyConfiguration {
	return basePod(ep, PodSelector(ep.Name)).
		WithServiceAccountName(ChildName(ep.Name)).
		WithContainers(serverContainer(ep, p, keyrings)).
		WithVolumes(volumes(ep, keyrings)...)
}

// basePod is what the pods of servers and signers have in common: how little they
// may, and where they run.
func basePod(ep *v1alpha1.ScepEndpoint, selector map[string]string) *corev1ac.PodSpecApplyConfiguration {
	spec := corev1ac.PodSpec().
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(gracePeriod(ep)).
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(nonRoot).
			WithRunAsGroup(nonRoot).
			WithFSGroup(nonRoot).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))).
		WithTopologySpreadConstraints(
			spread(selector, corev1.LabelHostname),
			spread(selector, corev1.LabelTopologyZone))
	if len(ep.Spec.Server.NodeSelector) > 0 {
		spec.WithNodeSelector(ep.Spec.Server.NodeSelector)
	}
	for i := range ep.Spec.Server.Tolerations {
		spec.WithTolerations(toleration(&ep.Spec.Server.Tolerations[i]))
	}
	return spec
}

// spread puts the pods of one revision onto different places, as far as there are any.
func spread(selector map[string]string, topologyKey string) *corev1ac.TopologySpreadConstraintApplyConfiguration {
	return corev1ac.TopologySpreadConstraint().
		WithMaxSkew(1).
		WithTopologyKey(topologyKey).
		WithWhenUnsatisfiable(corev1.ScheduleAnyway).
		WithMatchLabelKeys(appsv1.DefaultDeploymentUniqueLabelKey).
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(selector))
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
