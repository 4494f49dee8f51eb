package scependpoint

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// mutualChallenge is a webhook that wants the certificate of an RACredential.
func mutualChallenge() v1alpha1.Challenge {
	return v1alpha1.Challenge{Name: "mutual", Type: v1alpha1.ChallengeWebhook, Webhook: &v1alpha1.WebhookChallenge{
		WebhookTarget: v1alpha1.WebhookTarget{
			URL:                  "https://hook.example.com/",
			Authentication:       []v1alpha1.WebhookAuthentication{v1alpha1.WebhookClientCertificate},
			ClientCertificateRef: &v1alpha1.LocalReference{Name: "policy"},
		},
		Timeout: metav1.Duration{Duration: 10 * time.Second},
	}}
}

func (f *fixture) makeClientCredential(name string, purpose v1alpha1.CredentialPurpose) {
	f.t.Helper()
	f.create(&v1alpha1.RACredential{ObjectMeta: f.meta(name), Spec: v1alpha1.RACredentialSpec{
		Purpose: purpose, IssuerRef: &v1alpha1.IssuerReference{Name: "corp-ca"},
		Key:      v1alpha1.CredentialKey{Algorithm: v1alpha1.RSAKey, Size: 2048},
		Duration: metav1.Duration{Duration: 90 * testDay}, RenewBefore: metav1.Duration{Duration: 30 * testDay}, Overlap: metav1.Duration{Duration: 7 * testDay},
		LoadTimeout: metav1.Duration{Duration: time.Minute},
	}}, &corev1.Secret{ObjectMeta: f.meta(name + "-keyring")})
}

// giveClientCredential plays the RACredential's controller.
func (f *fixture) giveClientCredential(name string, ready metav1.Condition) {
	f.t.Helper()
	var c v1alpha1.RACredential
	f.get(name, &c)
	setStatus(f, &c, func(c *v1alpha1.RACredential) {
		c.Status.ObservedGeneration = c.Generation
		c.Status.Generations = []v1alpha1.CredentialGeneration{generation("c1", time.Now())}
		c.Status.Generations[0].Certificates[0].Role = v1alpha1.RoleClient
		c.Status.Conditions = conditions.Merge(nil, time.Now(), c.Generation, ready)
	})
}

func TestAWebhooksRACredential(t *testing.T) {
	f := newFixture(t)
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Challenges = append(ep.Spec.Challenges, mutualChallenge()) })
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonCredentialNotFound, "RACredential policy of challenge mutual")
	f.makeClientCredential("policy", v1alpha1.PurposePolicyModule)
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonCredentialNotReady, "RACredential policy of challenge mutual")
	if file, _ := f.config(); strings.Contains(string(file), "hook.example.com") {
		t.Errorf("the servers were told of a webhook that they cannot call:\n%s", file)
	}
	ready := conditions.True(v1alpha1.ConditionKeyringReady, v1alpha1.ReasonSucceeded, "")
	f.giveClientCredential("policy", ready)
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if _, config := f.config(); config.Challenges[1].Webhook.ClientCredential != "policy" {
		t.Errorf("configuration %+v", config.Challenges[1])
	}
	// One that has expired is named, and stays with the servers.
	f.giveClientCredential("policy", conditions.False(v1alpha1.ConditionKeyringReady, v1alpha1.ReasonExpired, "it has expired"))
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonCredentialNotReady, "its conditions say why")
	if file, _ := f.config(); !strings.Contains(string(file), "hook.example.com") {
		t.Errorf("the servers forgot a webhook:\n%s", file)
	}
	f.makeClientCredential("another", v1alpha1.PurposeRA)
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Challenges[1].Webhook.ClientCertificateRef.Name = "another" })
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonCredentialPurpose, "is of purpose RA")
}

func TestAClientCredentialThatCannotBeRead(t *testing.T) {
	unread := clientCredentialFact{name: "policy", credential: read[v1alpha1.RACredential]{err: errSecret}}
	fact := challengeFact{challenge: mutualChallenge(), credentials: []clientCredentialFact{unread}}
	if got, bad := challengeProblem("pki", fact); !bad || got.Status != metav1.ConditionUnknown || got.Reason != v1alpha1.ReasonReadFailed {
		t.Errorf("%+v", got)
	}
	seen := &observation{
		config:     read[raconfig.Config]{value: &raconfig.Config{Challenges: []raconfig.Challenge{{Name: "mutual"}}}},
		challenges: []challengeFact{fact},
	}
	if len(usableChallenges(seen)) != 1 {
		t.Error("servers forget a webhook because of a hiccup")
	}
	if readErrors(seen) == nil {
		t.Error("the failed read is not tried again")
	}
}

// A new generation is mounted: the pods are touched so that it comes at once.
func TestAClientCredentialsKeyringCountsAsMounted(t *testing.T) {
	hash := func(version string) string {
		secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}
		return mountsHash("h", &observation{challenges: []challengeFact{{
			challenge: mutualChallenge(), credentials: []clientCredentialFact{{name: "policy", keyring: read[metav1.PartialObjectMetadata]{value: secret}}},
		}}})
	}
	if hash("1") == hash("2") {
		t.Error("a new generation changes nothing")
	}
}
