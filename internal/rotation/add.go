package rotation

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

var (
	errNotIssued   = errors.New("the certificate is not issued yet")
	errChainsApart = errors.New("the two certificates of the pair come from different CA certificates")
)

// compose makes a generation of the sources, or says what is in its way.
func (p *planner) compose() (*raconfig.Generation, []Finding) {
	var findings []Finding
	g := &raconfig.Generation{}
	for _, source := range p.Sources {
		if finding := p.examineSource(source); finding != nil {
			findings = append(findings, *finding)
			continue
		}
		g.Certificates = append(g.Certificates, *source.Certificate)
	}
	if len(findings) == 0 && !sameIssuer(g.Certificates) {
		findings = append(findings, Finding{Role: older(g.Certificates).Role, Check: CheckPair, Err: errChainsApart})
	}
	if len(findings) > 0 || len(g.Certificates) == 0 {
		return nil, findings
	}
	g.ID = generationID(g)
	return g, nil
}

func (p *planner) examineSource(source Source) *Finding {
	if source.Certificate == nil {
		return &Finding{Role: source.Role, Check: CheckIssued, Err: errNotIssued}
	}
	return examine(broken, p.subject(source.Certificate))
}

// sameIssuer says whether all certificates were issued by the same CA certificate:
// some devices verify both of a pair with one chain.
func sameIssuer(certificates []raconfig.Certificate) bool {
	for i := 1; i < len(certificates); i++ {
		a, b := certificates[0].Chain, certificates[i].Chain
		if len(a) == 0 || len(b) == 0 || !bytes.Equal(a[0].Raw, b[0].Raw) {
			return false
		}
	}
	return true
}

// older is the certificate that began first: of a pair whose halves come from
// different CAs, the one to be issued anew.
func older(certificates []raconfig.Certificate) *raconfig.Certificate {
	first := &certificates[0]
	for i := range certificates {
		if certificates[i].Certificate.NotBefore.Before(first.Certificate.NotBefore) {
			first = &certificates[i]
		}
	}
	return first
}

// add puts the candidate in front, unless it is held already or is worth waiting for.
func (p *planner) add(candidate *raconfig.Generation, kept []raconfig.Generation) []raconfig.Generation {
	switch {
	case candidate == nil || p.settling(kept):
		return kept
	case !holds(kept, candidate.ID):
		return slices.Insert(kept, 0, p.stamped(candidate, kept))
	case p.External && kept[0].ID != candidate.ID:
		stamped := p.stamped(candidate, kept)
		kept = slices.DeleteFunc(kept, func(g raconfig.Generation) bool { return g.ID == candidate.ID })
		return slices.Insert(kept, 0, stamped)
	}
	return kept
}

// settling says whether the newest generation, which serves, is left in its place for now:
// where another source is being issued, or is going to be, rather than to add a generation
// of one new half; and where there is no room.
func (p *planner) settling(kept []raconfig.Generation) bool {
	if len(kept) == 0 || !p.Now.Before(p.patienceEnd(&kept[0])) || p.breaks(&kept[0]) != nil {
		return false
	}
	return p.issuing() || len(p.lagging(kept)) > 0 || p.crowded(kept)
}

// crowded says whether one more generation would push another out too early: the newest
// one, which no endpoint is known to show yet. Its servers may do so at this moment, and
// then devices have it.
func (p *planner) crowded(kept []raconfig.Generation) bool {
	return len(kept) >= raconfig.MaxGenerations && len(p.Shown) > 0 && !p.shown(&kept[0])
}

// lagging lists the roles whose certificates are still those of the newest generation,
// while another's is renewed. Two generations that share a certificate cannot be told
// apart by a request that is encrypted to it: its sender would get an answer with the
// signature of the other one.
func (p *planner) lagging(kept []raconfig.Generation) []v1alpha1.CredentialRole {
	if p.External || len(kept) == 0 {
		return nil
	}
	var roles []v1alpha1.CredentialRole
	for _, source := range p.Sources {
		if source.Certificate != nil && has(&kept[0], source.Certificate) {
			roles = append(roles, source.Role)
		}
	}
	if len(roles) == len(p.Sources) {
		return nil
	}
	return roles
}

func has(g *raconfig.Generation, certificate *raconfig.Certificate) bool {
	return slices.ContainsFunc(g.Certificates, func(c raconfig.Certificate) bool {
		return c.Certificate.Equal(certificate.Certificate)
	})
}

func (p *planner) issuing() bool {
	return slices.ContainsFunc(p.Sources, func(s Source) bool { return s.Issuing })
}

// patienceEnd is when there is just time enough left for servers to load what supersedes
// the newest generation before that ends.
func (p *planner) patienceEnd(newest *raconfig.Generation) time.Time {
	return newest.NotAfter().Add(-min(p.Overlap, Settle))
}

// stamped sets when the generation is added: now, but never before the one it
// supersedes, even if the clock was set back.
func (p *planner) stamped(g *raconfig.Generation, kept []raconfig.Generation) raconfig.Generation {
	g.AddedAt = p.Now.UTC().Truncate(time.Second)
	if len(kept) > 0 && g.AddedAt.Before(kept[0].AddedAt) {
		g.AddedAt = kept[0].AddedAt
	}
	return *g
}

// adopt takes in the earlier generations that came along with the newest, behind it:
// they open requests, and are never switched to.
func (p *planner) adopt(kept []raconfig.Generation) []raconfig.Generation {
	if len(kept) == 0 || len(p.Imported) == 0 {
		return kept
	}
	for _, g := range p.Imported {
		if holds(kept, g.ID) || p.isDistrusted(g) || p.breaks(&g) != nil {
			continue
		}
		if g.AddedAt.After(kept[0].AddedAt) {
			g.AddedAt = kept[0].AddedAt
		}
		kept = append(kept, g)
	}
	slices.SortStableFunc(kept[1:], func(a, b raconfig.Generation) int { return b.AddedAt.Compare(a.AddedAt) })
	return kept
}

func generationID(g *raconfig.Generation) string {
	certificates := make([]*x509.Certificate, 0, len(g.Certificates))
	for i := range g.Certificates {
		certificates = append(certificates, g.Certificates[i].Certificate)
	}
	return raconfig.GenerationID(certificates...)
}
