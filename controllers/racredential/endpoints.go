package racredential

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/certsource"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// use is what an endpoint says of a credential that its servers hold.
type use struct {
	credential, endpoint string
	// active is the ID of the generation on show, next that of the one on its way.
	active, next string
	// held is how many servers hold next, or else active, as in "2/3".
	held string
	// probing is true while services are asked whether they accept next.
	probing bool
	// client is all that is said of a client credential; nil for others.
	client *v1alpha1.ClientCredentialStatus
	// kept is, by ID, until when generations must stay that were shown earlier.
	kept map[string]time.Time
}

// usesOf lists what an endpoint says of each of its credentials.
func usesOf(ep *v1alpha1.ScepEndpoint) []use {
	var uses []use
	if ep.Status.RACredential != nil {
		uses = authorityUses(ep.Name, ep.Status.RACredential)
	}
	for i := range ep.Status.ClientCredentials {
		c := &ep.Status.ClientCredentials[i]
		uses = append(uses, use{
			credential: c.Name, endpoint: ep.Name, active: c.ActiveGeneration, next: c.NextGeneration, held: c.Held,
			probing: c.Step == v1alpha1.ClientProbing || c.Step == v1alpha1.ClientNotAccepted,
			client:  c,
		})
	}
	return uses
}

// authorityUses sorts by credential what is said of the one in use, which may be giving
// way to another, and of earlier ones.
func authorityUses(endpoint string, s *v1alpha1.EndpointCredentialStatus) []use {
	var uses []use
	of := func(credential string) *use {
		i := slices.IndexFunc(uses, func(u use) bool { return u.credential == credential })
		if i < 0 {
			i, uses = len(uses), append(uses, use{credential: credential, endpoint: endpoint, kept: map[string]time.Time{}})
		}
		return &uses[i]
	}
	of(s.Name).active = s.ActiveGeneration
	awaited := of(cmp.Or(s.NextName, s.Name))
	awaited.next, awaited.held = s.NextGeneration, s.Held
	for _, shown := range s.Previous {
		of(shown.Name).kept[shown.Generation] = shown.Until.Time
	}
	return uses
}

// endpoints is what the endpoints of the namespace say of a credential.
type endpoints struct {
	uses []use
	// expected are the CA certificates that their issuer signs with.
	expected []rotation.Authority
	// chain are the CA certificates that they complete their issuer's with.
	chain   []*x509.Certificate
	readErr error
	// users refer to the credential or use it; resting are those of them that are suspended.
	users, resting int
}

// suspended says whether the credential is to be left as it is: nobody but suspended
// endpoints has to do with it.
func (e *endpoints) suspended() bool { return e.users > 0 && e.resting == e.users }

func (r *Reconciler) observeEndpoints(ctx context.Context, rc *v1alpha1.RACredential) endpoints {
	var list v1alpha1.ScepEndpointList
	if err := r.client.List(ctx, &list, client.InNamespace(rc.Namespace)); err != nil {
		return endpoints{readErr: fmt.Errorf("list ScepEndpoints: %w", err)}
	}
	var seen endpoints
	for i := range list.Items {
		ep := &list.Items[i]
		seen.chain = append(seen.chain, r.observeChain(ctx, rc, ep)...)
		uses := slices.DeleteFunc(usesOf(ep), func(u use) bool { return u.credential != rc.Name })
		seen.uses = append(seen.uses, uses...)
		if len(uses) > 0 || render.CredentialName(ep) == rc.Name {
			seen.users++
			if ep.Spec.Suspend {
				seen.resting++
			}
		}
		if len(uses) > 0 && ep.Status.IssuingCA != nil && sameIssuer(rc, ep) {
			seen.expected = append(seen.expected, rotation.Authority{
				Fingerprint: ep.Status.IssuingCA.Fingerprint, Since: ep.Status.IssuingCA.Since.Time,
			})
		}
	}
	return seen
}

// observeChain reads what an endpoint says of the chain above its RA certificates. What
// cannot be had the endpoint's own conditions tell of.
func (r *Reconciler) observeChain(ctx context.Context, rc *v1alpha1.RACredential, ep *v1alpha1.ScepEndpoint) []*x509.Certificate {
	if ep.Spec.CA == nil || render.CredentialName(ep) != rc.Name {
		return nil
	}
	source := certsource.Observe(ctx, r.live, ep.Namespace, "spec.ca.chain", ep.Spec.CA.Chain)
	if !source.Usable() {
		return nil
	}
	return source.Bundle.All()
}

// sameIssuer says whether the devices' certificates come from the credential's issuer.
// Certificates from outside have none to compare with.
func sameIssuer(rc *v1alpha1.RACredential, ep *v1alpha1.ScepEndpoint) bool {
	return rc.Spec.IssuerRef == nil || issuer.Canonical(*rc.Spec.IssuerRef) == issuer.Canonical(ep.Spec.Issuance.IssuerRef)
}

// shown lists the generations that endpoints show.
func (e *endpoints) shown() []string {
	var ids []string
	for _, u := range e.uses {
		if u.active != "" {
			ids = append(ids, u.active)
		}
	}
	return ids
}

// keptUntil merges what the endpoints want to be kept.
func (e *endpoints) keptUntil() map[string]time.Time {
	out := map[string]time.Time{}
	for _, u := range e.uses {
		for id, until := range u.kept {
			if until.After(out[id]) {
				out[id] = until
			}
		}
	}
	return out
}
