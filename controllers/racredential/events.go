package racredential

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/telling"
	"github.com/scepter-pki/scepter/internal/render"
)

// Reasons of Events that no condition tells.
const (
	// reasonGenerationAdded surfaces when new certificates came into the keyring.
	reasonGenerationAdded = "GenerationAdded"
	// reasonGenerationRetired surfaces when certificates left the keyring.
	reasonGenerationRetired = "GenerationRetired"
	// reasonReissued surfaces when cert-manager was asked for another certificate out of turn.
	reasonReissued = "Reissued"
)

// tell records what changed, once each.
func (r *Reconciler) tell(rc *v1alpha1.RACredential, status v1alpha1.RACredentialStatus, p *plan, done *deeds) {
	if p.rotation != nil && done.held {
		name := render.KeyringName(rc.Name)
		for _, id := range p.rotation.Added {
			r.recorder.Eventf(rc, nil, corev1.EventTypeNormal, reasonGenerationAdded, telling.Action, "Generation %s came into Secret %s", id, name)
		}
		for _, id := range p.rotation.Retired {
			r.recorder.Eventf(rc, nil, corev1.EventTypeNormal, reasonGenerationRetired, telling.Action, "Generation %s left Secret %s", id, name)
		}
	}
	if p.rotation != nil && done.asked {
		r.tellReissue(rc, p)
	}
	telling.Restored(r.recorder, rc, done.outcomes)
	telling.Transitions(r.recorder, rc, rc.Status.Conditions, status.Conditions)
}
