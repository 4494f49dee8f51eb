package scependpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// challengeFact says whether what a challenge needs is there.
type challengeFact struct {
	challenge   v1alpha1.Challenge
	sources     []sourceFact
	credentials []clientCredentialFact
}

// sourceFact is what was seen of a Secret or ConfigMap that a challenge needs.
type sourceFact struct {
	render.ChallengeSource
	seen secretFact
}

// allowed says whether a Secret's values may be sent to a service.
func (s sourceFact) allowed() bool { return !s.Sent || s.seen.labelled }

func (s sourceFact) complete() bool { return s.seen.found && s.seen.hasKeys && s.allowed() }

func (c challengeFact) complete() bool {
	return !slices.ContainsFunc(c.sources, func(s sourceFact) bool { return !s.complete() }) &&
		!slices.ContainsFunc(c.credentials, func(c clientCredentialFact) bool { return !c.usable() })
}

func (c challengeFact) readErrors() []error {
	var errs []error
	for _, s := range c.sources {
		errs = append(errs, s.seen.err)
	}
	for _, credential := range c.credentials {
		errs = append(errs, credential.err())
	}
	return errs
}

// unread says that a read failed, and nothing else is wrong as far as is known.
func (c challengeFact) unread() bool {
	failed := false
	for _, s := range c.sources {
		if s.seen.err == nil && !s.complete() {
			return false
		}
		failed = failed || s.seen.err != nil
	}
	for _, credential := range c.credentials {
		if credential.err() == nil && !credential.usable() {
			return false
		}
		failed = failed || credential.err() != nil
	}
	return failed
}

func (r *Reconciler) observeChallenges(ctx context.Context, ep *v1alpha1.ScepEndpoint) []challengeFact {
	out := make([]challengeFact, 0, len(ep.Spec.Challenges))
	for _, c := range ep.Spec.Challenges {
		fact := challengeFact{challenge: c, credentials: r.observeClientCredentials(ctx, ep.Namespace, c)}
		for _, s := range render.ChallengeSources(c) {
			fact.sources = append(fact.sources, sourceFact{s, r.observeSource(ctx, ep.Namespace, s)})
		}
		out = append(out, fact)
	}
	return out
}

func (r *Reconciler) observeSource(ctx context.Context, namespace string, s render.ChallengeSource) secretFact {
	if s.Secret != "" {
		return r.observeSecret(ctx, namespace, s.Secret, s.Keys()...)
	}
	return r.observeBundle(ctx, namespace, s.ConfigMap, s.Keys()...)
}

// observeBundle reads a ConfigMap of the user's own, with CA certificates.
func (r *Reconciler) observeBundle(ctx context.Context, namespace, name string, keys ...string) secretFact {
	seen := get(ctx, r.live, namespace, name, &corev1.ConfigMap{})
	if seen.value == nil {
		return secretFact{err: seen.err}
	}
	lacks := func(key string) bool { return strings.TrimSpace(seen.value.Data[key]) == "" }
	fact := secretFact{found: true, hasKeys: !slices.ContainsFunc(keys, lacks), version: version(seen.value)}
	for _, key := range keys {
		fact.findings = append(fact.findings, sentences(pkifacts.ReadBundle([]byte(seen.value.Data[key])).FindingsAt(r.clock.Now()))...)
	}
	return fact
}

// usableChallenges are those that have what they need. One that could not be read
// now stays if the servers have it: they must not forget whom to notify.
func usableChallenges(seen *observation) []v1alpha1.Challenge {
	var out []v1alpha1.Challenge
	for _, c := range seen.challenges {
		if c.complete() || c.unread() && isConfigured(seen.config.value, c.challenge.Name) {
			out = append(out, c.challenge)
		}
	}
	return out
}

func isConfigured(config *raconfig.Config, name string) bool {
	return config != nil && slices.ContainsFunc(config.Challenges, func(c raconfig.Challenge) bool { return c.Name == name })
}

// challengeProblem is the first thing that a challenge lacks.
func challengeProblem(namespace string, fact challengeFact) (metav1.Condition, bool) {
	for _, s := range fact.sources {
		if c, bad := s.problem(namespace, "challenge "+fact.challenge.Name); bad {
			return c, true
		}
	}
	for _, credential := range fact.credentials {
		if c, bad := credential.problem(namespace, fact.challenge.Name); bad {
			return c, true
		}
	}
	return metav1.Condition{}, false
}

// problem names the source and what it is for.
func (s sourceFact) problem(namespace, owner string) (metav1.Condition, bool) {
	const accepted = v1alpha1.ConditionAccepted
	what, reason := "Secret "+s.Secret, v1alpha1.ReasonChallengeSecretNotFound
	if s.ConfigMap != "" {
		what, reason = "ConfigMap "+s.ConfigMap, v1alpha1.ReasonCABundleNotFound
	}
	switch {
	case s.seen.err != nil:
		return conditions.Unknown(accepted, v1alpha1.ReasonReadFailed, fmt.Sprintf("%s of %s could not be read; %s", what, owner, tryAgain)), true
	case !s.seen.found:
		return conditions.False(accepted, reason, fmt.Sprintf(
			"%s of %s does not exist in namespace %s: create it, or correct the reference", what, owner, namespace)), true
	case !s.seen.hasKeys:
		return conditions.False(accepted, reason, fmt.Sprintf(
			"%s of %s needs the keys %s, and one is missing or empty: add it, or correct the reference", what, owner, strings.Join(s.Keys(), ", "))), true
	case !s.allowed():
		return conditions.False(accepted, v1alpha1.ReasonChallengeSecretNotLabelled, fmt.Sprintf(
			"%s of %s would be sent to a service, and lacks the label that allows it: label it %s=true", what, owner, v1alpha1.LabelChallengeCredentials)), true
	}
	return metav1.Condition{}, false
}
