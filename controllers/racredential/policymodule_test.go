package racredential

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
)

func clientUse(step v1alpha1.ClientStep, active, next *v1alpha1.ClientServiceAnswer) use {
	ep := &v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Name: "corp"}}
	ep.Status.ClientCredentials = []v1alpha1.ClientCredentialStatus{{
		Name: "policy", ActiveGeneration: "c1", NextGeneration: "c2", Step: step,
		Services: []v1alpha1.ClientServiceStatus{{Challenge: "mdm", Active: active, Next: next}, {Challenge: "mdm", Notification: true, Active: active, Next: active}},
	}}
	return usesOf(ep)[0]
}

// TestWhereACertificateIsNotAccepted: the message says what to register where, and Ready
// is False only where a person has to act.
func TestWhereACertificateIsNotAccepted(t *testing.T) {
	accepted := &v1alpha1.ClientServiceAnswer{Answer: v1alpha1.ClientAccepted, HTTPStatus: 405}
	forbidden := &v1alpha1.ClientServiceAnswer{Answer: v1alpha1.ClientRefused, Reason: v1alpha1.ClientReasonForbidden, HTTPStatus: 403}
	byTLS := &v1alpha1.ClientServiceAnswer{Answer: v1alpha1.ClientRefused, Reason: v1alpha1.ClientReasonTLS}
	unclear := &v1alpha1.ClientServiceAnswer{Answer: v1alpha1.ClientUnclear, Reason: v1alpha1.ClientReasonNoDifference, HTTPStatus: 400}
	rc := &v1alpha1.RACredential{ObjectMeta: metav1.ObjectMeta{Name: "policy"}}
	for _, id := range []string{"c2", "c1"} {
		rc.Status.Generations = append(rc.Status.Generations, v1alpha1.CredentialGeneration{
			ID: id, Certificates: []v1alpha1.CredentialCertificate{{Role: v1alpha1.RoleClient, Fingerprint: "sha256-of-" + id, SHA1: "sha1-of-" + id}},
		})
	}
	for name, c := range map[string]struct {
		use    use
		reason string
		says   string
	}{
		"probing":               {clientUse(v1alpha1.ClientProbing, accepted, forbidden), v1alpha1.ReasonSucceeded, ""},
		"too late":              {clientUse(v1alpha1.ClientNotAccepted, accepted, forbidden), v1alpha1.ReasonNextNotAccepted, "the service of challenge mdm (does not let the caller in, HTTP 403): it has not accepted the next certificate in time; register the certificate with SHA-256 sha256-of-c2, SHA-1 sha1-of-c2 there; it is in ConfigMap policy-certificates under the key c2.crt"},
		"too late, not asked":   {clientUse(v1alpha1.ClientNotAccepted, accepted, nil), v1alpha1.ReasonNextNotAccepted, "(has not been asked yet)"},
		"too late, unclear":     {clientUse(v1alpha1.ClientNotAccepted, accepted, unclear), v1alpha1.ReasonNextNotAccepted, "set clientProbe to Post, or None"},
		"refused in use":        {clientUse(v1alpha1.ClientIdle, byTLS, nil), v1alpha1.ReasonClientRefused, "the notified service of challenge mdm (refuses it in the TLS handshake): it does not accept the certificate in use; register the certificate with SHA-256 sha256-of-c1"},
		"refused, and too late": {clientUse(v1alpha1.ClientNotAccepted, forbidden, forbidden), v1alpha1.ReasonClientRefused, "sha1-of-c1"},
	} {
		ready := conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "")
		got := orNotAccepted(ready, rc, &observation{endpoints: endpoints{uses: []use{c.use}}})
		if got.Reason != c.reason || !strings.Contains(got.Message, c.says) || (got.Status == metav1.ConditionTrue) != (c.reason == v1alpha1.ReasonSucceeded) {
			t.Errorf("%s: %s %s: %s", name, got.Status, got.Reason, got.Message)
		}
		broken := conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonIssuanceFailed, "")
		if got := orNotAccepted(broken, rc, &observation{endpoints: endpoints{uses: []use{c.use}}}); got.Reason != v1alpha1.ReasonIssuanceFailed {
			t.Errorf("%s hides a cause: %s", name, got.Reason)
		}
	}
}
