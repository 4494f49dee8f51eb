package racredential

import (
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

const tryAgain = "; the operator's log says why, and it tries again"

// counted are the conditions that Ready sums up, causes before consequences.
var counted = []string{v1alpha1.ConditionIssuerReady, v1alpha1.ConditionIssued, v1alpha1.ConditionKeyringReady}

// remedies say what to do about a certificate that is not fit.
var remedies = map[rotation.Check]string{
	rotation.CheckTrusted:    "delete the Secret, so that another one is issued",
	rotation.CheckKey:        "delete the Secret, so that both are made anew",
	rotation.CheckAlgorithm:  "set spec.key to RSA of 2048 bits or more, or use an issuer that keeps to it",
	rotation.CheckEndEntity:  "use an issuer that does not make CA certificates of requests, then delete the Secret",
	rotation.CheckUsages:     "use an issuer that keeps to the usages it is asked for, then delete the Secret to have it issued anew",
	rotation.CheckChain:      "have the issuer give its CA certificate (ca.crt)",
	rotation.CheckPair:       "renew the other one too (cmctl renew), so that both come from the same CA certificate",
	rotation.CheckBegun:      "wait until it begins, or compare the clocks of the issuer and of this cluster",
	rotation.CheckNotExpired: "see why cert-manager did not renew it: kubectl describe certificate",
}

// conditionsOf judges what was seen, planned and done. It is pure.
func conditionsOf(rc *v1alpha1.RACredential, seen *observation, p *plan, done *deeds) []metav1.Condition {
	conds := []metav1.Condition{seen.issuer.Condition(), issued(seen, p, done), keyringReady(rc, seen, p, done)}
	return append(conds, conditions.KStatus(conditions.Summarise(conds, counted...), false)...)
}

func issued(seen *observation, p *plan, done *deeds) metav1.Condition {
	const issued = v1alpha1.ConditionIssued
	if done.certificatesErr != nil {
		return writeFailed(issued, "the source Certificates", done.certificatesErr)
	}
	for i := range seen.sources {
		if c := sourceTrouble(&seen.sources[i]); c != nil {
			return *c
		}
	}
	if p.rotation == nil {
		return conditions.Unknown(issued, v1alpha1.ReasonReadFailed, "It is not known which generations must be kept"+tryAgain)
	}
	if len(p.rotation.Findings) > 0 {
		return unfit(seen, p.rotation.Findings[0])
	}
	message := "The source certificates are issued and fit"
	if p.rotation.RenewalDue {
		message += "; their renewal is due"
	}
	return conditions.True(issued, v1alpha1.ReasonSucceeded, message)
}

// sourceTrouble is what keeps a source from being judged at all, or nil.
func sourceTrouble(s *source) *metav1.Condition {
	var c metav1.Condition
	failure, failed := s.failure()
	switch {
	case s.readErr != nil:
		c = conditions.Unknown(v1alpha1.ConditionIssued, v1alpha1.ReasonReadFailed,
			fmt.Sprintf("Certificate %s or its Secret could not be read%s", s.name, tryAgain))
	case failed:
		c = conditions.False(v1alpha1.ConditionIssued, v1alpha1.ReasonIssuanceFailed,
			fmt.Sprintf("Certificate %s: cert-manager failed to issue it and is going to try again, it says: %s", s.name, failure))
	case !s.issued():
		c = conditions.False(v1alpha1.ConditionIssued, v1alpha1.ReasonNotIssued,
			fmt.Sprintf("Certificate %s is not issued yet; if this lasts, kubectl describe certificate %s says what cert-manager waits for", s.name, s.name))
	case s.contentErr != nil:
		c = conditions.False(v1alpha1.ConditionIssued, v1alpha1.ReasonCertificateUnfit,
			fmt.Sprintf("Secret %s is not understood (%v): delete it, so that cert-manager makes it anew", s.name, s.contentErr))
	case s.material == nil:
		c = conditions.False(v1alpha1.ConditionIssued, v1alpha1.ReasonNotIssued,
			fmt.Sprintf("Secret %s is missing or empty: cert-manager is going to issue it anew; if this lasts, see whether cert-manager is running", s.name))
	default:
		return nil
	}
	return &c
}

func unfit(seen *observation, finding rotation.Finding) metav1.Condition {
	name := ""
	for i := range seen.sources {
		if seen.sources[i].role == finding.Role {
			name = seen.sources[i].name
		}
	}
	return conditions.False(v1alpha1.ConditionIssued, v1alpha1.ReasonCertificateUnfit,
		fmt.Sprintf("The certificate in Secret %s cannot be used: %v; %s", name, finding.Err, remedies[finding.Check]))
}

func keyringReady(rc *v1alpha1.RACredential, seen *observation, p *plan, done *deeds) metav1.Condition {
	const ready = v1alpha1.ConditionKeyringReady
	name := "Secret " + render.KeyringName(rc.Name)
	switch {
	case p.rotation == nil:
		return conditions.Unknown(ready, v1alpha1.ReasonReadFailed, name+" or what uses it could not be read"+tryAgain)
	case done.keyringErr != nil:
		return writeFailed(ready, name, done.keyringErr)
	case p.rotation.Newest() == nil && seen.keyring.damage != nil:
		return conditions.False(ready, v1alpha1.ReasonNotIssued,
			name+" is damaged and is made anew as soon as the source certificates are issued and fit: the condition Issued says what they wait for")
	case p.rotation.Newest() == nil:
		return conditions.False(ready, v1alpha1.ReasonNotIssued,
			name+" is written as soon as the source certificates are issued and fit: the condition Issued says what they wait for")
	case p.rotation.Broken != nil:
		return brokenKeyring(name, p.rotation.Broken)
	}
	return conditions.True(ready, v1alpha1.ReasonSucceeded,
		fmt.Sprintf("%s holds %s", name, plural(len(p.rotation.Keyring.Generations), "generation")))
}

func brokenKeyring(name string, finding *rotation.Finding) metav1.Condition {
	reason := v1alpha1.ReasonCertificateUnfit
	if finding.Check == rotation.CheckNotExpired {
		reason = v1alpha1.ReasonExpired
	}
	return conditions.False(v1alpha1.ConditionKeyringReady, reason,
		fmt.Sprintf("The newest generation in %s cannot serve: role %s: %v; %s", name, finding.Role, finding.Err, remedies[finding.Check]))
}

func writeFailed(conditionType, what string, err error) metav1.Condition {
	var notOwned *apply.NotOwnedError
	if errors.As(err, &notOwned) {
		return conditions.False(conditionType, v1alpha1.ReasonNotOwned, notOwned.Error())
	}
	return conditions.False(conditionType, v1alpha1.ReasonWriteFailed, what+" could not be written"+tryAgain)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
