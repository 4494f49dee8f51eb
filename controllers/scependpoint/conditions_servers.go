package scependpoint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// credentialReady says whether the servers have a valid RA credential to show.
// A rollover does not make it False: the earlier generation serves meanwhile.
func credentialReady(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan) metav1.Condition {
	const ready = v1alpha1.ConditionCredentialReady
	name := render.CredentialName(ep)
	credential := seen.credential.value
	switch {
	case seen.credential.err != nil || seen.keyring.err != nil || seen.config.err != nil || earlierUnread(seen):
		return conditions.Unknown(ready, v1alpha1.ReasonReadFailed, fmt.Sprintf("RACredential %s or its keyring could not be read; %s", name, tryAgain))
	case credential == nil && ep.Spec.RACredentialRef == nil:
		return conditions.False(ready, v1alpha1.ReasonProgressing, fmt.Sprintf("RACredential %s is being made", name))
	case credential == nil:
		return conditions.False(ready, v1alpha1.ReasonCredentialNotFound, fmt.Sprintf(
			"RACredential %s does not exist in namespace %s: create it, or leave raCredentialRef out to have one made%s", name, ep.Namespace, meanwhile(p, name)))
	case credential.Spec.Purpose != v1alpha1.PurposeRA:
		return conditions.False(ready, v1alpha1.ReasonCredentialPurpose, fmt.Sprintf(
			"RACredential %s is of purpose %s: name one of purpose RA%s", name, credential.Spec.Purpose, meanwhile(p, name)))
	case p.rollover.Stage == rotation.StageExpired:
		return conditions.False(ready, v1alpha1.ReasonExpired, fmt.Sprintf(
			"every generation of RACredential %s has expired: %s", name, whyNotReady(credential)))
	case p.rollover.Stage == rotation.StageNone, p.rollover.Credential != name && p.rollover.Next == "":
		return conditions.False(ready, v1alpha1.ReasonCredentialNotReady, fmt.Sprintf(
			"RACredential %s has no usable generation: %s%s", name, whyNotReady(credential), meanwhile(p, name)))
	}
	return switching(seen, p.rollover)
}

func earlierUnread(seen *observation) bool {
	return slices.ContainsFunc(seen.earlier, func(c credentialFact) bool { return c.err() != nil })
}

// meanwhile says what serves while the RACredential that is referred to cannot.
func meanwhile(p *plan, name string) string {
	if p.rollover.Active == "" || p.rollover.Credential == name {
		return ""
	}
	return fmt.Sprintf("; meanwhile generation %s of RACredential %s is shown", p.rollover.Active, p.rollover.Credential)
}

// switching says how far a rollover is; in each stage something is shown that serves.
func switching(seen *observation, to *rotation.SwitchPlan) metav1.Condition {
	const ready = v1alpha1.ConditionCredentialReady
	switch to.Stage {
	case rotation.StageLoading:
		return conditions.True(ready, v1alpha1.ReasonRollingOver, fmt.Sprintf("%s; it is shown when all hold it, or else at %s", held(to), at(to.Deadline)))
	case rotation.StageStuck:
		return conditions.True(ready, v1alpha1.ReasonRolloverStuck, fmt.Sprintf("%s, which takes too long: %s. Until then, %s at the latest, the earlier one stays",
			held(to), whyStuck(seen, to), at(to.Deadline)))
	case rotation.StageForced:
		return conditions.True(ready, v1alpha1.ReasonRolloverForced, fmt.Sprintf(
			"generation %s of RACredential %s is shown, but these servers have not loaded it: %s. Devices that come to them may be refused: see their logs, or delete the pods, and new ones take their place",
			to.Active, to.Credential, bounded(to.Missing)))
	}
	return conditions.True(ready, v1alpha1.ReasonSucceeded, fmt.Sprintf("generation %s of RACredential %s is shown", to.Active, to.Credential))
}

