package scependpoint

import (
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// asking is a webhook that the servers authenticate to in these ways.
func asking(ways ...v1alpha1.WebhookAuthentication) v1alpha1.Challenge {
	return v1alpha1.Challenge{Name: "hook", Type: v1alpha1.ChallengeWebhook, Webhook: &v1alpha1.WebhookChallenge{
		WebhookTarget: v1alpha1.WebhookTarget{
			URL: "https://hook.example.com/secret-path", Authentication: ways, SecretRef: &v1alpha1.LocalReference{Name: "hook-secret"},
		},
	}}
}

func intuneChallenge(way v1alpha1.IntuneAuthentication) v1alpha1.Challenge {
	c := v1alpha1.Challenge{Name: "hook", Type: v1alpha1.ChallengeIntune, Intune: &v1alpha1.IntuneChallenge{Authentication: way}}
	if way != v1alpha1.IntuneWorkloadIdentity {
		c.Intune.SecretRef = &v1alpha1.LocalReference{Name: "app"}
	}
	return c
}

func away(reason raconfig.AwayReason, mods ...func(*raconfig.Away)) raconfig.Away {
	a := raconfig.Away{Dependency: raconfig.DependencyChallenge, Name: "hook", Reason: reason, Since: noon, Last: noon, Failures: 1}
	for _, mod := range mods {
		mod(&a)
	}
	return a
}

func withStatus(status int, wants ...string) func(*raconfig.Away) {
	return func(a *raconfig.Away) { a.HTTPStatus, a.Wants = status, wants }
}

// ailingEndpoint is one at rest but for what its first servers say is away.
func ailingEndpoint(c v1alpha1.Challenge, servers int, said ...raconfig.Away) (*v1alpha1.ScepEndpoint, *observation) {
	ep, seen := restingEndpoint()
	ep.Spec.Challenges = append(ep.Spec.Challenges, c)
	for i := range servers {
		status := *(*seen.replicas.value)[i].status
		status.Away = said
		(*seen.replicas.value)[i].status = &status
	}
	return ep, seen
}

func TestServicesShowOnEnrolling(t *testing.T) {
	const unauthenticated = raconfig.AwayUnauthenticated
	bearer := asking(v1alpha1.WebhookBearer)
	withCA := asking(v1alpha1.WebhookBearer)
	withCA.Webhook.CABundleRef = &v1alpha1.ConfigMapKeyReference{Name: "hook-ca"}
	credential := asking(v1alpha1.WebhookClientCertificate)
	credential.Webhook.SecretRef, credential.Webhook.ClientCertificateRef = nil, &v1alpha1.LocalReference{Name: "policy"}
	notifying := asking(v1alpha1.WebhookBearer)
	notifying.Webhook.Notification = &v1alpha1.WebhookNotification{WebhookTarget: v1alpha1.WebhookTarget{
		Authentication: []v1alpha1.WebhookAuthentication{v1alpha1.WebhookBasic}, SecretRef: &v1alpha1.LocalReference{Name: "told-secret"},
	}}
	notification := func(a *raconfig.Away) { a.Dependency = raconfig.DependencyNotification }
	for _, c := range []struct {
		name      string
		challenge v1alpha1.Challenge
		said      raconfig.Away
		reason    string
		says      []string
	}{
		{"a wrong token", bearer, away(unauthenticated, withStatus(401)), v1alpha1.ReasonServiceUnauthenticated, []string{"challenge hook", "2 of 2 servers", "HTTP 401", "bearer-token in Secret hook-secret"}},
		{"a wrong token, said so", bearer, away(unauthenticated, withStatus(401, "Bearer", "Negotiate")), v1alpha1.ReasonServiceUnauthenticated, []string{"bearer-token in Secret hook-secret"}},
		{"another kind", bearer, away(unauthenticated, withStatus(401, "Basic")), v1alpha1.ReasonAuthenticationDiffers, []string{"wants another kind of authentication: Basic (HTTP 401)", "send Bearer", "set authentication to Basic"}},
		{"a kind that there is not", asking(v1alpha1.WebhookSignature), away(unauthenticated, withStatus(401, "Negotiate", "NTLM")), v1alpha1.ReasonAuthenticationDiffers, []string{"Negotiate or NTLM", "send Signature and cannot send that"}},
		{"a wrong signature", asking(v1alpha1.WebhookSignature), away(unauthenticated, withStatus(401)), v1alpha1.ReasonServiceUnauthenticated, []string{"signing-secret in Secret hook-secret"}},
		{"a wrong password", asking(v1alpha1.WebhookBasic), away(unauthenticated, withStatus(401, "Basic")), v1alpha1.ReasonServiceUnauthenticated, []string{"username and password in Secret hook-secret"}},
		{"not allowed", asking(v1alpha1.WebhookBasic, v1alpha1.WebhookSignature), away(raconfig.AwayForbidden, withStatus(403)), v1alpha1.ReasonServiceForbidden, []string{"HTTP 403", "does not let them ask", "username and password in Secret hook-secret, signing-secret"}},
		{"its certificate", bearer, away(raconfig.AwayTLS), v1alpha1.ReasonTLSInvalid, []string{"TLS handshake", "name its CA in caBundleRef"}},
		{"its certificate, with a CA", withCA, away(raconfig.AwayTLS), v1alpha1.ReasonTLSInvalid, []string{"ConfigMap hook-ca"}},
		{"ours, from a Secret", asking(v1alpha1.WebhookClientCertificate), away(raconfig.AwayClientRefused), v1alpha1.ReasonClientRefused, []string{"tls.crt and tls.key in Secret hook-secret"}},
		{"ours, from an RACredential", credential, away(raconfig.AwayClientRefused), v1alpha1.ReasonClientRefused, []string{"RACredential policy"}},
		{"ours is missing", bearer, away(raconfig.AwayClientRefused), v1alpha1.ReasonClientRefused, []string{"add ClientCertificate"}},
		{"ours is not known", credential, away(raconfig.AwayForbidden, withStatus(403)), v1alpha1.ReasonServiceForbidden, []string{"the client certificate of RACredential policy"}},
		{"no name", bearer, away(raconfig.AwayNameUnknown), v1alpha1.ReasonNameNotResolved, []string{"DNS"}},
		{"nobody there", bearer, away(raconfig.AwayUnreachable), v1alpha1.ReasonDependencyUnreachable, []string{"NetworkPolicies"}},
		{"an error", bearer, away(raconfig.AwayStatus, withStatus(502)), v1alpha1.ReasonServiceFails, []string{"HTTP 502", "log"}},
		{"a page", bearer, away(raconfig.AwayNotUnderstood, withStatus(200)), v1alpha1.ReasonServiceFails, []string{"not what was agreed"}},
		{"the notification", notifying, away(unauthenticated, withStatus(401), notification), v1alpha1.ReasonServiceUnauthenticated, []string{"held back for the notification of challenge hook", "username and password in Secret told-secret"}},
		{"Intune's secret", intuneChallenge(v1alpha1.IntuneClientSecret), away(unauthenticated, withStatus(401)), v1alpha1.ReasonServiceUnauthenticated, []string{"Microsoft's service", "client-secret in Secret app"}},
		{"Intune's certificate", intuneChallenge(v1alpha1.IntuneClientCertificate), away(unauthenticated, withStatus(400)), v1alpha1.ReasonServiceUnauthenticated, []string{"tls.crt and tls.key in Secret app"}},
		{"Intune's identity", intuneChallenge(v1alpha1.IntuneWorkloadIdentity), away(unauthenticated, withStatus(400)), v1alpha1.ReasonServiceUnauthenticated, []string{"federated credential"}},
		{"Intune's permissions", intuneChallenge(v1alpha1.IntuneClientSecret), away(raconfig.AwayForbidden, withStatus(403)), v1alpha1.ReasonServiceForbidden, []string{"scep_challenge_provider"}},
		{"no Intune", intuneChallenge(v1alpha1.IntuneClientSecret), away(raconfig.AwayNotProvided), v1alpha1.ReasonServiceForbidden, []string{"license Intune"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ep, seen := ailingEndpoint(c.challenge, 2, c.said)
			wantSays(t, enrolling(ep, seen, noon), metav1.ConditionFalse, c.reason, c.says...)
		})
	}
}

// TestEveryReasonOfAServiceHasWords: whatever the challenge, nothing is left out, and its URL is not shown.
func TestEveryReasonOfAServiceHasWords(t *testing.T) {
	for reason := range serviceVerdicts {
		for _, c := range []v1alpha1.Challenge{asking(v1alpha1.WebhookBearer), intuneChallenge(v1alpha1.IntuneClientSecret)} {
			ep, seen := ailingEndpoint(c, 1, away(reason, withStatus(401, "Digest")))
			got := enrolling(ep, seen, noon)
			wantSays(t, got, metav1.ConditionFalse, got.Reason, "1 of 2 servers", "challenge hook")
			for _, never := range []string{"hook.example.com", "secret-path", "%!"} {
				if strings.Contains(got.Message, never) {
					t.Errorf("%q is in: %s", never, got.Message)
				}
			}
		}
	}
}

func TestServicesThatDoNotShow(t *testing.T) {
	well := func(t *testing.T, ep *v1alpha1.ScepEndpoint, seen *observation) {
		t.Helper()
		if got := enrolling(ep, seen, noon.Add(time.Minute)); got.Status == metav1.ConditionFalse {
			t.Errorf("%s: %s", got.Reason, got.Message)
		}
	}
	ep, seen := ailingEndpoint(asking(v1alpha1.WebhookBearer), 2, away(raconfig.AwayForbidden, func(a *raconfig.Away) { a.Name = "gone" }))
	well(t, ep, seen)
	ep, seen = ailingEndpoint(asking(v1alpha1.WebhookBearer), 2, away("ReasonOfALaterVersion"))
	well(t, ep, seen)
	ep, seen = ailingEndpoint(asking(v1alpha1.WebhookBearer), 1, away(raconfig.AwayForbidden))
	admitted := certmanagerv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{
		UID: types.UID("later"), CreationTimestamp: metav1.NewTime(noon.Add(time.Second)), Annotations: map[string]string{v1alpha1.AnnotationChallenge: "hook"},
	}}
	seen.requests.value = &[]certmanagerv1.CertificateRequest{admitted}
	well(t, ep, seen)
	(*seen.requests.value)[0].Annotations[v1alpha1.AnnotationChallenge] = "mdm"
	if got := enrolling(ep, seen, noon); got.Reason != v1alpha1.ReasonServiceForbidden {
		t.Errorf("another challenge let a device in: %+v", got)
	}
}

