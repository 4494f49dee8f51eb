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
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// challengeFact says whether what a challenge needs is there.
type challengeFact struct {
	challenge v1alpha1.Challenge
	sources   []sourceFact
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
	return !slices.ContainsFunc(c.sources, func(s sourceFact) bool { return !s.complete() })
}

func (c challengeFact) readErrors() []error {
	var errs []error
	for _, s := range c.sources {
		errs = append(errs, s.seen.err)
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
	return failed
}

func (r *Reconciler) observeChallenges(ctx context.Context, ep *v1alpha1.ScepEndpoint) []challengeFact {
	out := make([]challengeFact, 0, len(ep.Spec.Challenges))
	for _, c := range ep.Spec.Challenges {
		fact := challengeFact{challenge: c}
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
	seen := get(ctx, r.live, namespace, s.ConfigMap, &corev1.ConfigMap{})
	if seen.value == nil {
		return secretFact{err: seen.err}
	}
	lacks := func(key string) bool { return strings.TrimSpace(seen.value.Data[key]) == "" }
	return secretFact{found: true, hasKeys: !slices.ContainsFunc(s.Keys(), lacks), version: version(seen.value)}
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
		if c, bad := s.problem(namespace, fact.challenge.Name); bad {
			return c, true
		}
	}
	return metav1.Condition{}, false
}

func (s sourceFact) problem(namespace, challenge string) (metav1.Condition, bool) {
	const accepted = v1alpha1.ConditionAccepted
	what, reason := "Secret "+s.Secret, v1alpha1.ReasonChallengeSecretNotFound
	if s.ConfigMap != "" {
		what, reason = "ConfigMap "+s.ConfigMap, v1alpha1.ReasonCABundleNotFound
	}
	switch {
	case s.seen.err != nil:
		return conditions.Unknown(accepted, v1alpha1.ReasonReadFailed, fmt.Sprintf("%s of challenge %s could not be read; %s", what, challenge, tryAgain)), true
	case !s.seen.found:
		return conditions.False(accepted, reason, fmt.Sprintf(
			"%s of challenge %s does not exist in namespace %s: create it, or correct the reference", what, challenge, namespace)), true
	case !s.seen.hasKeys:
		return conditions.False(accepted, reason, fmt.Sprintf(
			"%s of challenge %s needs the keys %s, and one is missing or empty: add it, or correct the reference", what, challenge, strings.Join(s.Keys(), ", "))), true
	case !s.allowed():
		return conditions.False(accepted, v1alpha1.ReasonChallengeSecretNotLabelled, fmt.Sprintf(
			"%s of challenge %s would be sent to a service, and lacks the label that allows it: label it %s=true", what, challenge, v1alpha1.LabelChallengeCredentials)), true
	}
	return metav1.Condition{}, false
}
