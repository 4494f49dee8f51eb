package scependpoint

import (
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
)

// counted are the conditions that make up Ready, in the order in which a person
// would repair them.
var counted = []string{
	v1alpha1.ConditionAccepted,
	v1alpha1.ConditionIssuerReady,
	v1alpha1.ConditionCredentialReady,
	v1alpha1.ConditionServersAvailable,
	v1alpha1.ConditionExposed,
}

// stalledBy are the reasons that no waiting helps against: the user has to change
// the endpoint, or an object whose name is in the way.
var stalledBy = sets.New(
	v1alpha1.ReasonIssuersDiffer,
	v1alpha1.ReasonModeCannot,
	v1alpha1.ReasonUnsupportedIssuer,
	v1alpha1.ReasonCredentialPurpose,
	v1alpha1.ReasonScaledToZero,
	v1alpha1.ReasonHostConflict,
	v1alpha1.ReasonNotOwned,
	v1alpha1.ReasonContested,
)

const tryAgain = "the operator's log says why, and it tries again"

// endpointConditions computes the complete set, from observations only.
func endpointConditions(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan, d *done, now time.Time) []metav1.Condition {
	conds := []metav1.Condition{
		accepted(ep, seen, now),
		orTrial(issuerReady(ep, seen, authoritiesOf(seen, p.config, issuingCA(ep, seen, now)), now), ep, p.trials),
		orWriteFailure(orClientTrouble(credentialReady(ep, seen, p), seen, p), d, v1alpha1.ConditionCredentialReady),
		orWriteFailure(orHeld(serversAvailable(ep, seen, p), p), d, v1alpha1.ConditionServersAvailable),
		orWriteFailure(exposed(ep, seen), d, v1alpha1.ConditionExposed),
		challengesStored(ep),
		openToAnyone(ep),
		longURLs(ep, seen),
		orDependency(orBroken(orMistaken(orCanary(enrolling(ep, seen, now), ep, seen), ep, seen), seen.funnel.breaks), ep, seen),
	}
	ready := conditions.Summarise(conds, counted...)
	if ep.Spec.Suspend {
		ready = conditions.Unknown(v1alpha1.ConditionReady, v1alpha1.ReasonSuspended,
			"the operator leaves this endpoint as it is; set spec.suspend to false to go on")
	}
	return append(conds, conditions.KStatus(ready, stalledBy.Has(ready.Reason))...)
}

// conditionOf says where the failure to write a kind shows.
var conditionOf = map[string]string{
	"RACredential": v1alpha1.ConditionCredentialReady,
	"Ingress":      v1alpha1.ConditionExposed,
	"HTTPRoute":    v1alpha1.ConditionExposed,
	"TLSRoute":     v1alpha1.ConditionExposed,
	"ListenerSet":  v1alpha1.ConditionExposed,
	"Certificate":  v1alpha1.ConditionExposed,
}

// orWriteFailure puts a failure to write a child in the place of what its condition says otherwise.
func orWriteFailure(c metav1.Condition, d *done, conditionType string) metav1.Condition {
	for _, o := range d.outcomes {
		home, named := conditionOf[o.Object.Kind]
		if !named {
			home = v1alpha1.ConditionServersAvailable
		}
		if o.Err != nil && home == conditionType {
			return writeFailure(conditionType, o)
		}
	}
	return c
}

func writeFailure(conditionType string, o apply.Outcome) metav1.Condition {
	var notOwned *apply.NotOwnedError
	if errors.As(o.Err, &notOwned) {
		return conditions.False(conditionType, v1alpha1.ReasonNotOwned, notOwned.Error())
	}
	var contested *apply.ContestedError
	if errors.As(o.Err, &contested) {
		return conditions.False(conditionType, v1alpha1.ReasonContested, contested.Error())
	}
	message := o.Err.Error()
	if o.Object.Kind == "Secret" {
		message = fmt.Sprintf("apply %s failed", o.Object)
	}
	return conditions.False(conditionType, v1alpha1.ReasonWriteFailed, message+"; remove what is in the way: the operator tries again")
}

// openToAnyone tells that devices are let in without any proof.
func openToAnyone(ep *v1alpha1.ScepEndpoint) metav1.Condition {
	const open = v1alpha1.ConditionOpenToAnyone
	for _, c := range ep.Spec.Challenges {
		if c.Type == v1alpha1.ChallengeAnyone {
			return conditions.True(open, v1alpha1.ReasonAnyone, fmt.Sprintf(
				"challenge %s lets in every device that reaches the endpoint: whoever can send a request gets any certificate that the templates allow", c.Name))
		}
	}
	return conditions.False(open, v1alpha1.ReasonProofRequired, "every device has to prove that it may enrol: nothing to do")
}

// challengesStored tells that passwords lie readable in stored CertificateRequests.
func challengesStored(ep *v1alpha1.ScepEndpoint) metav1.Condition {
	const stored = v1alpha1.ConditionChallengesStored
	if render.IsDirect(ep) {
		return conditions.False(stored, v1alpha1.ReasonNoStaticChallenge, "signers issue, so no CertificateRequest holds a password: nothing to do")
	}
	kept := map[string][]string{}
	for _, c := range ep.Spec.Challenges {
		reason := reusable(c)
		kept[reason] = append(kept[reason], c.Name)
	}
	const who = "whoever may read CertificateRequests in this namespace can read "
	static, service := kept[v1alpha1.ReasonStaticChallenge], kept[v1alpha1.ReasonServiceChallenge]
	switch {
	case len(static) > 0:
		return conditions.True(stored, v1alpha1.ReasonStaticChallenge, who+"the password of: "+bounded(append(static, service...)))
	case len(service) > 0:
		return conditions.True(stored, v1alpha1.ReasonServiceChallenge, fmt.Sprintf(
			"%sthe passwords that devices brought for: %s; whether one is good once more is decided by the service, or by rekeyWindow", who, bounded(service)))
	}
	return conditions.False(stored, v1alpha1.ReasonNoStaticChallenge, "no password is good once more: nothing to do")
}

// reusable is why a password may be good once more that was used for a request; "": it is not.
func reusable(c v1alpha1.Challenge) string {
	rekeys := c.OneTime != nil && c.OneTime.RekeyWindow != nil && c.OneTime.RekeyWindow.Duration > 0
	switch {
	case c.Type == v1alpha1.ChallengeStatic:
		return v1alpha1.ReasonStaticChallenge
	case c.Type == v1alpha1.ChallengeWebhook, c.Type == v1alpha1.ChallengeIntune, rekeys:
		return v1alpha1.ReasonServiceChallenge
	}
	return ""
}

// maxNamed is how many names a message lists.
const maxNamed = 5

// bounded lists names, up to five of them.
func bounded(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}
