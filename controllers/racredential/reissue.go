package racredential

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/telling"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// reasonReissue is the reason of the condition Issuing that has cert-manager issue.
const reasonReissue = "Reissue"

// issueAnew has cert-manager issue the certificates of some roles out of turn: by the
// condition Issuing of the Certificate's status, as cmctl renew does. cert-manager then
// issues at once, whatever back-off of its own it is in.
func (r *Reconciler) issueAnew(ctx context.Context, sources []source, roles []v1alpha1.CredentialRole) error {
	var errs []error
	for i := range sources {
		if s := &sources[i]; s.certificate != nil && slices.Contains(roles, s.role) {
			errs = append(errs, r.setIssuing(ctx, s.certificate))
		}
	}
	return errors.Join(errs...)
}

func (r *Reconciler) setIssuing(ctx context.Context, seen *certmanagerv1.Certificate) error {
	certificate := seen.DeepCopy()
	now := metav1.NewTime(r.clock.Now().Truncate(time.Second))
	others := slices.DeleteFunc(certificate.Status.Conditions, func(c certmanagerv1.CertificateCondition) bool {
		return c.Type == certmanagerv1.CertificateConditionIssuing
	})
	issuing := certmanagerv1.CertificateCondition{
		Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: reasonReissue,
		Message:            "The RACredential needs another certificate; its conditions say why",
		LastTransitionTime: &now, ObservedGeneration: certificate.Generation,
	}
	certificate.Status.Conditions = slices.Concat(others, []certmanagerv1.CertificateCondition{issuing})
	patch := client.MergeFromWithOptions(seen, client.MergeFromWithOptimisticLock{})
	if err := r.client.Status().Patch(ctx, certificate, patch, client.FieldOwner(fieldOwner)); err != nil {
		return fmt.Errorf("have Certificate %s issued anew: %w", seen.Name, err)
	}
	return nil
}

// issueAfter is the time that the annotation gives, after which every certificate must
// have begun: the next whole second, since certificates know no fractions. It is zero
// if the annotation was handled, and now if it gives no time.
func issueAfter(rc *v1alpha1.RACredential, now time.Time) time.Time {
	wanted := rc.Annotations[v1alpha1.AnnotationRotate]
	if wanted == "" || wanted == rc.Status.LastHandledRotateAt {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, wanted)
	if err != nil {
		return now
	}
	return at.Truncate(time.Second).Add(time.Second)
}

// rememberedReissue reads the memory from the status.
func rememberedReissue(s *v1alpha1.CredentialReissue) *rotation.Reissue {
	if s == nil {
		return nil
	}
	out := &rotation.Reissue{Check: rotation.Check(s.Check), Attempts: int(s.Attempts)}
	if s.LastTime != nil {
		out.Last = s.LastTime.Time
	}
	if s.NextTime != nil {
		out.Next = s.NextTime.Time
	}
	return out
}

// reissueStatus writes the memory into the status.
func reissueStatus(m *rotation.Reissue) *v1alpha1.CredentialReissue {
	if m == nil {
		return nil
	}
	out := &v1alpha1.CredentialReissue{Check: string(m.Check), Attempts: int32(min(m.Attempts, 1<<30))} //nolint:gosec // bounded
	if !m.Last.IsZero() {
		out.LastTime = &metav1.Time{Time: m.Last}
	}
	if !m.Next.IsZero() {
		out.NextTime = &metav1.Time{Time: m.Next}
	}
	return out
}

// tellReissue records the certificates that were asked for out of turn.
func (r *Reconciler) tellReissue(rc *v1alpha1.RACredential, p *plan) {
	for _, role := range p.rotation.IssueNow {
		r.recorder.Eventf(rc, nil, corev1.EventTypeNormal, reasonReissued, telling.Action,
			"Certificate %s is issued anew: %s", sourceName(rc.Name, role), whyReissued(p.rotation, role))
	}
}

func whyReissued(p *rotation.Plan, role v1alpha1.CredentialRole) string {
	switch {
	case slices.Contains(p.Following, role):
		return "the other certificate of its pair is new"
	case p.Reissue != nil:
		return fmt.Sprintf("check %s failed, attempt %d", p.Reissue.Check, p.Reissue.Attempts)
	}
	return "a rotation was requested"
}
