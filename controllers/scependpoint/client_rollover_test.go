package scependpoint

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// giveClientGenerations plays the RACredential's controller; the newest comes first.
func (f *fixture) giveClientGenerations(added time.Time, ids ...string) {
	f.t.Helper()
	var c v1alpha1.RACredential
	f.get("policy", &c)
	setStatus(f, &c, func(c *v1alpha1.RACredential) {
		c.Status.ObservedGeneration = c.Generation
		c.Status.Conditions = conditions.Merge(nil, time.Now(), c.Generation, conditions.True(v1alpha1.ConditionKeyringReady, v1alpha1.ReasonSucceeded, ""))
		c.Status.Generations = nil
		for _, id := range ids {
			g := generation(id, added)
			g.Certificates[0].Role, g.Certificates[0].SHA1 = v1alpha1.RoleClient, "sha1-of-"+id
			c.Status.Generations = append(c.Status.Generations, g)
		}
	})
}

// sayClient plays the servers: which generations it holds, and what the service said of each.
func (f *fixture) sayClient(holds []string, answers map[string]v1alpha1.ClientAnswer) {
	f.t.Helper()
	file, config := f.config()
	for i := range 2 {
		status := raconfig.ReplicaStatus{
			ConfigHash: raconfig.Hash(file), ConfigGeneration: config.Endpoint.Generation,
			ActiveGeneration: config.ActiveGeneration, HeldGenerations: []string{"gen1"},
			Clients: []raconfig.HeldClient{{Credential: "policy", HeldGenerations: holds}},
		}
		for id, answer := range answers {
			probe := raconfig.ClientProbe{Credential: "policy", Generation: id, Challenge: "mutual", Result: answer}
			if answer == v1alpha1.ClientRefused {
				probe.Reason, probe.HTTPStatus = v1alpha1.ClientReasonForbidden, 403
			}
			status.ClientProbes = append(status.ClientProbes, probe)
		}
		f.servers.say(podIP(i), status)
	}
	f.change(func(ep *v1alpha1.ScepEndpoint) {
		ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: time.Now().Format(time.RFC3339Nano)}
	})
}

// waitClient waits until the endpoint's status and the servers' configuration are so.
func (f *fixture) waitClient(active, next string, step v1alpha1.ClientStep) {
	f.t.Helper()
	testenv.Eventually(f.t, fmt.Sprintf("active %s, next %q, step %s", active, next, step), func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		f.get("corp", &ep)
		_, config, err := f.readConfig(ctx)
		if err != nil {
			return err
		}
		if len(ep.Status.ClientCredentials) != 1 {
			return fmt.Errorf("status %+v", ep.Status.ClientCredentials)
		}
		is := ep.Status.ClientCredentials[0]
		if is.ActiveGeneration != active || is.NextGeneration != next || is.Step != step || config.Clients["policy"].ActiveGeneration != active {
			return fmt.Errorf("status %+v, configuration %+v", is, config.Clients)
		}
		return nil
	})
}

// TestAClientCertificateIsSwitchedWhenItIsAccepted goes from the first generation to the
// second, which a service refuses at first.
func TestAClientCertificateIsSwitchedWhenItIsAccepted(t *testing.T) {
	f := newFixture(t)
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Challenges = append(ep.Spec.Challenges, mutualChallenge()) })
	f.makeClientCredential("policy", v1alpha1.PurposePolicyModule)
	f.giveClientGenerations(time.Now().Add(-time.Hour), "c1")
	f.waitClient("c1", "", v1alpha1.ClientIdle)
	f.sayClient([]string{"c1"}, map[string]v1alpha1.ClientAnswer{"c1": v1alpha1.ClientAccepted})
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)

	f.giveClientGenerations(time.Now(), "c2", "c1")
	f.waitClient("c1", "c2", v1alpha1.ClientLoading)
	f.sayClient([]string{"c2", "c1"}, map[string]v1alpha1.ClientAnswer{"c1": v1alpha1.ClientAccepted, "c2": v1alpha1.ClientRefused})
	f.waitClient("c1", "c2", v1alpha1.ClientProbing)
	f.sayClient([]string{"c2", "c1"}, map[string]v1alpha1.ClientAnswer{"c1": v1alpha1.ClientAccepted, "c2": v1alpha1.ClientAccepted})
	f.waitClient("c2", "", v1alpha1.ClientIdle)

	// Later the service refuses what is in use: devices suffer, so the endpoint is not ready.
	f.sayClient([]string{"c2", "c1"}, map[string]v1alpha1.ClientAnswer{"c2": v1alpha1.ClientRefused})
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionFalse, v1alpha1.ReasonClientRefused,
		"the service of challenge mutual (does not let the caller in, HTTP 403)", "SHA-1 sha1-of-c2", "ConfigMap policy-certificates under the key c2.crt")
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	for _, c := range ep.Status.Conditions {
		if strings.Contains(c.Message, "hook.example.com") {
			t.Errorf("a condition shows the service's URL: %s", c.Message)
		}
	}
}

// TestAClientCertificateThatIsNotAcceptedInTime is for a person; devices notice nothing.
func TestAClientCertificateThatIsNotAcceptedInTime(t *testing.T) {
	f := newFixture(t)
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Challenges = append(ep.Spec.Challenges, mutualChallenge()) })
	f.makeClientCredential("policy", v1alpha1.PurposePolicyModule)
	f.giveClientGenerations(time.Now().Add(-time.Hour), "c1")
	f.waitClient("c1", "", v1alpha1.ClientIdle)
	f.giveClientGenerations(time.Now().Add(-8*testDay), "c2", "c1")
	f.sayClient([]string{"c2", "c1"}, map[string]v1alpha1.ClientAnswer{"c1": v1alpha1.ClientAccepted, "c2": v1alpha1.ClientRefused})
	f.waitClient("c1", "c2", v1alpha1.ClientNotAccepted)
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonNextNotAccepted, "has not accepted the next client certificate", "SHA-1 sha1-of-c2")
	// The operator that comes back when the first has gone shows the second whatever is said.
	f.giveClientGenerations(time.Now(), "c2")
	f.waitClient("c2", "", v1alpha1.ClientIdle)
}