// TestWhatFailsTheServersShows: it is in the status soon, and so is its end, although
// nothing in the cluster changes.
func TestWhatFailsTheServersShows(t *testing.T) {
	f := newFixture(t)
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Server.Replicas = ptr.To[int32](2)
		c := intuneChallenge(v1alpha1.IntuneWorkloadIdentity)
		c.Intune.TenantID, c.Intune.ClientID, c.Intune.Timeout = "contoso.example.com", "app", metav1.Duration{Duration: time.Second}
		ep.Spec.Challenges = append(ep.Spec.Challenges, c)
	})
	f.failing(0, away(raconfig.AwayForbidden, withStatus(403)))
	f.failing(1, away(raconfig.AwayForbidden, withStatus(403)))
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionFalse, v1alpha1.ReasonServiceForbidden, "HTTP 403")
	f.failing(0)
	f.failing(1)
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests)
}

// failing has a server say what is away.
func (f *fixture) failing(server int, said ...raconfig.Away) {
	f.t.Helper()
	status, err := f.servers.ReadStatus(f.t.Context(), podIP(server), chosenProber{})
	if err != nil {
		f.t.Fatal(err)
	}
	status.Away = said
	f.servers.say(podIP(server), *status)
}

// TestEveryServerWakes: what fails one server wakes the controller, be it the prober or not,
// within two looks; what has been told before does not.
func TestEveryServerWakes(t *testing.T) {
	f := newFixture(t)
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Server.Replicas = ptr.To[int32](2) })
	w := newProbeWatch(client.NewNamespacedClient(f.client, f.ns), f.servers, probeWatchInterval)
	woken := func() int {
		t.Helper()
		w.look(t.Context())
		w.look(t.Context())
		count := len(w.changed)
		for range count {
			<-w.changed
		}
		return count
	}
	if got := woken(); got != 0 {
		t.Errorf("at rest: woken %d times", got)
	}
	for i := range 2 {
		f.failing(i, away(raconfig.AwayTLS))
		if got := woken(); got != 1 {
			t.Errorf("server %d fails: woken %d times", i, got)
		}
		f.failing(i, away(raconfig.AwayTLS, func(a *raconfig.Away) { a.Failures = 7 }))
		if got := woken(); got != 0 {
			t.Errorf("server %d fails again: woken %d times", i, got)
		}
		f.failing(i)
		if got := woken(); got != 1 {
			t.Errorf("server %d is well: woken %d times", i, got)
		}
	}
}

