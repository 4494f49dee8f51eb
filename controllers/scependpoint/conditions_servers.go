package scependpoint

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
)

// credentialReady says whether the servers have a valid RA credential to show.
// A rollover does not make it False: the earlier generation serves meanwhile.
func credentialReady(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan) metav1.Condition {
	const ready = v1alpha1.ConditionCredentialReady
	name := render.CredentialName(ep)
	credential := seen.credential.value
	switch {
	case seen.credential.err != nil || seen.keyring.err != nil || seen.config.err != nil:
		return conditions.Unknown(ready, v1alpha1.ReasonReadFailed, fmt.Sprintf("RACredential %s or its keyring could not be read; %s", name, tryAgain))
	case credential == nil && ep.Spec.RACredentialRef == nil:
		return conditions.False(ready, v1alpha1.ReasonProgressing, fmt.Sprintf("RACredential %s is being made", name))
	case credential == nil:
		return conditions.False(ready, v1alpha1.ReasonCredentialNotFound, fmt.Sprintf(
			"RACredential %s does not exist in namespace %s: create it, or leave raCredentialRef out to have one made", name, ep.Namespace))
	case credential.Spec.Purpose != v1alpha1.PurposeRA:
		return conditions.False(ready, v1alpha1.ReasonCredentialPurpose, fmt.Sprintf(
			"RACredential %s is of purpose %s: name one of purpose RA", name, credential.Spec.Purpose))
	case p.rollover.expired:
		return conditions.False(ready, v1alpha1.ReasonExpired, fmt.Sprintf(
			"every generation of RACredential %s has expired: %s", name, whyNotReady(credential)))
	case p.rollover.active == "" || findUsable(seen, p) == nil:
		return conditions.False(ready, v1alpha1.ReasonCredentialNotReady, fmt.Sprintf(
			"RACredential %s has no usable generation: %s", name, whyNotReady(credential)))
	case p.rollover.next != "":
		return conditions.True(ready, v1alpha1.ReasonRollingOver, rollingOver(p))
	}
	return conditions.True(ready, v1alpha1.ReasonSucceeded, fmt.Sprintf("generation %s of RACredential %s is shown", p.rollover.active, name))
}

func findUsable(seen *observation, p *plan) *v1alpha1.CredentialGeneration {
	return findGeneration(seen.credential.value.Status.Generations, p.rollover.active)
}

func whyNotReady(credential *v1alpha1.RACredential) string {
	c := conditions.Find(credential.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status == metav1.ConditionTrue {
		return "wait for it, or see its conditions"
	}
	return strings.TrimRight(c.Message, ". ")
}

func rollingOver(p *plan) string {
	return fmt.Sprintf("generation %s is shown; %s is held by %d/%d servers, missing: %s; it is shown when all hold it",
		p.rollover.active, p.rollover.next, p.rollover.held, p.rollover.of, bounded(p.rollover.missing))
}

// serversAvailable says whether enough servers serve the current configuration:
// all but one, and at least one. The Deployment never takes one away before
// another is ready, so this stays True through a rollout of ours only when it has ended.
func serversAvailable(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan) metav1.Condition {
	const available = v1alpha1.ConditionServersAvailable
	wanted := ptr.Deref(ep.Spec.Server.Replicas, 1)
	deployment := seen.deployment.value
	switch {
	case seen.deployment.err != nil || seen.replicas.err != nil:
		return conditions.Unknown(available, v1alpha1.ReasonReadFailed, "the Deployment or its pods could not be read; "+tryAgain)
	case wanted == 0:
		return conditions.False(available, v1alpha1.ReasonScaledToZero, "spec.server.replicas is 0, so no server answers: set it to 1 or more")
	case deployment == nil && p.config == nil:
		return conditions.False(available, v1alpha1.ReasonProgressing, "the servers start when Accepted and CredentialReady are True")
	case deployment == nil:
		return conditions.False(available, v1alpha1.ReasonProgressing, "the servers are being started")
	}
	if c, bad := rolloutProblem(deployment, *seen.replicas.value, wanted); bad {
		return c
	}
	return configLoaded(*seen.replicas.value, p, needed(wanted))
}

func needed(wanted int32) int { return max(1, int(wanted)-1) }

func rolloutProblem(d *appsv1.Deployment, replicas []replica, wanted int32) (metav1.Condition, bool) {
	const available = v1alpha1.ConditionServersAvailable
	if c, bad := deploymentFailure(d, replicas); bad {
		return c, true
	}
	if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < wanted {
		return conditions.False(available, v1alpha1.ReasonProgressing, fmt.Sprintf(
			"%d of %d servers run the current revision%s", d.Status.UpdatedReplicas, wanted, waitingFor(replicas))), true
	}
	if int(d.Status.AvailableReplicas) < needed(wanted) {
		return conditions.False(available, v1alpha1.ReasonServersUnavailable, fmt.Sprintf(
			"%d of %d servers are available%s; see their events and logs", d.Status.AvailableReplicas, wanted, waitingFor(replicas))), true
	}
	return metav1.Condition{}, false
}

// deploymentFailure repeats what Kubernetes says of a rollout that does not go on: a quota, say.
func deploymentFailure(d *appsv1.Deployment, replicas []replica) (metav1.Condition, bool) {
	for _, c := range d.Status.Conditions {
		stuck := c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse
		if stuck || c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return conditions.False(v1alpha1.ConditionServersAvailable, v1alpha1.ReasonServersUnavailable, fmt.Sprintf(
				"the Deployment does not get on: %s%s; see the events of its pods", strings.TrimRight(c.Message, ". "), waitingFor(replicas))), true
		}
	}
	return metav1.Condition{}, false
}

func waitingFor(replicas []replica) string {
	for _, r := range replicas {
		if r.waiting != "" {
			return ", a pod waits: " + r.waiting
		}
	}
	return ""
}

// configLoaded asks whether enough ready servers have loaded the configuration.
// One that serves the current spec counts even while it loads what is not of the
// spec's making, such as the next step of a rollover.
func configLoaded(replicas []replica, p *plan, need int) metav1.Condition {
	const available = v1alpha1.ConditionServersAvailable
	var current, ready int
	var behind, problems []string
	for _, r := range replicas {
		if !r.ready {
			continue
		}
		ready++
		if serves(r, p) {
			current++
			continue
		}
		behind = append(behind, r.name)
		if r.status != nil {
			problems = append(problems, r.status.Problems...)
		}
	}
	switch {
	case current >= need:
		return conditions.True(available, v1alpha1.ReasonSucceeded, "enough servers serve the current configuration")
	case len(problems) > 0:
		return conditions.False(available, v1alpha1.ReasonServersUnavailable, "a server cannot use the configuration: "+problems[0])
	}
	return conditions.False(available, v1alpha1.ReasonProgressing, fmt.Sprintf(
		"%d of %d ready servers report the current configuration, missing: %s", current, ready, bounded(behind)))
}

func serves(r replica, p *plan) bool {
	switch {
	case r.status == nil:
		return false
	case p.config == nil:
		return r.status.ConfigHash != ""
	case r.status.ConfigHash == p.configHash:
		return true
	}
	return r.status.ConfigGeneration == p.config.Endpoint.Generation && len(r.status.Problems) == 0
}
