package racredential

import (
	"fmt"
	"time"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// plan is what should be written.
type plan struct {
	// distrust is what is never used again.
	distrust distrust
	// rotation is nil if it could not be planned, because something could not be read.
	rotation *rotation.Plan
	// keyring Secret; nil where nothing is to be written.
	keyring apply.Object
	// keyringErr says why the keyring cannot be written.
	keyringErr error
	// published are the certificates of a client credential; nil for others.
	published apply.Object
	// certificates are the sources.
	certificates []apply.Object
}

// planCredential is pure.
func planCredential(rc *v1alpha1.RACredential, seen *observation, now time.Time) *plan {
	p := &plan{distrust: distrustOf(rc)}
	for _, role := range rolesOf(&rc.Spec) {
		p.certificates = append(p.certificates, sourceCertificate(rc, role))
	}
	// Without the keyring or the endpoints it is not known what must be kept.
	if seen.keyring.readErr != nil || seen.endpoints.readErr != nil {
		return p
	}
	p.rotation = rotation.Make(rotationInput(rc, seen, p.distrust.effective, now))
	p.keyring, p.keyringErr = keyringSecret(rc, seen, p.rotation.Keyring)
	p.published = published(rc, p.rotation.Keyring)
	return p
}

func rotationInput(rc *v1alpha1.RACredential, seen *observation, distrusted []string, now time.Time) rotation.Input {
	in := rotation.Input{
		External:    rc.Spec.External != nil,
		Suspended:   seen.endpoints.suspended(),
		Imported:    seen.imported,
		Keyring:     seen.keyring.content,
		Shown:       seen.endpoints.shown(),
		KeptUntil:   seen.endpoints.keptUntil(),
		Expected:    seen.endpoints.expected,
		Distrusted:  distrusted,
		Reissue:     rememberedReissue(rc.Status.Reissue),
		IssueAfter:  issueAfter(rc, now),
		Overlap:     rc.Spec.Overlap.Duration,
		RenewBefore: rc.Spec.RenewBefore.Duration,
		Now:         now,
	}
	for i := range seen.sources {
		s := &seen.sources[i]
		from := rotation.Source{Role: s.role, Issuing: s.issuing(), Failed: s.failedAt()}
		if s.issued() {
			from.Certificate = s.material
		}
		in.Sources = append(in.Sources, from)
	}
	return in
}

// keyringSecret is nil as long as there is nothing to hold. A keyring that is
// damaged is made again from the sources, but not before they give something.
func keyringSecret(rc *v1alpha1.RACredential, seen *observation, wanted *raconfig.Keyring) (apply.Object, error) {
	if len(wanted.Generations) == 0 && !seen.keyring.sound() {
		return nil, nil
	}
	data, err := raconfig.EncodeKeyring(wanted)
	if err != nil {
		return nil, fmt.Errorf("encode keyring: %w", err)
	}
	return corev1ac.Secret(render.KeyringName(rc.Name), rc.Namespace).
		WithLabels(labelsOf(rc)).
		WithData(data), nil
}