func TestAilmentsAreStable(t *testing.T) {
	status := func(away ...raconfig.Away) *raconfig.ReplicaStatus {
		return &raconfig.ReplicaStatus{Away: away, Troubles: []raconfig.Trouble{{Kind: raconfig.TroubleRefused, Since: noon}}}
	}
	again := away(raconfig.AwayForbidden)
	again.Last, again.Failures = noon.Add(time.Hour), 100
	if ailments(status(again)) != ailments(status(away(raconfig.AwayForbidden))) {
		t.Error("another failure of the same kind wakes")
	}
	for name, other := range map[string]*raconfig.ReplicaStatus{
		"none": {}, "no trouble": {Away: []raconfig.Away{again}}, "nothing away": status(),
		"another reason": status(away(raconfig.AwayTLS)), "another status": status(away(raconfig.AwayForbidden, withStatus(403))),
	} {
		if ailments(other) == ailments(status(again)) {
			t.Errorf("%s does not wake", name)
		}
	}
	if ailments(&raconfig.ReplicaStatus{}) != "" {
		t.Error("nothing is something")
	}
}

func TestSilentSourcesShowOnEnrolling(t *testing.T) {
	for reason := range silentReasons {
		of := func(a *raconfig.Away) {
			a.Dependency, a.Name, a.HTTPStatus = raconfig.DependencyRevocation, "crl.example.com", 502
		}
		ep, seen := ailingEndpoint(asking(v1alpha1.WebhookBearer), 1, away(reason, of))
		wantSays(t, enrolling(ep, seen, noon), metav1.ConditionFalse, v1alpha1.ReasonRevocationUnknown,
			"1 of 2 servers", "crl.example.com", "HTTP 502", silentReasons[reason].remedy, "devices with a challenge enrol")
	}
}

