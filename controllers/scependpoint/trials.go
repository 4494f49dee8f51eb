package scependpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/enrolrecord"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

const (
	// trialKept is how long the request of a trial is kept for people to look at.
	trialKept = time.Hour
	// maxTrialMessage bounds what is repeated of an issuer's message, in bytes.
	maxTrialMessage = 400
)

// wantsTrials says whether the issuer is to be tried with the templates.
func wantsTrials(ep *v1alpha1.ScepEndpoint) bool {
	return ep.Spec.Issuance.Trial == v1alpha1.TrialOnChange && !render.IsDirect(ep)
}

// planTrials says what became of trials, and which are to come: one for each template
// whenever it, or the issuer, is another than before. One that failed is made again when
// somebody asks for a reconcile.
func planTrials(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) []v1alpha1.TemplateTrial {
	if !wantsTrials(ep) {
		return nil
	}
	var out []v1alpha1.TemplateTrial
	for i, entry := range ep.Spec.Templates {
		before := trialOf(ep.Status.Trials, entry.Name)
		template := seen.templates[i].value
		if template == nil || seen.issuer.Err != nil || seen.ca.own.err != nil {
			if before != nil {
				out = append(out, *before)
			}
			continue
		}
		out = append(out, nextTrial(ep, seen, before, entry.Name, pairOf(seen, template), now))
	}
	return out
}

func trialOf(trials []v1alpha1.TemplateTrial, template string) *v1alpha1.TemplateTrial {
	for i := range trials {
		if trials[i].Template == template {
			return &trials[i]
		}
	}
	return nil
}

// pairOf is what a trial depends on. Of a foreign issuer nothing but its name is known.
func pairOf(seen *observation, template *v1alpha1.CertificateTemplate) string {
	ref := issuer.Canonical(seen.issuer.Ref)
	parts := []string{ref.Group, ref.Kind, ref.Name, string(template.UID), strconv.FormatInt(template.Generation, 10)}
	if i := seen.issuer.Issuer; i != nil {
		parts = append(parts, string(i.GetUID()), strconv.FormatInt(i.GetGeneration(), 10))
	}
	if ca := seen.ca.own.value; ca != nil {
		parts = append(parts, raconfig.Fingerprint(ca))
	}
	return hashOf(parts...)
}

func nextTrial(
	ep *v1alpha1.ScepEndpoint, seen *observation, before *v1alpha1.TemplateTrial, template, pair string, now time.Time,
) v1alpha1.TemplateTrial {
	asked := ep.Annotations[v1alpha1.AnnotationReconcile]
	again := before != nil && before.Result == v1alpha1.TrialFailed && asked != "" && asked != ep.Status.LastHandledReconcileAt
	switch {
	case before == nil || before.Pair != pair || again:
		return v1alpha1.TemplateTrial{
			Template: template, Pair: pair, ID: hashOf(template, pair, asked),
			Result: v1alpha1.TrialPending, Since: metav1.NewTime(now.Truncate(time.Second)),
		}
	case before.Result != v1alpha1.TrialPending:
		return *before
	}
	result, said := resultOf(ep, seen, before.ID, now)
	if result == v1alpha1.TrialPending {
		return *before
	}
	next := *before
	next.Result, next.Message, next.Since = result, cleaned(said), metav1.NewTime(now.Truncate(time.Second))
	return next
}

// resultOf reads the request of a trial or, where there is none, what a server says of it.
func resultOf(ep *v1alpha1.ScepEndpoint, seen *observation, id string, now time.Time) (v1alpha1.TrialResult, string) {
	if request := trialRequest(seen, id); request != nil {
		state, said := enrolrecord.StateOf(request)
		switch {
		case state == enrolrecord.Issued:
			return v1alpha1.TrialPassed, ""
		case state != enrolrecord.Waiting:
			return v1alpha1.TrialFailed, said
		case enrolrecord.PastDeadline(request, ep.Spec.Issuance.PendingDeadline.Duration, now):
			return v1alpha1.TrialFailed, "it was not answered within spec.issuance.pendingDeadline"
		}
		return v1alpha1.TrialPending, ""
	}
	if seen.replicas.value == nil {
		return v1alpha1.TrialPending, ""
	}
	for _, r := range *seen.replicas.value {
		if r.status != nil && r.status.Trial != nil && r.status.Trial.ID == id && r.status.Trial.Refused {
			return v1alpha1.TrialFailed, r.status.Trial.Message
		}
	}
	return v1alpha1.TrialPending, ""
}

