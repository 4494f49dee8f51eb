package scependpoint

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// hookChallenge needs two Secrets and a ConfigMap.
func hookChallenge() v1alpha1.Challenge {
	target := func(secret string) v1alpha1.WebhookTarget {
		return v1alpha1.WebhookTarget{
			URL:            "https://hook.example.com/",
			Authentication: []v1alpha1.WebhookAuthentication{v1alpha1.WebhookSignature},
			SecretRef:      &v1alpha1.LocalReference{Name: secret},
		}
	}
	return v1alpha1.Challenge{Name: "hook", Type: v1alpha1.ChallengeWebhook, Webhook: &v1alpha1.WebhookChallenge{
		WebhookTarget: target("hook"),
		CABundleRef:   &v1alpha1.ConfigMapKeyReference{Name: "ca", Key: "ca.crt"},
		Timeout:       metav1.Duration{Duration: 10 * time.Second},
		Notification:  &v1alpha1.WebhookNotification{WebhookTarget: target("notify")},
	}}
}

func TestChallengeProblems(t *testing.T) {
	cases := map[string]struct {
		spoil  func([]sourceFact)
		status metav1.ConditionStatus
		reason string
		says   string
	}{
		"a missing Secret":       {func(s []sourceFact) { s[1].seen = secretFact{} }, metav1.ConditionFalse, v1alpha1.ReasonChallengeSecretNotFound, "Secret notify of challenge hook does not exist"},
		"a Secret without a key": {func(s []sourceFact) { s[0].seen.hasKeys = false }, metav1.ConditionFalse, v1alpha1.ReasonChallengeSecretNotFound, "needs the keys signing-secret"},
		"a Secret without the label": {
			func(s []sourceFact) { s[0].seen.labelled = false }, metav1.ConditionFalse, v1alpha1.ReasonChallengeSecretNotLabelled,
			"label it scepter.dev/challenge-credentials=true",
		},
		"a missing bundle": {func(s []sourceFact) { s[2].seen = secretFact{} }, metav1.ConditionFalse, v1alpha1.ReasonCABundleNotFound, "ConfigMap ca of challenge hook does not exist"},
		"an unread Secret": {func(s []sourceFact) { s[0].seen = secretFact{err: errSecret} }, metav1.ConditionUnknown, v1alpha1.ReasonReadFailed, "Secret hook of challenge hook could not be read"},
	}
	for name, c := range cases {
		fact := passwordThere(hookChallenge())
		if _, bad := challengeProblem("pki", fact); bad || !fact.complete() {
			t.Fatal("a challenge with all that it needs has a problem")
		}
		c.spoil(fact.sources)
		got, bad := challengeProblem("pki", fact)
		if !bad || fact.complete() || got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	bundle := passwordThere(hookChallenge())
	bundle.sources[2].seen.labelled = false
	if _, bad := challengeProblem("pki", bundle); bad {
		t.Error("a ConfigMap needs no label")
	}
}

// What could not be read now stays with the servers that have it: a challenge that
// has to be told of enrolments must not be forgotten for a hiccup.
func TestUsableChallenges(t *testing.T) {
	configured := &raconfig.Config{Challenges: []raconfig.Challenge{{Name: "hook"}}}
	cases := map[string]struct {
		config *raconfig.Config
		spoil  func([]sourceFact)
		want   bool
	}{
		"complete":                    {nil, func([]sourceFact) {}, true},
		"unread, configured":          {configured, func(s []sourceFact) { s[0].seen = secretFact{err: errSecret} }, true},
		"unread, not configured":      {nil, func(s []sourceFact) { s[0].seen = secretFact{err: errSecret} }, false},
		"unread, and another missing": {configured, func(s []sourceFact) { s[0].seen, s[1].seen = secretFact{err: errSecret}, secretFact{} }, false},
		"missing, configured":         {configured, func(s []sourceFact) { s[0].seen = secretFact{} }, false},
		"label removed, configured":   {configured, func(s []sourceFact) { s[0].seen.labelled = false }, false},
	}
	for name, c := range cases {
		fact := passwordThere(hookChallenge())
		c.spoil(fact.sources)
		seen := &observation{config: read[raconfig.Config]{value: c.config}, challenges: []challengeFact{fact}}
		if got := len(usableChallenges(seen)) == 1; got != c.want {
			t.Errorf("%s: usable %v, want %v", name, got, c.want)
		}
	}
}

// Secrets that would be sent to a service are taken only with their label.
func TestAWebhooksSecretNeedsALabel(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	ep.Spec.Challenges = append(ep.Spec.Challenges, hookChallenge())
	if err := f.client.Update(t.Context(), &ep); err != nil {
		t.Fatal(err)
	}
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonChallengeSecretNotFound, "Secret hook")
	key := map[string]string{raconfig.SigningSecretFile: "c2VjcmV0"}
	hook := &corev1.Secret{ObjectMeta: f.meta("hook"), StringData: key}
	notify := &corev1.Secret{ObjectMeta: f.meta("notify"), StringData: key}
	notify.Labels = map[string]string{v1alpha1.LabelChallengeCredentials: "true"}
	f.create(hook, notify, &corev1.ConfigMap{ObjectMeta: f.meta("ca"), Data: map[string]string{"ca.crt": "PEM"}})
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonChallengeSecretNotLabelled, "Secret hook")
	if file, _ := f.config(); strings.Contains(string(file), "hook.example.com") {
		t.Errorf("the servers were told of a webhook whose Secret has no label:\n%s", file)
	}
	hook.Labels = notify.Labels
	if err := f.client.Update(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if file, _ := f.config(); !strings.Contains(string(file), "https://hook.example.com/") {
		t.Errorf("the servers do not know the webhook:\n%s", file)
	}
}