// TestStaleRevocationShowsOnEnrolling: renewals go on, so what is well stays so; what is not
// is said first, and a source whose last word does not count before one whose does.
func TestStaleRevocationShowsOnEnrolling(t *testing.T) {
	silent := func(tolerated bool) raconfig.Away {
		return away(raconfig.AwayStale, func(a *raconfig.Away) {
			a.Dependency, a.Name, a.Tolerated = raconfig.DependencyRevocation, "crl.example.com", tolerated
		})
	}
	ep, seen := ailingEndpoint(asking(v1alpha1.WebhookBearer), 1, silent(true))
	without := enrolling(ep, &observation{requests: seen.requests}, noon)
	wantSays(t, enrolling(ep, seen, noon), without.Status, v1alpha1.ReasonRevocationStale,
		without.Message, "1 of 2 servers", "crl.example.com", "its list has ended", "staleRevocation")
	failing := conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonRequestsFailing, "denied")
	if got := orStale(failing, seen); got != failing {
		t.Errorf("%+v", got)
	}
	ep, seen = ailingEndpoint(asking(v1alpha1.WebhookBearer), 1, silent(true), silent(false))
	wantSays(t, enrolling(ep, seen, noon), metav1.ConditionFalse, v1alpha1.ReasonRevocationUnknown, "crl.example.com")
}
