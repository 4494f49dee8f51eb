package scependpoint

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// credentialFact is what was seen of an RACredential whose generations the endpoint shows.
type credentialFact struct {
	name       string
	credential read[v1alpha1.RACredential]
	keyring    read[metav1.PartialObjectMetadata]
}

func (c credentialFact) err() error { return errors.Join(c.credential.err, c.keyring.err) }

// usable says whether servers can mount a keyring of it.
func (c credentialFact) usable() bool {
	have := c.credential.value
	return have != nil && have.Spec.Purpose == v1alpha1.PurposeRA && c.keyring.value != nil
}

// observeEarlier reads the credentials of what is shown and of what was, as far as they
// are other ones than that which the endpoint refers to.
func (r *Reconciler) observeEarlier(ctx context.Context, ep *v1alpha1.ScepEndpoint, config *raconfig.Config) []credentialFact {
	var out []credentialFact
	shown := shownBy(ep, config)
	names := []string{render.CredentialName(ep)}
	for _, name := range append([]string{shown.credential}, credentialsOf(shown.accepted)...) {
		if slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		out = append(out, credentialFact{
			name:       name,
			credential: get(ctx, r.client, ep.Namespace, name, &v1alpha1.RACredential{}),
			keyring:    r.observeKeyring(ctx, ep.Namespace, name),
		})
	}
	return out
}

func credentialsOf(accepted []raconfig.Accepted) []string {
	names := make([]string, 0, len(accepted))
	for _, a := range accepted {
		names = append(names, a.Credential)
	}
	return names
}

// credentialFacts are all of them, first the one that the endpoint refers to.
func (o *observation) credentialFacts(ep *v1alpha1.ScepEndpoint) []credentialFact {
	wanted := credentialFact{name: render.CredentialName(ep), credential: o.credential, keyring: o.keyring}
	return append([]credentialFact{wanted}, o.earlier...)
}

// shown is what the servers' configuration names.
type shown struct {
	generation, credential string
	accepted               []raconfig.Accepted
}

// shownBy reads it from the configuration, not from the status, for it may have been
// written just before a crash. Where the configuration is gone, the status knows.
func shownBy(ep *v1alpha1.ScepEndpoint, config *raconfig.Config) shown {
	if config != nil {
		return shown{config.ActiveGeneration, cmp.Or(config.Credential, render.CredentialName(ep)), config.Accepted}
	}
	if ep.Status.RACredential == nil {
		return shown{credential: render.CredentialName(ep)}
	}
	out := shown{generation: ep.Status.RACredential.ActiveGeneration, credential: ep.Status.RACredential.Name}
	for _, p := range ep.Status.RACredential.Previous {
		out.accepted = append(out.accepted, raconfig.Accepted{Credential: p.Name, Generation: p.Generation, Until: p.Until.UTC()})
	}
	return out
}

// planRollover says which generation GetCACert is to show. What could not be read is not
// known to be gone: then nothing is decided.
func planRollover(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) *rotation.SwitchPlan {
	shown := shownBy(ep, seen.config.value)
	in := rotation.SwitchInput{
		Shown: shown.generation, Credential: shown.credential, Accepted: shown.accepted,
		Holders: holders(seen), LoadTimeout: loadTimeout(seen), Now: now,
	}
	for _, c := range seen.credentialFacts(ep) {
		if c.err() != nil {
			return &rotation.SwitchPlan{Stage: rotation.StageNone}
		}
		if c.usable() && !misleads(ep, seen, c.name, shown) {
			in.Credentials = append(in.Credentials, offered(c))
		}
	}
	if last := ep.Status.RACredential; last != nil {
		in.Next, in.Missing = last.NextGeneration, last.Missing
		if last.Since != nil {
			in.Since = last.Since.Time
		}
	}
	return rotation.Switch(in)
}

// misleads says whether to leave out the credential that the endpoint refers to: while it
// comes from another issuer than the devices' certificates, the one shown stays.
func misleads(ep *v1alpha1.ScepEndpoint, seen *observation, name string, shown shown) bool {
	return name == render.CredentialName(ep) && name != shown.credential && shown.generation != "" && issuersDiffer(ep, seen)
}

// defaultLoadTimeout is that of the API, for an RACredential without the field.
const defaultLoadTimeout = 30 * time.Minute

func loadTimeout(seen *observation) time.Duration {
	if c := seen.credential.value; c != nil && c.Spec.LoadTimeout.Duration > 0 {
		return c.Spec.LoadTimeout.Duration
	}
	return defaultLoadTimeout
}

func offered(c credentialFact) rotation.Credential {
	have := c.credential.value
	out := rotation.Credential{Name: c.name, Overlap: have.Spec.Overlap.Duration}
	for _, g := range have.Status.Generations {
		if len(g.Certificates) > 0 {
			out.Offers = append(out.Offers, offer(g, have.Status.Distrusted))
		}
	}
	return out
}

func offer(g v1alpha1.CredentialGeneration, distrusted []string) rotation.Offer {
	o := rotation.Offer{ID: g.ID, NotAfter: notAfter(g)}
	for _, c := range g.Certificates {
		if c.NotBefore.After(o.NotBefore) {
			o.NotBefore = c.NotBefore.Time
		}
		o.Distrusted = o.Distrusted || slices.Contains(distrusted, c.Fingerprint)
	}
	return o
}

// holders are the servers that run or are about to, and those that end.
func holders(seen *observation) []rotation.Holder {
	if seen.replicas.err != nil {
		// Servers that could not be listed may be there: they count as one that lacks everything.
		return []rotation.Holder{{Name: "unknown", Ready: true}}
	}
	var out []rotation.Holder
	if seen.replicas.value != nil {
		for _, r := range append(slices.Clone(*seen.replicas.value), seen.leaving...) {
			if r.ready || r.started {
				out = append(out, r.holder())
			}
		}
	}
	slices.SortFunc(out, func(a, b rotation.Holder) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (r *replica) holder() rotation.Holder {
	h := rotation.Holder{Name: r.name, Ready: r.ready && !r.leaving, Keyrings: r.keyrings}
	if r.status != nil {
		h.Answers, h.Holds, h.Shows = true, r.status.HeldGenerations, r.status.ActiveGeneration
	}
	return h
}

func findGeneration(generations []v1alpha1.CredentialGeneration, id string) *v1alpha1.CredentialGeneration {
	for i := range generations {
		if generations[i].ID == id {
			return &generations[i]
		}
	}
	return nil
}

// findShown finds a generation of any of the credentials.
func (o *observation) findShown(ep *v1alpha1.ScepEndpoint, id string) *v1alpha1.CredentialGeneration {
	for _, c := range o.credentialFacts(ep) {
		if c.credential.value == nil {
			continue
		}
		if g := findGeneration(c.credential.value.Status.Generations, id); g != nil {
			return g
		}
	}
	return nil
}

// notAfter is when a generation's first certificate ends.
func notAfter(g v1alpha1.CredentialGeneration) time.Time {
	var end time.Time
	for _, c := range g.Certificates {
		if end.IsZero() || c.NotAfter.Time.Before(end) {
			end = c.NotAfter.Time
		}
	}
	return end
}
