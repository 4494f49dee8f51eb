package racredential

import (
	"context"
	"errors"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
)

// deeds is what was written.
type deeds struct {
	outcomes []apply.Outcome
	// keyringErr and certificatesErr say why a write failed.
	keyringErr, certificatesErr error
	// held is true when the keyring Secret holds what was planned.
	held bool
}

func (d *deeds) err() error { return errors.Join(d.keyringErr, d.certificatesErr) }

// act writes the keyring and then the Certificates. It leaves the Certificates
// alone while the keyring is not safe: changing them makes cert-manager replace keys.
func (r *Reconciler) act(ctx context.Context, rc *v1alpha1.RACredential, p *plan) *deeds {
	done := &deeds{keyringErr: p.keyringErr}
	if p.rotation == nil || p.keyringErr != nil {
		return done
	}
	if p.keyring != nil {
		done.outcomes, done.keyringErr = r.applier.Apply(ctx, rc, p.keyring)
		if done.keyringErr != nil {
			return done
		}
		done.held = true
	}
	outcomes, err := r.applier.Apply(ctx, rc, p.certificates...)
	done.outcomes = append(done.outcomes, outcomes...)
	done.certificatesErr = errors.Join(err, r.prune(ctx, rc, outcomes))
	return done
}

// prune deletes the Certificates of an earlier layout.
func (r *Reconciler) prune(ctx context.Context, rc *v1alpha1.RACredential, outcomes []apply.Outcome) error {
	keep := sets.New[apply.Ref]()
	for _, outcome := range outcomes {
		if outcome.Object.Name == "" { // it could not even be named, so it cannot be told from the others
			return nil
		}
		keep.Insert(outcome.Object)
	}
	kind := certmanagerv1.SchemeGroupVersion.WithKind(certmanagerv1.CertificateKind)
	labels := map[string]string{v1alpha1.LabelRACredential: rc.Name}
	_, err := r.applier.Prune(ctx, rc, labels, []schema.GroupVersionKind{kind}, keep)
	return err
}
