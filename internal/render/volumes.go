package render

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// secretMode lets the servers' group read, and nobody else.
const secretMode = 0o440

// Names of the volumes.
const (
	configVolume       = "config"
	keyringVolume      = "keyring"
	stateVolume        = "state"
	challengesVolume   = "challenges"
	tlsVolume          = "tls"
	adminTLSVolume     = "admin-tls"
	adminBasicVolume   = "admin-basic"
	adminClientsVolume = "admin-clients"
	auditVolume        = "audit"
	// clientVolumePrefix is before the name of an RACredential.
	clientVolumePrefix = "client-"
	// keyringVolumePrefix likewise, of one whose generations devices may still use.
	keyringVolumePrefix = "keyring-"
)

// auditSize is more than a server fills: one that fills its volume is evicted.
var auditSize = *resource.NewQuantity(raconfig.AuditMaxBytes/3*4, resource.BinarySI)

func volumes(ep *v1alpha1.ScepEndpoint, keyrings []string) []*corev1ac.VolumeApplyConfiguration {
	out := []*corev1ac.VolumeApplyConfiguration{
		corev1ac.Volume().WithName(configVolume).WithConfigMap(
			corev1ac.ConfigMapVolumeSource().WithName(ConfigMapName(ep.Name))),
		secretVolume(keyringVolume, KeyringName(keyrings[0])),
		secretVolume(stateVolume, StateSecretName(ep.Name)),
		corev1ac.Volume().WithName(challengesVolume).WithProjected(
			corev1ac.ProjectedVolumeSource().WithDefaultMode(secretMode).WithSources(challengeProjections(ep)...)),
		corev1ac.Volume().WithName(auditVolume).WithEmptyDir(
			corev1ac.EmptyDirVolumeSource().WithSizeLimit(auditSize)),
	}
	if name := ServerTLSSecretName(ep); name != "" {
		out = append(out, secretVolume(tlsVolume, name))
	}
	if IsDirect(ep) {
		out = append(out, secretVolume(signerVolume, SignerClientSecretName(ep.Name)))
	}
	return slices.Concat(out, earlierKeyringVolumes(keyrings[1:]), clientVolumes(ep), adminVolumes(ep))
}

// earlierKeyringVolumes are optional: a keyring that was deleted must not keep a server
// from starting with the one that follows it.
func earlierKeyringVolumes(credentials []string) []*corev1ac.VolumeApplyConfiguration {
	var out []*corev1ac.VolumeApplyConfiguration
	for _, name := range credentials {
		out = append(out, optional(secretVolume(keyringVolumePrefix+name, KeyringName(name))))
	}
	return out
}

// MountedKeyrings are the names of the RACredentials whose keyrings a server's pod mounts.
func MountedKeyrings(pod *corev1.PodSpec) []string {
	var names []string
	for i := range pod.Volumes {
		v := &pod.Volumes[i]
		if v.Secret == nil || v.Name != keyringVolume && !strings.HasPrefix(v.Name, keyringVolumePrefix) {
			continue
		}
		if name, ok := strings.CutSuffix(v.Secret.SecretName, keyringSuffix); ok {
			names = append(names, name)
		}
	}
	return names
}

// keyrings are the RACredentials whose keyrings the servers mount.
func (in Input) keyrings() []string {
	if len(in.Keyrings) == 0 {
		return []string{CredentialName(in.Endpoint)}
	}
	return in.Keyrings
}

// clientVolumes are optional: a keyring that is missing must not keep a server from
// starting, whose other challenges may well be there.
func clientVolumes(ep *v1alpha1.ScepEndpoint) []*corev1ac.VolumeApplyConfiguration {
	var out []*corev1ac.VolumeApplyConfiguration
	for _, name := range allClientCredentials(ep) {
		out = append(out, optional(secretVolume(clientVolumePrefix+name, KeyringName(name))))
	}
	return out
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
	if admin.ClientCertificates != nil {
		ref := admin.ClientCertificates.CARef
		out = append(out, corev1ac.Volume().WithName(adminClientsVolume).WithConfigMap(corev1ac.ConfigMapVolumeSource().
			WithName(ref.Name).
			WithOptional(true).
			WithItems(corev1ac.KeyToPath().WithKey(ref.Key).WithPath(raconfig.CABundleFile))))
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

func volumeMounts(ep *v1alpha1.ScepEndpoint, keyrings []string) []*corev1ac.VolumeMountApplyConfiguration {
	out := []*corev1ac.VolumeMountApplyConfiguration{
		mount(configVolume, raconfig.ConfigDir),
		mount(keyringVolume, raconfig.KeyringDir),
		mount(stateVolume, raconfig.StateDir),
		mount(challengesVolume, raconfig.ChallengesDir),
		corev1ac.VolumeMount().WithName(auditVolume).WithMountPath(raconfig.AuditDir),
	}
	if ServerTLSSecretName(ep) != "" {
		out = append(out, mount(tlsVolume, raconfig.TLSDir))
	}
	if IsDirect(ep) {
		out = append(out, mount(signerVolume, raconfig.SignerDir))
	}
	for _, name := range keyrings[1:] {
		out = append(out, mount(keyringVolumePrefix+name, raconfig.KeyringsDir+"/"+name))
	}
	for _, name := range allClientCredentials(ep) {
		out = append(out, mount(clientVolumePrefix+name, raconfig.ClientsDir+"/"+name))
	}
	if admin := ep.Spec.Exposure.Admin; admin != nil {
		out = append(out, mount(adminTLSVolume, raconfig.AdminTLSDir))
		if admin.BasicAuthRef != nil {
			out = append(out, mount(adminBasicVolume, raconfig.AdminBasicDir))
		}
		if admin.ClientCertificates != nil {
			out = append(out, mount(adminClientsVolume, raconfig.AdminClientsDir))
		}
	}
	return out
}

func mount(volume, path string) *corev1ac.VolumeMountApplyConfiguration {
	return corev1ac.VolumeMount().WithName(volume).WithMountPath(path).WithReadOnly(true)
}
