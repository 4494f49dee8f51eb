package render

import (
	"maps"
	"slices"
	"time"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// ChallengeSource is an object that files of a challenge come from.
type ChallengeSource struct {
	// Secret or ConfigMap is the object's name; the other is empty.
	Secret, ConfigMap string
	// Sent is true where its values go to a service outside: such a Secret needs
	// LabelChallengeCredentials.
	Sent bool
	// Files are the keys that are needed, and the files that they become.
	Files []ChallengeFile
}

// ChallengeFile is a key and the file that it becomes in the challenge's directory.
type ChallengeFile struct{ Key, File string }

// Keys that are needed.
func (s ChallengeSource) Keys() []string {
	keys := make([]string, len(s.Files))
	for i, f := range s.Files {
		keys[i] = f.Key
	}
	return keys
}

// ChallengeSources are the objects that a challenge needs.
func ChallengeSources(c v1alpha1.Challenge) []ChallengeSource {
	switch {
	case c.Static != nil:
		ref := c.Static.SecretRef
		return []ChallengeSource{{Secret: ref.Name, Files: []ChallengeFile{{ref.Key, raconfig.PasswordFile}}}}
	case c.Webhook != nil:
		return webhookSources(c.Webhook)
	case c.Intune != nil:
		return intuneSources(c.Intune)
	}
	return nil
}

func webhookSources(w *v1alpha1.WebhookChallenge) []ChallengeSource {
	out := targetSources(w.WebhookTarget, "")
	if w.Notification != nil {
		out = append(out, targetSources(w.Notification.WebhookTarget, raconfig.NotificationPrefix)...)
	}
	return append(out, bundleSources(w.CABundleRef)...)
}

// targetSources leave out what an RACredential gives: that is mounted by itself.
func targetSources(t v1alpha1.WebhookTarget, prefix string) []ChallengeSource {
	if t.SecretRef == nil {
		return nil
	}
	source := ChallengeSource{Secret: t.SecretRef.Name, Sent: true}
	for _, way := range slices.Sorted(slices.Values(t.Authentication)) {
		if way == v1alpha1.WebhookClientCertificate && t.ClientCertificateRef != nil {
			continue
		}
		for _, file := range raconfig.WebhookFiles[way] {
			source.Files = append(source.Files, ChallengeFile{file, prefix + file})
		}
	}
	return []ChallengeSource{source}
}

// ClientCredentials are the RACredentials with which a challenge's webhooks are called.
func ClientCredentials(c v1alpha1.Challenge) []string {
	if c.Webhook == nil {
		return nil
	}
	targets := []v1alpha1.WebhookTarget{c.Webhook.WebhookTarget}
	if n := c.Webhook.Notification; n != nil {
		targets = append(targets, n.WebhookTarget)
	}
	var out []string
	for _, t := range targets {
		if ref := t.ClientCertificateRef; ref != nil && !slices.Contains(out, ref.Name) {
			out = append(out, ref.Name)
		}
	}
	return out
}

// allClientCredentials are those of all challenges, each once.
func allClientCredentials(ep *v1alpha1.ScepEndpoint) []string {
	var out []string
	for _, c := range ep.Spec.Challenges {
		out = append(out, ClientCredentials(c)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func intuneSources(i *v1alpha1.IntuneChallenge) []ChallengeSource {
	var out []ChallengeSource
	if i.SecretRef != nil {
		source := ChallengeSource{Secret: i.SecretRef.Name, Sent: true}
		for _, file := range raconfig.IntuneFiles[i.Authentication] {
			source.Files = append(source.Files, ChallengeFile{file, file})
		}
		out = append(out, source)
	}
	return append(out, bundleSources(i.CABundleRef)...)
}

func bundleSources(ref *v1alpha1.ConfigMapKeyReference) []ChallengeSource {
	if ref == nil {
		return nil
	}
	return []ChallengeSource{{ConfigMap: ref.Name, Files: []ChallengeFile{{ref.Key, raconfig.CABundleFile}}}}
}

// challengeProjections are optional: an object that is missing must not keep a
// server from starting, whose other challenges may well be there.
func challengeProjections(ep *v1alpha1.ScepEndpoint) []*corev1ac.VolumeProjectionApplyConfiguration {
	var out []*corev1ac.VolumeProjectionApplyConfiguration
	for _, challenge := range ep.Spec.Challenges {
		for _, source := range ChallengeSources(challenge) {
			out = append(out, project(source, challenge.Name))
		}
		if i := challenge.Intune; i != nil && i.Authentication == v1alpha1.IntuneWorkloadIdentity {
			out = append(out, projectToken(challenge))
		}
	}
	recording := RecordingSources(ep)
	for _, directory := range slices.Sorted(maps.Keys(recording)) {
		for _, source := range recording[directory] {
			out = append(out, project(source, directory))
		}
	}
	return out
}

func project(s ChallengeSource, directory string) *corev1ac.VolumeProjectionApplyConfiguration {
	items := make([]*corev1ac.KeyToPathApplyConfiguration, len(s.Files))
	for i, f := range s.Files {
		items[i] = corev1ac.KeyToPath().WithKey(f.Key).WithPath(directory + "/" + f.File)
	}
	if s.ConfigMap != "" {
		return corev1ac.VolumeProjection().WithConfigMap(
			corev1ac.ConfigMapProjection().WithName(s.ConfigMap).WithOptional(true).WithItems(items...))
	}
	return corev1ac.VolumeProjection().WithSecret(
		corev1ac.SecretProjection().WithName(s.Secret).WithOptional(true).WithItems(items...))
}

const (
	// defaultTokenAudience is what Microsoft Entra ID expects of a federated credential.
	defaultTokenAudience = "api://AzureADTokenExchange"
	// tokenSeconds is how long a service account token is good; the kubelet renews it earlier.
	tokenSeconds = 3600
)

// projectToken gives the servers a token of their own service account, for one audience.
func projectToken(c v1alpha1.Challenge) *corev1ac.VolumeProjectionApplyConfiguration {
	audience := defaultTokenAudience
	if urls := c.Intune.URLs; urls != nil && urls.TokenAudience != "" {
		audience = urls.TokenAudience
	}
	return corev1ac.VolumeProjection().WithServiceAccountToken(corev1ac.ServiceAccountTokenProjection().
		WithAudience(audience).
		WithExpirationSeconds(tokenSeconds).
		WithPath(c.Name + "/" + raconfig.TokenFile))
}

func configWebhook(w *v1alpha1.WebhookChallenge) *raconfig.Webhook {
	out := &raconfig.Webhook{
		Hook:           configHook(w.WebhookTarget),
		CABundle:       w.CABundleRef != nil,
		TimeoutSeconds: int32(w.Timeout.Duration / time.Second),
	}
	if n := w.Notification; n != nil {
		out.Notification = &raconfig.WebhookNotification{Hook: configHook(n.WebhookTarget), Required: n.Required}
	}
	return out
}

func configHook(t v1alpha1.WebhookTarget) raconfig.Hook {
	hook := raconfig.Hook{URL: t.URL, ID: t.ID, Authentication: t.Authentication}
	if t.ClientCertificateRef != nil {
		hook.ClientCredential, hook.ClientProbe = t.ClientCertificateRef.Name, t.ClientProbe
	}
	return hook
}

func configIntune(i *v1alpha1.IntuneChallenge) *raconfig.Intune {
	out := &raconfig.Intune{
		TenantID:             i.TenantID,
		ClientID:             i.ClientID,
		Authentication:       i.Authentication,
		NotificationRequired: i.RequireNotification == nil || *i.RequireNotification,
		TimeoutSeconds:       int32(i.Timeout.Duration / time.Second),
		CABundle:             i.CABundleRef != nil,
	}
	if u := i.URLs; u != nil {
		out.URLs = raconfig.IntuneURLs{Authority: u.Authority, Graph: u.Graph, GraphScope: u.GraphScope, IntuneScope: u.IntuneScope}
	}
	return out
}
