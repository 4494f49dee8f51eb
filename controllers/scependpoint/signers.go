package scependpoint

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/peers"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// signerPlan is what the signers need beside their children.
type signerPlan struct {
	// account that owns the two Secrets; nil while it is not there.
	account *corev1.ServiceAccount
	// server and client as they were seen.
	server, client peerFact
	// makeRevoked asks for an empty list of revoked certificates.
	makeRevoked bool
	// revoke are serial numbers that Intune wants revoked, as the servers say.
	revoke []string
}

func planSigners(ep *v1alpha1.ScepEndpoint, seen *observation) signerPlan {
	if !render.IsDirect(ep) {
		return signerPlan{}
	}
	s := &seen.signers
	p := signerPlan{makeRevoked: s.revoked.absent(), revoke: revocationsWanted(seen), server: s.server, client: s.client}
	if s.server.err == nil && s.client.err == nil {
		p.account = s.account.value
	}
	return p
}

// makePeers writes what the two Secrets lack, the signers' first.
func (r *Reconciler) makePeers(ctx context.Context, ep *v1alpha1.ScepEndpoint, p signerPlan) ([]apply.Outcome, error) {
	if p.account == nil {
		return nil, nil
	}
	now := r.clock.Now()
	maker := peers.Make(render.SignerName(ep.Name), render.SignerHost(ep))
	server, clients, err := peers.Rotate(p.server.side, p.client.side, now, maker)
	if err != nil {
		return nil, err
	}
	var secrets []apply.Object
	for _, one := range []struct {
		name string
		side peers.Side
		have map[string][]byte
	}{
		{render.SignerServerSecretName(ep.Name), server, p.server.data},
		{render.SignerClientSecretName(ep.Name), clients, p.client.data},
	} {
		data, err := one.side.Encode()
		if err != nil {
			return nil, fmt.Errorf("encode Secret %s: %w", one.name, err)
		}
		if !maps.EqualFunc(data, one.have, bytes.Equal) {
			secrets = append(secrets, render.PeerSecret(ep, one.name, data, now))
		}
	}
	return r.applier.Apply(ctx, p.account, secrets...)
}

// makeRevoked makes an empty list, once: signers do not start without one. It is
// nobody's child, so it is neither compared nor removed.
func (r *Reconciler) makeRevoked(ctx context.Context, ep *v1alpha1.ScepEndpoint, p signerPlan) error {
	if !p.makeRevoked {
		return nil
	}
	list, err := raconfig.EncodeRevocations(raconfig.NewRevocations(r.clock.Now()))
	if err != nil {
		return fmt.Errorf("make an empty list of revoked certificates: %w", err)
	}
	err = r.client.Create(ctx, render.RevokedConfigMap(ep.Namespace, ep.Name, list))
	if client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("make ConfigMap %s: %w", render.RevokedName(ep.Name), err)
	}
	return nil
}

// planSignerNudges says which signer pods to touch: those that must see a change of
// what they mount, again and again while they say that they have not.
func planSignerNudges(p *plan, seen *observation) map[string]string {
	s := &seen.signers
	if p.config == nil || s.replicas.value == nil {
		return nil
	}
	hash := hashOf(p.configHash, s.server.version, s.revokedVersion(), s.caVersion())
	nudges := map[string]string{}
	for _, r := range *s.replicas.value {
		if next := nextNudge(r.nudge, hash, s.isBehind(r, p)); next != r.nudge {
			nudges[r.name] = next
		}
	}
	return nudges
}

// isBehind says whether a signer tells that it has not seen what it mounts.
func (f *signerFacts) isBehind(r replica, p *plan) bool {
	if r.signer == nil {
		return false
	}
	list := f.revoked.value
	return r.signer.ConfigHash != p.configHash || list != nil && list.updated.After(r.signer.RevocationsUpdated)
}

func (f *signerFacts) revokedVersion() string {
	if f.revoked.value == nil {
		return ""
	}
	return f.revoked.value.version
}

func (f *signerFacts) caVersion() string {
	if f.ca.value == nil {
		return ""
	}
	return version(f.ca.value)
}

// untilPeers is the time until the next step of the two Secrets' rotation.
func untilPeers(ep *v1alpha1.ScepEndpoint, seen *observation, d *done, now time.Time) time.Duration {
	if !render.IsDirect(ep) {
		return restInterval
	}
	if d.wrote("Secret") {
		return settleMin // the pods are nudged when the new versions were seen
	}
	return peers.NextStep(seen.signers.server.side, seen.signers.client.side, now)
}

// wrote says whether a child of a kind was written now.
func (d *done) wrote(kind string) bool {
	for _, o := range d.outcomes {
		if o.Object.Kind == kind && o.Action != apply.Unchanged && o.Action != apply.Failed {
			return true
		}
	}
	return false
}
