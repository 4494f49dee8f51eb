package racredential

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// maxShownBy is how many endpoints a generation lists.
const maxShownBy = 16

// statusOf is the complete status. It is pure.
func statusOf(rc *v1alpha1.RACredential, seen *observation, p *plan, done *deeds, now time.Time) v1alpha1.RACredentialStatus {
	status := *rc.Status.DeepCopy()
	status.ObservedGeneration = rc.Generation
	status.Conditions = conditions.Merge(rc.Status.Conditions, now, rc.Generation, conditionsOf(rc, seen, p, done)...)
	status.RenewalTime = renewalTime(seen.sources)
	status.Distrusted = p.distrust.recorded
	status.LastHandledReconcileAt = rc.Annotations[v1alpha1.AnnotationReconcile]
	if done.asked {
		status.Reissue = reissueStatus(p.rotation.Reissue)
		status.LastHandledRotateAt = rc.Annotations[v1alpha1.AnnotationRotate]
	}
	if p.rotation == nil || done.keyringErr != nil {
		return status // what the keyring holds is what was said of it last
	}
	status.Step = stepOf(seen, p.rotation)
	status.Generations, status.NotAfter, status.KeyringSecret = nil, nil, ""
	if !done.held {
		return status
	}
	status.KeyringSecret = render.KeyringName(rc.Name)
	status.Generations = generationsOf(seen, p.rotation)
	if newest := p.rotation.Newest(); newest != nil {
		status.NotAfter = &metav1.Time{Time: newest.NotAfter()}
	}
	return status
}

// stepOf is the first step that is under way.
func stepOf(seen *observation, p *rotation.Plan) v1alpha1.CredentialStep {
	if slices.ContainsFunc(seen.sources, func(s source) bool { return s.issuing() || !s.issued() }) {
		return v1alpha1.StepIssuing
	}
	if len(p.Findings) > 0 || p.OtherCA != nil || p.Reissue != nil {
		return v1alpha1.StepChecking
	}
	steps := map[v1alpha1.CredentialStep]bool{}
	for _, u := range seen.endpoints.uses {
		steps[u.step(p.Newest())] = true
	}
	for _, step := range []v1alpha1.CredentialStep{v1alpha1.StepLoading, v1alpha1.StepProbing, v1alpha1.StepSwitching} {
		if steps[step] {
			return step
		}
	}
	if len(p.Keyring.Generations) > 1 {
		return v1alpha1.StepOverlap
	}
	return v1alpha1.StepIdle
}

// step is how far an endpoint has come with the newest generation; empty for a use that
// is past, or done.
func (u *use) step(newest *raconfig.Generation) v1alpha1.CredentialStep {
	held, of := u.servers()
	switch {
	case newest == nil || u.active == newest.ID || u.active == "" && u.next == "" && len(u.kept) > 0:
		return ""
	case u.next == newest.ID && u.probing:
		return v1alpha1.StepProbing
	case u.next == newest.ID && held == of:
		return v1alpha1.StepSwitching
	}
	return v1alpha1.StepLoading
}

// servers is how many servers hold the generation on its way, or else the one on show,
// and of how many; zeros if nothing was said.
func (u *use) servers() (held, of int) {
	if _, err := fmt.Sscanf(u.held, "%d/%d", &held, &of); err != nil {
		return 0, 0
	}
	return held, of
}

func generationsOf(seen *observation, p *rotation.Plan) []v1alpha1.CredentialGeneration {
	out := make([]v1alpha1.CredentialGeneration, 0, len(p.Keyring.Generations))
	for i := range p.Keyring.Generations {
		g := &p.Keyring.Generations[i]
		described := describe(g, seen.sources)
		described.ShownBy, described.HeldBy = shownBy(seen.endpoints.uses, g.ID), heldBy(seen.endpoints.uses, g.ID)
		if at := p.Retirement(g.ID); !at.IsZero() {
			described.RetireAfter = &metav1.Time{Time: at}
		}
		out = append(out, described)
	}
	setStates(out)
	return out
}

// setStates tells what each generation, the newest first, is to the endpoints.
func setStates(generations []v1alpha1.CredentialGeneration) {
	newestShown := max(0, slices.IndexFunc(generations, func(g v1alpha1.CredentialGeneration) bool { return len(g.ShownBy) > 0 }))
	for i := range generations {
		switch {
		case i < newestShown:
			generations[i].State = v1alpha1.GenerationNext
		case i == newestShown || len(generations[i].ShownBy) > 0:
			generations[i].State = v1alpha1.GenerationActive
		default:
			generations[i].State = v1alpha1.GenerationPrevious
		}
	}
}

func shownBy(uses []use, id string) []string {
	var names []string
	for i := range uses {
		if uses[i].active == id {
			names = append(names, uses[i].endpoint)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxShownBy)]
}

// heldBy adds up what the endpoints say of a generation; "" if none says anything.
func heldBy(uses []use, id string) string {
	held, of := 0, 0
	for i := range uses {
		if uses[i].next == id || uses[i].next == "" && uses[i].active == id {
			n, m := uses[i].servers()
			held, of = held+n, of+m
		}
	}
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", held, of)
}

func describe(g *raconfig.Generation, sources []source) v1alpha1.CredentialGeneration {
	out := v1alpha1.CredentialGeneration{ID: g.ID, AddedAt: metav1.NewTime(g.AddedAt)}
	for i := range g.Certificates {
		c := g.Certificates[i].Certificate
		prints := pkifacts.Fingerprints(c)
		out.Certificates = append(out.Certificates, v1alpha1.CredentialCertificate{
			Role:         g.Certificates[i].Role,
			Fingerprint:  prints.SHA256,
			SHA1:         prints.SHA1,
			MD5:          prints.MD5,
			SerialNumber: c.SerialNumber.Text(16),
			NotBefore:    metav1.NewTime(c.NotBefore),
			NotAfter:     metav1.NewTime(c.NotAfter),
			RenewalTime:  renewalOf(g.Certificates[i], sources),
		})
	}
	return out
}

// renewalOf is when cert-manager is going to renew a certificate, if it is what a source holds.
func renewalOf(c raconfig.Certificate, sources []source) *metav1.Time {
	for i := range sources {
		s := &sources[i]
		if s.certificate != nil && s.material != nil && s.material.Certificate.Equal(c.Certificate) {
			return s.certificate.Status.RenewalTime
		}
	}
	return nil
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
