package render

import (
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// signerComponent is the value of the labels of an endpoint's signers.
const signerComponent = "signer"

// defaultSigners is the default of the API, for an endpoint without the field direct.
const defaultSigners int32 = 2

// Names of the signers' volumes beside those that servers have.
const (
	signerVolume  = "signer"
	caVolume      = "ca"
	revokedVolume = "revoked"
)

// IsDirect says whether signers of the endpoint's own issue.
func IsDirect(ep *v1alpha1.ScepEndpoint) bool {
	return ep.Spec.Issuance.Mode == v1alpha1.IssuanceDirect
}

// SignerName is the name of the signers' Deployment, Service, ServiceAccount,
// PodDisruptionBudget and NetworkPolicy.
func SignerName(endpoint string) string { return endpoint + "-signer" }

// SignerSelector selects an endpoint's signer pods; a Deployment's can never change.
func SignerSelector(endpoint string) map[string]string {
	return map[string]string{LabelName: "scepter-signer", LabelInstance: endpoint, LabelComponent: signerComponent}
}

// SignerLabels are those of the signers' objects.
func SignerLabels(endpoint string) map[string]string {
	l := SignerSelector(endpoint)
	l[LabelManagedBy] = ManagedBy
	l[v1alpha1.LabelEndpoint] = endpoint
	return l
}

// Signers is how many signers an endpoint wants.
func Signers(ep *v1alpha1.ScepEndpoint) int32 {
	if d := ep.Spec.Issuance.Direct; d != nil && d.Replicas != nil {
		return *d.Replicas
	}
	return defaultSigners
}

// SignerDeployment runs the signers. They hold the CA's key, and need neither the
// API server nor any other service.
func SignerDeployment(ep *v1alpha1.ScepEndpoint, p Program, caSecret string) *appsv1ac.DeploymentApplyConfiguration {
	selector := SignerSelector(ep.Name)
	spec := basePod(ep, selector).
		WithServiceAccountName(SignerName(ep.Name)).
		WithAutomountServiceAccountToken(false).
		WithContainers(signerContainer(ep, p)).
		WithVolumes(signerVolumes(ep, caSecret)...)
	template := corev1ac.PodTemplateSpec().WithLabels(SignerLabels(ep.Name)).WithSpec(spec)
	return appsv1ac.Deployment(SignerName(ep.Name), ep.Namespace).
		WithLabels(SignerLabels(ep.Name)).
		WithAnnotations(generationOf(ep)).
		WithSpec(deploymentSpec(selector, template).WithReplicas(Signers(ep)))
}

func signerContainer(ep *v1alpha1.ScepEndpoint, p Program) *corev1ac.ContainerApplyConfiguration {
	direct := ep.Spec.Issuance.Direct
	if direct == nil {
		direct = &v1alpha1.DirectIssuance{}
	}
	return container(p, "signer", direct.Resources).
		WithName(signerComponent).
		WithPorts(containerPort(signerPortName, raconfig.SignerPort), containerPort(adminPortName, raconfig.AdminPort)).
		WithVolumeMounts(
			mount(configVolume, raconfig.ConfigDir),
			mount(stateVolume, raconfig.StateDir),
			mount(signerVolume, raconfig.SignerDir),
			mount(caVolume, raconfig.CADir),
			mount(revokedVolume, raconfig.RevokedDir))
}

// signerVolumes are no more than a signer needs: of the endpoint's own keys not the
// one that challenges are made with.
func signerVolumes(ep *v1alpha1.ScepEndpoint, caSecret string) []*corev1ac.VolumeApplyConfiguration {
	state := secretVolume(stateVolume, StateSecretName(ep.Name))
	state.Secret.WithItems(corev1ac.KeyToPath().WithKey(raconfig.HMACKeyFile).WithPath(raconfig.HMACKeyFile))
	return []*corev1ac.VolumeApplyConfiguration{
		corev1ac.Volume().WithName(configVolume).WithConfigMap(
			corev1ac.ConfigMapVolumeSource().WithName(ConfigMapName(ep.Name))),
		state,
		secretVolume(signerVolume, SignerServerSecretName(ep.Name)),
		secretVolume(caVolume, caSecret),
		corev1ac.Volume().WithName(revokedVolume).WithConfigMap(
			corev1ac.ConfigMapVolumeSource().WithName(RevokedName(ep.Name))),
	}
}
