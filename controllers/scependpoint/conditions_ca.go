package scependpoint

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/certsource"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// caNotice is something to be known about the CA. It makes nothing not Ready, unless
// it is fatal.
type caNotice struct {
	reason, message string
	fatal           bool
}

// caQuestion is what notices are found from.
type caQuestion struct {
	authorities
	ep        *v1alpha1.ScepEndpoint
	templates []read[v1alpha1.CertificateTemplate]
	now       time.Time
}

// caNotices find what is to be known, in the order in which a person should act.
var caNotices = []func(*caQuestion) *caNotice{
	expiredCA,
	replacedCA,
	nextCAIssues,
	endingCA,
	nextCAAnnounced,
	otherKeyThanRSA,
	intermediateCA,
}

// issuerReady repeats what the issuer says of itself and, where that is good, what is to
// be known about its CA.
func issuerReady(ep *v1alpha1.ScepEndpoint, seen *observation, a authorities, now time.Time) metav1.Condition {
	c := seen.issuer.Condition()
	if c.Status != metav1.ConditionTrue {
		return c
	}
	q := &caQuestion{authorities: a, ep: ep, templates: seen.templates, now: now}
	var notices []*caNotice
	for _, find := range caNotices {
		if notice := find(q); notice != nil {
			notices = append(notices, notice)
		}
	}
	if len(notices) == 0 {
		return c
	}
	messages := []string{strings.TrimRight(c.Message, ". ")}
	for _, notice := range notices {
		messages = append(messages, notice.message)
	}
	first, message := notices[0], strings.Join(messages, "; ")
	if first.fatal {
		return conditions.False(c.Type, first.reason, first.message)
	}
	return conditions.True(c.Type, first.reason, message)
}

// current is the CA that issues at present, as far as it is known.
func (q *caQuestion) current() *x509.Certificate {
	if q.issuing != nil || len(q.chain) == 0 {
		return q.issuing
	}
	return q.chain[0]
}

func expiredCA(q *caQuestion) *caNotice {
	c := q.current()
	if c == nil || !q.now.After(c.NotAfter) {
		return nil
	}
	return &caNotice{v1alpha1.ReasonCAExpired, fmt.Sprintf(
		"the CA certificate %s of %s ended on %s, so nobody accepts what it issues: renew it, or name an issuer with another one",
		pkifacts.SubjectOf(c), issuer.Name(q.ep.Spec.Issuance.IssuerRef), date(c.NotAfter)), true}
}

// replacedCA: devices see the CA of the RA's certificates, and get theirs from another.
func replacedCA(q *caQuestion) *caNotice {
	if q.issuing == nil || len(q.chain) == 0 || q.issuing.Equal(q.chain[0]) {
		return nil
	}
	return &caNotice{reason: v1alpha1.ReasonCAReplaced, message: fmt.Sprintf(
		"%s issues with another CA certificate now, %s, than that of the RA's certificates, %s: RACredential %s is issued anew and GetCACert shows the new one then; "+
			"tell profiles its thumbprint, which status.ca lists then",
		issuer.Name(q.ep.Spec.Issuance.IssuerRef), named(q.issuing), named(q.chain[0]), render.CredentialName(q.ep))}
}

func nextCAIssues(q *caQuestion) *caNotice {
	current := q.current()
	if len(q.next) == 0 || current == nil || !q.next[0].Equal(current) {
		return nil
	}
	return &caNotice{reason: v1alpha1.ReasonNextCAIssues, message: fmt.Sprintf(
		"the CA that spec.ca.next announces, %s, issues now: remove spec.ca.next, and from spec.ca.chain what belongs to the CA before it once its certificates have ended",
		named(current))}
}

// noticeOfEnd is how long before its end a CA of usual length is told of. Where
// templates ask for more, it is what they ask for.
const noticeOfEnd = 90 * 24 * time.Hour

func endingCA(q *caQuestion) *caNotice {
	longest := longestValidity(q.templates)
	for _, c := range q.chain {
		outlived := q.now.Add(longest).After(c.NotAfter)
		if !outlived && q.now.Before(c.NotAfter.Add(-notice(c))) {
			continue
		}
		why := ""
		if outlived {
			why = ", before certificates do that the templates grant now"
		}
		return &caNotice{reason: v1alpha1.ReasonCAEnding, message: fmt.Sprintf(
			"the CA certificate %s ends on %s%s: renew it, or announce the one that follows in spec.ca.next", pkifacts.SubjectOf(c), date(c.NotAfter), why)}
	}
	return nil
}

// notice is how long before its end a CA is told of: a third of its life at most.
func notice(c *x509.Certificate) time.Duration {
	return min(noticeOfEnd, c.NotAfter.Sub(c.NotBefore)/3)
}

