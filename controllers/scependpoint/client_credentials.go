package scependpoint

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
)

// clientCredentialFact is what was seen of an RACredential with which a webhook is called.
type clientCredentialFact struct {
	name       string
	credential read[v1alpha1.RACredential]
	keyring    read[metav1.PartialObjectMetadata]
}

func (r *Reconciler) observeClientCredentials(ctx context.Context, namespace string, c v1alpha1.Challenge) []clientCredentialFact {
	var out []clientCredentialFact
	for _, name := range render.ClientCredentials(c) {
		out = append(out, clientCredentialFact{
			name:       name,
			credential: get(ctx, r.client, namespace, name, &v1alpha1.RACredential{}),
			keyring:    r.observeKeyring(ctx, namespace, name),
		})
	}
	return out
}

func (c clientCredentialFact) err() error { return errors.Join(c.credential.err, c.keyring.err) }

// usable says whether the servers have something to show. What has expired stays with
// them: they say so themselves, and hold back what the webhook has to be told of.
func (c clientCredentialFact) usable() bool {
	have := c.credential.value
	return have != nil && have.Spec.Purpose == v1alpha1.PurposePolicyModule && len(have.Status.Generations) > 0 && c.keyring.value != nil
}

// ready says whether the newest generation can serve.
func (c clientCredentialFact) ready() bool {
	have := c.credential.value
	return c.usable() && conditions.IsTrue(have.Status.Conditions, v1alpha1.ConditionKeyringReady, have.Generation)
}

func (c clientCredentialFact) version() string {
	if c.keyring.value == nil {
		return ""
	}
	return version(c.keyring.value)
}

func (c clientCredentialFact) problem(namespace, challenge string) (metav1.Condition, bool) {
	const accepted = v1alpha1.ConditionAccepted
	what := fmt.Sprintf("RACredential %s of challenge %s", c.name, challenge)
	have := c.credential.value
	switch {
	case c.err() != nil:
		return conditions.Unknown(accepted, v1alpha1.ReasonReadFailed, fmt.Sprintf("%s or its keyring could not be read; %s", what, tryAgain)), true
	case have == nil:
		return conditions.False(accepted, v1alpha1.ReasonCredentialNotFound, fmt.Sprintf(
			"%s does not exist in namespace %s: create it with purpose PolicyModule, or correct clientCertificateRef", what, namespace)), true
	case have.Spec.Purpose != v1alpha1.PurposePolicyModule:
		return conditions.False(accepted, v1alpha1.ReasonCredentialPurpose, fmt.Sprintf(
			"%s is of purpose %s: name one of purpose PolicyModule in clientCertificateRef", what, have.Spec.Purpose)), true
	case !c.ready():
		return conditions.False(accepted, v1alpha1.ReasonCredentialNotReady, fmt.Sprintf(
			"%s has no certificate that can be shown: its conditions say why", what)), true
	}
	return metav1.Condition{}, false
}
