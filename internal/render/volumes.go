package render

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// secretMode lets the servers' group read, and nobody else.
const secretMode = 0o440

// Names of the volumes.
const (
	configVolume     = "config"
	keyringVolume    = "keyring"
	stateVolume      = "state"
	challengesVolume = "challenges"
	tlsVolume        = "tls"
	adminTLSVolume   = "admin-tls"
	adminBasicVolume = "admin-basic"
)

func volumes(ep *v1alpha1.ScepEndpoint) []*corev1ac.VolumeApplyConfiguration {
	out := []*corev1ac.VolumeApplyConfiguration{
		corev1ac.Volume().WithName(configVolume).WithConfigMap(
			corev1ac.ConfigMapVolumeSource().WithName(ConfigMapName(ep.Name))),
		secretVolume(keyringVolume, KeyringName(CredentialName(ep))),
		secretVolume(stateVolume, StateSecretName(ep.Name)),
		corev1ac.Volume().WithName(challengesVolume).WithProjected(
			corev1ac.ProjectedVolumeSource().WithDefaultMode(secretMode).WithSources(challengeProjections(ep)...)),
	}
	if name := ServerTLSSecretName(ep); name != "" {
		out = append(out, secretVolume(tlsVolume, name))
	}
	return append(out, adminVolumes(ep)...)
}

// adminVolumes are optional: what serves management systems must not keep devices
// from being served.
func adminVolumes(ep *v1alpha1.ScepEndpoint) []*corev1ac.VolumeApplyConfiguration {
	admin := ep.Spec.Exposure.Admin
	if admin == nil {
		return nil
	}
	out := []*corev1ac.VolumeApplyConfiguration{optional(secretVolume(adminTLSVolume, AdminTLSSecretName(ep)))}
	if admin.BasicAuthRef != nil {
		out = append(out, optional(secretVolume(adminBasicVolume, admin.BasicAuthRef.Name)))
	}
	return out
}

func optional(v *corev1ac.VolumeApplyConfiguration) *corev1ac.VolumeApplyConfiguration {
	v.Secret.WithOptional(true)
	return v
}

func secretVolume(name, secret string) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(name).WithSecret(
		corev1ac.SecretVolumeSource().WithSecretName(secret).WithDefaultMode(secretMode))
}

func volumeMounts(ep *v1alpha1.ScepEndpoint) []*corev1ac.VolumeMountApplyConfiguration {
	out := []*corev1ac.VolumeMountApplyConfiguration{
		mount(configVolume, raconfig.ConfigDir),
		mount(keyringVolume, raconfig.KeyringDir),
		mount(stateVolume, raconfig.StateDir),
		mount(challengesVolume, raconfig.ChallengesDir),
	}
	if ServerTLSSecretName(ep) != "" {
		out = append(out, mount(tlsVolume, raconfig.TLSDir))
	}
	if admin := ep.Spec.Exposure.Admin; admin != nil {
		out = append(out, mount(adminTLSVolume, raconfig.AdminTLSDir))
		if admin.BasicAuthRef != nil {
			out = append(out, mount(adminBasicVolume, raconfig.AdminBasicDir))
		}
	}
	return out
}

func mount(volume, path string) *corev1ac.VolumeMountApplyConfiguration {
	return corev1ac.VolumeMount().WithName(volume).WithMountPath(path).WithReadOnly(true)
}
