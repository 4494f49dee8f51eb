package racredential

import (
	"errors"
	"fmt"
	"time"

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

// remedies say what to do about a certificate that is not fit, if to issue it anew does not help.
var remedies = map[rotation.Check]string{
	rotation.CheckTrusted:    "wait for the next one, or see what keeps cert-manager from issuing it",
	rotation.CheckKey:        "see who else writes to the Secret",
	rotation.CheckAlgorithm:  "set spec.key to RSA of 2048 bits or more, or use an issuer that keeps to it",
	rotation.CheckEndEntity:  "use an issuer that does not make CA certificates of requests",
	rotation.CheckUsages:     "use an issuer that keeps to the usages it is asked for",
	rotation.CheckChain:      "have the issuer give its CA certificate (ca.crt)",
	rotation.CheckPair:       "use an issuer that signs both with the same CA certificate",
	rotation.CheckCurrentCA:  "use an issuer that signs these certificates with the CA of the devices",
	rotation.CheckBegun:      "wait until it begins, or compare the clocks of the issuer and of this cluster",
	rotation.CheckNotExpired: "see why cert-manager does not renew it: kubectl describe certificate",
}

// externalRemedies say what to do about a certificate from outside: only a person can.
var externalRemedies = map[rotation.Check]string{
	rotation.CheckTrusted:    "put another certificate with another key into it",
	rotation.CheckKey:        "put the key of this certificate into tls.key, or the certificate of this key into tls.crt",
	rotation.CheckAlgorithm:  "put one with an RSA key of 2048 bits or more into it",
	rotation.CheckEndEntity:  "put the certificate of the registration authority into it, not the CA's",
	rotation.CheckUsages:     "have one issued with exactly these usages, or correct the role in external.secretRefs",
	rotation.CheckChain:      "add the certificates of its CA to tls.crt or ca.crt",
	rotation.CheckPair:       "have both issued by the same CA certificate",
	rotation.CheckCurrentCA:  "have others issued by the CA that issues for the devices now, and put them into the Secrets; the present ones serve until then",
	rotation.CheckBegun:      "wait until it begins, or compare the clocks of its issuer and of this cluster",
	rotation.CheckNotExpired: "put a new certificate and its key into it",
}

// conditionsOf judges what was seen, planned and done. It is pure.
func conditionsOf(rc *v1alpha1.RACredential, seen *observation, p *plan, done *deeds) []metav1.Condition {
	conds := []metav1.Condition{issued(rc, seen, p, done), keyringReady(rc, seen, p, done)}
	summed := counted
	if rc.Spec.External == nil {
		conds = append(conds, seen.issuer.Condition())
	} else {
		summed = counted[1:] // nobody issues what comes from outside
	}
	ready := orNotAccepted(conditions.Summarise(conds, summed...), rc, seen)
	return append(conds, conditions.KStatus(ready, false)...)
}

func issued(rc *v1alpha1.RACredential, seen *observation, p *plan, done *deeds) metav1.Condition {
	const issued = v1alpha1.ConditionIssued
	switch {
	case done.certificatesErr != nil:
		return writeFailed(issued, "the source Certificates", done.certificatesErr)
	case done.issueErr != nil:
		return writeFailed(issued, "the request to issue Certificates anew", done.issueErr)
	case p.distrust.problem != "":
		return conditions.False(issued, v1alpha1.ReasonDistrustNotRecorded, p.distrust.problem)
	}
	for i := range seen.sources {
		if c := sourceTrouble(&seen.sources[i]); c != nil {
			return *c
		}
	}
	switch {
	case p.rotation == nil:
		return conditions.Unknown(issued, v1alpha1.ReasonReadFailed, "It is not known which generations must be kept"+tryAgain)
	case len(p.rotation.Findings) > 0:
		return unfit(seen, p.rotation)
	case p.rotation.OtherCA != nil:
		return otherCA(rc, p.rotation)
	case rc.Spec.External != nil:
		return brought(p.rotation)
	}
	return inTime(p.rotation)
}

// inTime judges issued certificates that are fit.
func inTime(p *rotation.Plan) metav1.Condition {
	const issued, fit = v1alpha1.ConditionIssued, "The source certificates are issued and fit"
	switch {
	case p.RenewalOverdue && p.Newest() != nil:
		return conditions.True(issued, v1alpha1.ReasonRenewalOverdue, fmt.Sprintf(
			"%s, but they end at %s and cert-manager has not renewed them: see whether it is running, and what kubectl describe certificate says",
			fit, moment(p.Newest().NotAfter())))
	case p.RenewalDue:
		return conditions.True(issued, v1alpha1.ReasonSucceeded, fit+"; their renewal is due")
	}
	return conditions.True(issued, v1alpha1.ReasonSucceeded, fit)
}

// brought judges certificates from outside that are fit: nobody but a person renews them.
func brought(p *rotation.Plan) metav1.Condition {
	if !p.RenewalDue {
		return conditions.True(v1alpha1.ConditionIssued, v1alpha1.ReasonSucceeded, "The certificates from outside are fit")
	}
	return conditions.True(v1alpha1.ConditionIssued, v1alpha1.ReasonReplacementDue, fmt.Sprintf(
		"The certificates from outside end at %s and are not renewed by anybody: put new ones, with their keys, into the Secrets of external.secretRefs; they are rolled out as soon as every server holds them, and the present ones keep opening requests",
		moment(p.Newest().NotAfter())))
}

func otherCA(rc *v1alpha1.RACredential, p *rotation.Plan) metav1.Condition {
	remedy := again(p.Reissue) + remedies[rotation.CheckCurrentCA]
	if rc.Spec.External != nil {
		remedy = externalRemedies[rotation.CheckCurrentCA]
	}
	return conditions.False(v1alpha1.ConditionIssued, v1alpha1.ReasonCAChanged, fmt.Sprintf(
		"The certificates in use come from another CA than the devices' do now, and some devices want one CA for both: %s", remedy))
}

// again says when what failed a check is issued anew.
func again(m *rotation.Reissue) string {
	if m == nil || m.Attempts == 0 {
		return "it is issued anew; if that does not help: "
	}
	return fmt.Sprintf("it was asked for anew %s, and is again at %s; if that does not help: ", times(m.Attempts), moment(m.Next))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// sourceTrouble is what keeps a source from being judged at all, or nil.
func sourceTrouble(s *source) *metav1.Condition {
	if s.readErr != nil {
		c := conditions.Unknown(v1alpha1.ConditionIssued, v1alpha1.ReasonReadFailed,
			fmt.Sprintf("Certificate %s or its Secret could not be read%s", s.name, tryAgain))
		return &c
	}
	reason, message := troubleOf(s)
	if reason == "" {
		return nil
	}
	c := conditions.False(v1alpha1.ConditionIssued, reason, message)
	return &c
}

func troubleOf(s *source) (reason, message string) {
	failure, failed := s.failure()
	switch {
	case s.external && s.contentErr != nil:
		return v1alpha1.ReasonExternalSecretInvalid,
			fmt.Sprintf("Secret %s cannot be used: %v; until it is corrected, what is in the keyring stays in use", s.name, s.contentErr)
	case s.external && s.material == nil:
		return v1alpha1.ReasonExternalSecretNotFound,
			fmt.Sprintf("Secret %s does not exist, or lacks tls.crt or tls.key: create it with both, or correct external.secretRefs; until then, what is in the keyring stays in use", s.name)
	case failed:
		return v1alpha1.ReasonIssuanceFailed,
			fmt.Sprintf("Certificate %s: cert-manager failed to issue it and is going to try again, it says: %s", s.name, failure)
	case !s.issued():
		return v1alpha1.ReasonNotIssued,
			fmt.Sprintf("Certificate %s is not issued yet; if this lasts, kubectl describe certificate %s says what cert-manager waits for", s.name, s.name)
	case s.contentErr != nil:
		return v1alpha1.ReasonCertificateUnfit,
			fmt.Sprintf("Secret %s is not understood (%v): delete it, so that cert-manager makes it anew", s.name, s.contentErr)
	case s.material == nil:
		return v1alpha1.ReasonNotIssued,
			fmt.Sprintf("Secret %s is missing or empty: cert-manager is going to issue it anew; if this lasts, see whether cert-manager is running", s.name)
	}
	return "", ""
}

func unfit(seen *observation, p *rotation.Plan) metav1.Condition {
	finding := p.Findings[0]
	from := source{}
	for i := range seen.sources {
		if seen.sources[i].role == finding.Role {
			from = seen.sources[i]
		}
	}
	remedy := externalRemedies[finding.Check]
	if !from.external {
		remedy = remedies[finding.Check]
		if p.Reissue != nil {
			remedy = again(p.Reissue) + remedy
		}
	}
	return conditions.False(v1alpha1.ConditionIssued, v1alpha1.ReasonCertificateUnfit,
		fmt.Sprintf("The certificate in Secret %s cannot be used (check %s): %v; %s", from.name, finding.Check, finding.Err, remedy))
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
		return brokenKeyring(rc, name, p.rotation.Broken)
	}
	return conditions.True(ready, v1alpha1.ReasonSucceeded,
		fmt.Sprintf("%s holds %s", name, plural(len(p.rotation.Keyring.Generations), "generation")))
}

func brokenKeyring(rc *v1alpha1.RACredential, name string, finding *rotation.Finding) metav1.Condition {
	reason, remedy := v1alpha1.ReasonCertificateUnfit, remedies[finding.Check]
	if finding.Check == rotation.CheckNotExpired {
		reason = v1alpha1.ReasonExpired
	}
	if rc.Spec.External != nil {
		remedy = "renew what is in the Secrets of external.secretRefs: the condition Issued says how"
	}
	return conditions.False(v1alpha1.ConditionKeyringReady, reason,
		fmt.Sprintf("The newest generation in %s cannot serve: role %s: %v; %s", name, finding.Role, finding.Err, remedy))
}

func writeFailed(conditionType, what string, err error) metav1.Condition {
	var notOwned *apply.NotOwnedError
	if errors.As(err, &notOwned) {
		return conditions.False(conditionType, v1alpha1.ReasonNotOwned, notOwned.Error())
	}
	var contested *apply.ContestedError
	if errors.As(err, &contested) {
		return conditions.False(conditionType, v1alpha1.ReasonContested, contested.Error())
	}
	return conditions.False(conditionType, v1alpha1.ReasonWriteFailed, what+" could not be written"+tryAgain)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