func trialRequest(seen *observation, id string) *certmanagerv1.CertificateRequest {
	i := slices.IndexFunc(seen.trials, func(r certmanagerv1.CertificateRequest) bool { return r.Labels[v1alpha1.LabelTrial] == id })
	if i < 0 {
		return nil
	}
	return &seen.trials[i]
}

// cleaned is a message as a condition can repeat it: one line, and bounded.
func cleaned(said string) string {
	said = strings.Join(strings.FieldsFunc(said, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	return strings.TrimRight(strings.ToValidUTF8(said[:min(len(said), maxTrialMessage)], ""), ". ")
}

// orderedTrial is the trial that the servers are to make now: one at a time, and none while
// the issuer says that it is not ready.
func orderedTrial(seen *observation, trials []v1alpha1.TemplateTrial) *raconfig.Trial {
	if seen.issuer.Condition().Status != metav1.ConditionTrue || !acceptedTemplates(seen) {
		return nil
	}
	for _, t := range trials {
		if t.Result == v1alpha1.TrialPending {
			return &raconfig.Trial{ID: t.ID, Template: t.Template}
		}
	}
	return nil
}

// expiredTrials names the requests of trials that nobody needs any more.
func expiredTrials(seen *observation, trials []v1alpha1.TemplateTrial, now time.Time) []string {
	var out []string
	for i := range seen.trials {
		request := &seen.trials[i]
		if request.DeletionTimestamp == nil && !isPending(trials, request) && now.Sub(request.CreationTimestamp.Time) >= trialKept {
			out = append(out, request.Name)
		}
	}
	return out[:min(len(out), maxPrunedAtOnce)]
}

func isPending(trials []v1alpha1.TemplateTrial, request *certmanagerv1.CertificateRequest) bool {
	return slices.ContainsFunc(trials, func(t v1alpha1.TemplateTrial) bool {
		return t.Result == v1alpha1.TrialPending && t.ID == request.Labels[v1alpha1.LabelTrial]
	})
}

// orTrial puts trials that failed in the place of an issuer that is ready.
func orTrial(c metav1.Condition, ep *v1alpha1.ScepEndpoint, trials []v1alpha1.TemplateTrial) metav1.Condition {
	var failed []v1alpha1.TemplateTrial
	for _, t := range trials {
		if t.Result == v1alpha1.TrialFailed {
			failed = append(failed, t)
		}
	}
	if len(failed) == 0 || c.Status != metav1.ConditionTrue {
		return c
	}
	said := fmt.Sprintf("%s does not issue what the template %s asks for, as tried: %s", issuer.Name(ep.Spec.Issuance.IssuerRef), failed[0].Template, failed[0].Message)
	var others []string
	for _, t := range failed[1:] {
		others = append(others, t.Template)
	}
	if len(others) > 0 {
		said += "; nor that of " + bounded(others)
	}
	return conditions.False(c.Type, v1alpha1.ReasonTrialFailed, said+
		"; let the issuer allow it, or change the CertificateTemplate; it is tried again when either changes, or when the annotation "+
		v1alpha1.AnnotationReconcile+" does")
}

// untilTrial is the time until the next look at trials: at one that is waited for, and at
// the request of one that may go.
func untilTrial(ep *v1alpha1.ScepEndpoint, seen *observation, trials []v1alpha1.TemplateTrial, now time.Time) time.Duration {
	after := restInterval
	for i := range seen.trials {
		due := trialKept
		if isPending(trials, &seen.trials[i]) {
			due = ep.Spec.Issuance.PendingDeadline.Duration
		}
		after = min(after, max(seen.trials[i].CreationTimestamp.Add(due).Sub(now), pruneInterval))
	}
	ordered := orderedTrial(seen, trials)
	if ordered != nil && trialRequest(seen, ordered.ID) == nil {
		after = min(after, settle(trialOf(trials, ordered.Template).Since.Time, now))
	}
	return after
}
