package render

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// ContainerName is the name of the servers' container.
const ContainerName = "ra"

// defaultResources hold for an endpoint that names none.
var defaultResources = corev1.ResourceRequirements{
	Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("50m"),
		corev1.ResourceMemory: resource.MustParse("64Mi"),
	},
	Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
}

func serverContainer(ep *v1alpha1.ScepEndpoint, p Program, keyrings []string) *corev1ac.ContainerApplyConfiguration {
	return container(p, "serve", ep.Spec.Server.Resources).
		WithName(ContainerName).
		WithPorts(containerPorts(ep)...).
		WithVolumeMounts(volumeMounts(ep, keyrings)...)
}

// container runs a command of the program; resources may be nil.
func container(p Program, command string, wanted *corev1.ResourceRequirements) *corev1ac.ContainerApplyConfiguration {
	resources := defaultResources
	if wanted != nil {
		resources = *wanted
	}
	c := corev1ac.Container().
		WithImage(p.Image).
		WithArgs(command).
		WithEnv(environment(resources)...).
		WithResources(corev1ac.ResourceRequirements().WithRequests(resources.Requests).WithLimits(resources.Limits)).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))).
		WithStartupProbe(probe("/livez", 1, 60)).
		WithLivenessProbe(probe("/livez", 10, 3).WithTerminationGracePeriodSeconds(hungGraceSeconds)).
		WithReadinessProbe(probe("/readyz", 2, 2))
	if p.PullPolicy != "" {
		c.WithImagePullPolicy(p.PullPolicy)
	}
	return c
}

func environment(r corev1.ResourceRequirements) []*corev1ac.EnvVarApplyConfiguration {
	env := []*corev1ac.EnvVarApplyConfiguration{
		corev1ac.EnvVar().WithName("POD_NAME").WithValueFrom(
			corev1ac.EnvVarSource().WithFieldRef(corev1ac.ObjectFieldSelector().WithFieldPath("metadata.name"))),
	}
	if limit, ok := r.Limits[corev1.ResourceMemory]; ok {
		env = append(env, corev1ac.EnvVar().WithName("GOMEMLIMIT").WithValue(goMemoryLimit(limit)))
	}
	return env
}

// goMemoryLimit leaves a tenth of the container's limit to what Go's runtime does not count.
func goMemoryLimit(limit resource.Quantity) string {
	return strconv.FormatInt(limit.Value()/10*9, 10)
}

// IsServer says whether a container of this name is what the operator runs, server or
// signer, rather than something that was injected beside it.
func IsServer(container string) bool {
	return container == ContainerName || container == signerComponent
}

func containerPorts(ep *v1alpha1.ScepEndpoint) []*corev1ac.ContainerPortApplyConfiguration {
	ports := []*corev1ac.ContainerPortApplyConfiguration{containerPort(httpPortName, raconfig.DevicePort)}
	if serversEndTLS(ep) {
		ports = append(ports, containerPort(httpsPortName, raconfig.DeviceTLSPort))
	}
	if ep.Spec.Exposure.Admin != nil {
		ports = append(ports, containerPort(mintPortName, raconfig.MintPort))
	}
	return append(ports, containerPort(adminPortName, raconfig.AdminPort))
}

func containerPort(name string, port int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(port).WithProtocol(corev1.ProtocolTCP)
}

// hungGraceSeconds is how long a program that does not answer has to end: one that hangs
// drains nothing.
const hungGraceSeconds = 5

func probe(path string, periodSeconds, failures int32) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(adminPortName))).
		WithPeriodSeconds(periodSeconds).
		WithTimeoutSeconds(5).
		WithFailureThreshold(failures)
}