func longestValidity(templates []read[v1alpha1.CertificateTemplate]) time.Duration {
	var longest time.Duration
	for _, t := range templates {
		if t.value != nil {
			longest = max(longest, t.value.Spec.Validity.Duration)
		}
	}
	return longest
}

func nextCAAnnounced(q *caQuestion) *caNotice {
	if len(q.next) == 0 || nextCAIssues(q) != nil {
		return nil
	}
	return &caNotice{reason: v1alpha1.ReasonNextCAAnnounced, message: fmt.Sprintf(
		"devices that ask are told that %s follows: let the issuer issue with it when they have had time to", named(q.next[0]))}
}

func otherKeyThanRSA(q *caQuestion) *caNotice {
	c := q.current()
	if c == nil || c.PublicKeyAlgorithm == x509.RSA {
		return nil
	}
	return &caNotice{reason: v1alpha1.ReasonCAKeyNotRSA, message: fmt.Sprintf(
		"the key of the CA %s is %s: Windows does not install a certificate over SCEP that such a key signed; of other families this is not known, as the RA's own keys are RSA; "+
			"for Windows name an issuer whose CA has an RSA key", pkifacts.SubjectOf(c), c.PublicKeyAlgorithm)}
}

// intermediateCA: families differ in which certificate of a chain a profile has to name.
func intermediateCA(q *caQuestion) *caNotice {
	if len(q.chain) < 2 || q.ep.Spec.Compatibility.CAChain == v1alpha1.CAChainIssuer {
		return nil
	}
	issuing, top := q.chain[0], q.chain[len(q.chain)-1]
	return &caNotice{reason: v1alpha1.ReasonIntermediateCA, message: fmt.Sprintf(
		"certificates come from an intermediate CA: Intune's profiles for Windows have to name %s and need compatibility.caChain Issuer, those for Android name %s",
		named(issuing), named(top))}
}

func named(c *x509.Certificate) string {
	return fmt.Sprintf("%s (SHA-256 %s…)", pkifacts.SubjectOf(c), raconfig.Fingerprint(c)[:16])
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// caSourceProblem tells of a part of spec.ca that has nothing to use.
func caSourceProblem(seen *observation) (metav1.Condition, bool) {
	const accepted = v1alpha1.ConditionAccepted
	for _, source := range []certsource.Fact{seen.ca.chain, seen.ca.next} {
		switch {
		case source.Err != nil:
			return conditions.Unknown(accepted, v1alpha1.ReasonReadFailed, source.Where+" could not be read; "+tryAgain), true
		case source.Problem != "":
			return conditions.False(accepted, v1alpha1.ReasonCASourceNotFound, source.Problem+"; until then what was there last stays in use"), true
		}
	}
	return metav1.Condition{}, false
}

// maxFindings is how many findings about bundles a message lists.
const maxFindings = 4

// bundleFindings are what is odd about the bundles of CA certificates that an endpoint
// names. They are used correctly all the same.
func bundleFindings(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) []string {
	var out []string
	add := func(where string, findings []string) {
		for _, finding := range findings {
			out = append(out, where+": "+finding)
		}
	}
	for _, source := range []certsource.Fact{seen.ca.chain, seen.ca.next} {
		if source.Usable() {
			add(strings.TrimRight(source.Where, ","), sentences(source.Bundle.FindingsAt(now, pkifacts.FindingIntermediate, pkifacts.FindingRootless)))
		}
	}
	for _, c := range seen.challenges {
		for _, s := range c.sources {
			add("ConfigMap "+s.ConfigMap+" of challenge "+c.challenge.Name, s.seen.findings)
		}
	}
	for _, f := range seen.recording {
		for _, s := range f.sources {
			add("ConfigMap "+s.ConfigMap+" of spec."+f.directory, s.seen.findings)
		}
	}
	if admin := ep.Spec.Exposure.Admin; admin != nil && admin.ClientCertificates != nil {
		add("ConfigMap "+admin.ClientCertificates.CARef.Name+" of exposure.admin.clientCertificates", seen.exposure.adminClients.findings)
	}
	return out
}

func sentences(findings []pkifacts.Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, f.String())
	}
	return out
}

// untidyBundles is the condition Accepted where all fits together but for that.
func untidyBundles(findings []string) metav1.Condition {
	rest := ""
	if len(findings) > maxFindings {
		rest = fmt.Sprintf("; and %d more", len(findings)-maxFindings)
		findings = slices.Clone(findings)[:maxFindings]
	}
	return conditions.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonCABundleUntidy, strings.Join(findings, "; ")+rest)
}