func held(to *rotation.SwitchPlan) string {
	next := to.Next
	if to.NextCredential != to.Credential {
		next += " of RACredential " + to.NextCredential
	}
	return fmt.Sprintf("generation %s is shown; %s is held by %d/%d servers, missing: %s", to.Active, next, to.Held, to.Of, bounded(to.Missing))
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func whyStuck(seen *observation, to *rotation.SwitchPlan) string {
	switch d := seen.deployment.value; {
	case d != nil && d.Spec.Paused:
		return fmt.Sprintf("Deployment %s is paused: resume it", d.Name)
	case len(to.NotMounted) > 0:
		return "the Deployment has not replaced servers that do not mount this RACredential's keyring: see ServersAvailable"
	}
	return "no server that answers has loaded it: see the events of the pods, and the kubelet's logs"
}

func whyNotReady(credential *v1alpha1.RACredential) string {
	c := conditions.Find(credential.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status == metav1.ConditionTrue {
		return "wait for it, or see its conditions"
	}
	return strings.TrimRight(c.Message, ". ")
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
	if c, bad := rolloutProblem(raCrew, deployment, *seen.replicas.value, wanted); bad {
		return c
	}
	loaded := configLoaded(raCrew, *seen.replicas.value, p, needed(wanted))
	if ep = effective(ep, seen); loaded.Status != metav1.ConditionTrue || !render.IsDirect(ep) {
		return loaded
	}
	return signersAvailable(ep, seen, p)
}

// crew is how messages call those of whom there are several.
type crew string

const (
	raCrew     crew = "server"
	signerCrew crew = "signer"
)

func needed(wanted int32) int { return max(1, int(wanted)-1) }

func rolloutProblem(who crew, d *appsv1.Deployment, replicas []replica, wanted int32) (metav1.Condition, bool) {
	const available = v1alpha1.ConditionServersAvailable
	if c, bad := deploymentFailure(who, d, replicas); bad {
		return c, true
	}
	if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < wanted {
		return conditions.False(available, v1alpha1.ReasonProgressing, fmt.Sprintf(
			"%d of %d %ss run the current revision%s", d.Status.UpdatedReplicas, wanted, who, waitingFor(replicas))), true
	}
	if int(d.Status.AvailableReplicas) < needed(wanted) {
		return conditions.False(available, v1alpha1.ReasonServersUnavailable, fmt.Sprintf(
			"%d of %d %ss are available%s; see their events and logs", d.Status.AvailableReplicas, wanted, who, waitingFor(replicas))), true
	}
	return metav1.Condition{}, false
}

// deploymentFailure repeats what Kubernetes says of a rollout that does not go on: a quota, say.
func deploymentFailure(who crew, d *appsv1.Deployment, replicas []replica) (metav1.Condition, bool) {
	for _, c := range d.Status.Conditions {
		stuck := c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse
		if stuck || c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return conditions.False(v1alpha1.ConditionServersAvailable, v1alpha1.ReasonServersUnavailable, fmt.Sprintf(
				"the Deployment of the %ss does not get on: %s%s; see the events of its pods", who, strings.TrimRight(c.Message, ". "), waitingFor(replicas))), true
		}
	}
	return metav1.Condition{}, false
}

// waitingFor is what keeps a pod from serving, in the words of Kubernetes or its own: a new
// one, say, that cannot use the configuration, and so does not take the place of another.
func waitingFor(replicas []replica) string {
	for _, r := range replicas {
		switch {
		case r.waiting != "":
			return ", a pod waits: " + r.waiting
		case !r.ready && r.status != nil && len(r.status.Problems) > 0:
			return ", a pod is not ready: " + r.status.Problems[0]
		}
	}
	return ""
}

// configLoaded asks whether enough ready servers have loaded the configuration.
// One that serves the current spec counts even while it loads what is not of the
// spec's making, such as the next step of a rollover.
func configLoaded(who crew, replicas []replica, p *plan, need int) metav1.Condition {
	const available = v1alpha1.ConditionServersAvailable
	var current, ready int
	var behind, problems, refused []string
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
		if why := refusal(r, p); why != "" {
			refused = append(refused, why)
		}
		if r.status != nil {
			problems = append(problems, r.status.Problems...)
		}
	}
	switch {
	case current >= need && len(refused) > 0:
		return conditions.True(available, v1alpha1.ReasonConfigRefused, fmt.Sprintf(
			"enough %ss have the current configuration, but one cannot use it and goes on with the last one that it could: %s", who, refused[0]))
	case current >= need:
		return conditions.True(available, v1alpha1.ReasonSucceeded, fmt.Sprintf("enough %ss have the current configuration", who))
	case len(problems) > 0:
		return conditions.False(available, v1alpha1.ReasonServersUnavailable, fmt.Sprintf("a %s cannot use the configuration: %s", who, problems[0]))
	}
	return conditions.False(available, v1alpha1.ReasonProgressing, fmt.Sprintf(
		"%d of %d ready %ss report the current configuration, missing: %s", current, ready, who, bounded(behind)))
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
