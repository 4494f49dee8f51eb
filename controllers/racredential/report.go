package racredential

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	scepterac "github.com/scepter-pki/scepter/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// wakeUpSpread spreads wake-ups, so that a thousand credentials of one age do not
// all wake at one moment. The checks themselves go by the exact time.
const wakeUpSpread = 10 * time.Second

// report writes the status if it changed, then tells what changed, and says when to look again.
func (r *Reconciler) report(
	ctx context.Context, rc *v1alpha1.RACredential, seen *observation, p *plan, done *deeds,
) (ctrl.Result, error) {
	now := r.clock.Now()
	status := statusOf(rc, seen, p, done, now)
	if !equality.Semantic.DeepEqual(rc.Status, status) {
		if err := r.writeStatus(ctx, rc, status); err != nil {
			return ctrl.Result{}, err
		}
	}
	r.tell(rc, status, p, done)
	if err := errors.Join(seen.err(), done.err()); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: wakeUp(p.rotation.Next, now, cmp.Or(r.Interval, defaultInterval))}, nil
}

func (r *Reconciler) writeStatus(ctx context.Context, rc *v1alpha1.RACredential, status v1alpha1.RACredentialStatus) error {
	raw, err := json.Marshal(status)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	wanted := scepterac.RACredentialStatus()
	if err := json.Unmarshal(raw, wanted); err != nil {
		return fmt.Errorf("convert status: %w", err)
	}
	err = r.client.Status().Apply(ctx, scepterac.RACredential(rc.Name, rc.Namespace).WithUID(rc.UID).WithStatus(wanted),
		client.FieldOwner(fieldOwner), client.ForceOwnership)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// wakeUp is the delay until the next deadline, zero for none, or the next look at the
// keyring, whichever is earlier.
func wakeUp(next, now time.Time, interval time.Duration) time.Duration {
	if next.IsZero() {
		return interval
	}
	return min(interval, max(0, next.Sub(now))+rand.N(wakeUpSpread))
}
