package scependpoint

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// maxRevokedAtOnce bounds what is added to a list in one reconcile.
const maxRevokedAtOnce = 1000

// revocationsWanted are the serial numbers that the servers want to have revoked,
// sorted. Servers may not write the list: one that was taken over could take
// certificates off it.
func revocationsWanted(seen *observation) []string {
	if seen.replicas.value == nil {
		return nil
	}
	var out []string
	for _, r := range *seen.replicas.value {
		if r.status != nil {
			out = append(out, r.status.RevocationsWanted...)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxRevokedAtOnce)]
}

// newRevocations leaves out what is no serial number: servers send none, but it comes from outside.
func newRevocations(serials []string, now time.Time) []raconfig.Revocation {
	var out []raconfig.Revocation
	for _, text := range serials {
		if serial, err := raconfig.ParseSerial(text); err == nil {
			out = append(out, raconfig.Revocation{Serial: raconfig.SerialText(serial), Time: now, Reason: raconfig.Unspecified})
		}
	}
	return out
}

// revoke adds to the list what is not on it yet. Somebody else's change that came
// between is an error, after which all is looked at again.
func (r *Reconciler) revoke(ctx context.Context, ep *v1alpha1.ScepEndpoint, serials []string) error {
	if len(serials) == 0 {
		return nil
	}
	name := render.RevokedName(ep.Name)
	seen := get(ctx, r.live, ep.Namespace, name, &corev1.ConfigMap{})
	if seen.value == nil {
		return seen.err // the next reconcile finds the list that was just made
	}
	list, err := raconfig.DecodeRevocations([]byte(seen.value.Data[raconfig.RevocationsFile]))
	if err != nil {
		return fmt.Errorf("ConfigMap %s: %w", name, err)
	}
	next, changed, err := list.With(r.clock.Now(), newRevocations(serials, r.clock.Now())...)
	if err != nil || !changed {
		return wrapRevocations(name, err)
	}
	content, err := raconfig.EncodeRevocations(next)
	if err != nil {
		return wrapRevocations(name, err)
	}
	before := seen.value.DeepCopy()
	seen.value.Data[raconfig.RevocationsFile] = string(content)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return wrapRevocations(name, r.client.Patch(ctx, seen.value, patch))
}

func wrapRevocations(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("add to ConfigMap %s what Intune wants revoked: %w", name, err)
}
