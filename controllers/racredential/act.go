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
	// keyringErr, certificatesErr, issueErr and publishErr say why a write failed.
	keyringErr, certificatesErr, issueErr, publishErr error
	// held is true when the keyring Secret holds what was planned.
	held bool
	// asked is true when every certificate was asked for that is to be issued anew.
	asked bool
}

func (d *deeds) err() error {
	return errors.Join(d.keyringErr, d.certificatesErr, d.issueErr, d.publishErr)
}

// act writes the keyring and then the Certificates. It leaves the Certificates
// alone while the keyring is not safe: changing them makes cert-manager replace keys.
func (r *Reconciler) act(ctx context.Context, rc *v1alpha1.RACredential, seen *observation, p *plan) *deeds {
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
	done.publishErr = r.publish(ctx, rc, p, done)
	outcomes, err := r.applier.Apply(ctx, rc, p.certificates...)
	done.outcomes = append(done.outcomes, outcomes...)
	done.certificatesErr = errors.Join(err, r.pruneOnce(ctx, rc, p, outcomes))
	done.issueErr = r.issueAnew(ctx, seen.sources, p.rotation.IssueNow)
	done.asked = done.issueErr == nil
	return done
}

// publish writes the certificates down for people. What is in its way keeps nothing else up.
func (r *Reconciler) publish(ctx context.Context, rc *v1alpha1.RACredential, p *plan, done *deeds) error {
	if p.published == nil {
		return nil
	}
	outcomes, err := r.applier.Apply(ctx, rc, p.published)
	done.outcomes = append(done.outcomes, outcomes...)
	return err //nolint:wrapcheck // it names the object
}

// pruneOnce leaves the Certificates of before in place until what comes from outside
// instead of them is fit.
func (r *Reconciler) pruneOnce(ctx context.Context, rc *v1alpha1.RACredential, p *plan, outcomes []apply.Outcome) error {
	if rc.Spec.External != nil && len(p.rotation.Findings) > 0 {
		return nil
	}
	return r.prune(ctx, rc, outcomes)
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
