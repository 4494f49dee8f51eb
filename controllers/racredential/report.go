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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	scepterac "github.com/scepter-pki/scepter/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// wakeUpSpread spreads wake-ups, so that a thousand credentials of one age do not
// all wake at one moment. The checks themselves go by the exact time.
const wakeUpSpread = 10 * time.Second

// statusOf is the complete status. It is pure.
func statusOf(rc *v1alpha1.RACredential, seen *observation, p *plan, done *deeds, now time.Time) v1alpha1.RACredentialStatus {
	status := v1alpha1.RACredentialStatus{
		ObservedGeneration:     rc.Generation,
		Conditions:             conditions.Merge(rc.Status.Conditions, now, rc.Generation, conditionsOf(rc, seen, p, done)...),
		Generations:            rc.Status.Generations,
		KeyringSecret:          rc.Status.KeyringSecret,
		NotAfter:               rc.Status.NotAfter,
		RenewalTime:            renewalTime(seen.sources),
		Distrusted:             rc.Status.Distrusted,
		LastHandledReconcileAt: rc.Annotations[v1alpha1.AnnotationReconcile],
	}
	if p.rotation == nil || done.keyringErr != nil {
		return status // what the keyring holds is what was said of it last
	}
	status.Generations, status.NotAfter, status.KeyringSecret = nil, nil, ""
	if !done.held {
		return status
	}
	status.KeyringSecret = render.KeyringName(rc.Name)
	for i := range p.rotation.Keyring.Generations {
		status.Generations = append(status.Generations, describe(&p.rotation.Keyring.Generations[i]))
	}
	if newest := p.rotation.Newest(); newest != nil {
		status.NotAfter = &metav1.Time{Time: newest.NotAfter()}
	}
	return status
}

func describe(g *raconfig.Generation) v1alpha1.CredentialGeneration {
	out := v1alpha1.CredentialGeneration{ID: g.ID, AddedAt: metav1.NewTime(g.AddedAt)}
	for i := range g.Certificates {
		c := g.Certificates[i].Certificate
		out.Certificates = append(out.Certificates, v1alpha1.CredentialCertificate{
			Role:         g.Certificates[i].Role,
			Fingerprint:  raconfig.Fingerprint(c),
			SerialNumber: c.SerialNumber.Text(16),
			NotBefore:    metav1.NewTime(c.NotBefore),
			NotAfter:     metav1.NewTime(c.NotAfter),
		})
	}
	return out
}

// renewalTime is when cert-manager is going to renew the first of the sources.
func renewalTime(sources []source) *metav1.Time {
	var first *metav1.Time
	for i := range sources {
		if sources[i].certificate == nil {
			continue
		}
		at := sources[i].certificate.Status.RenewalTime
		if at != nil && (first == nil || at.Before(first)) {
			first = at
		}
	}
	return first
}

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
