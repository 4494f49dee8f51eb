// Package rotation plans the keyring of an RA credential: which generations it
// holds, when the next comes in, and when the last goes out. It is pure; what it
// is given and what it returns is all there is.
//
// cert-manager renews a certificate in place, and then the old key is gone from
// its Secret. So its Secrets are sources, and the keyring is the memory:
//
//	add      a generation comes in as soon as all its sources are issued and fit,
//	         in front of the others; a source that is not fit never comes in
//	retire   a generation goes out once it was superseded for the overlap and its
//	         certificates have ended and no endpoint shows it any more;
//	         at most raconfig.MaxGenerations stay, and a distrusted one goes at once
//
// A pair with one renewed half is a new generation: the new half and the other
// current one. While the other half is being issued too, the planner waits for it,
// unless the newest generation is about to end.
//
// Each step is planned from the state alone, so a crash between any two of them
// changes nothing but the time.
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

// Source is what there is of one certificate to be issued.
type Source struct {
	Role v1alpha1.CredentialRole
	// Certificate with its key and chain; nil while it is not issued or could not be read.
	Certificate *raconfig.Certificate
	// Issuing is true while the issuer works on the next certificate.
	Issuing bool
}

// Input is the state that a plan is made from.
type Input struct {
	// Sources, one for each certificate of a generation.
	Sources []Source
	// Keyring as it is; nil if there is none.
	Keyring *raconfig.Keyring
	// InUse are the IDs of the generations that endpoints show at present.
	InUse []string
	// Distrusted are the fingerprints of certificates that are never used again.
	Distrusted []string
	// Overlap is how long a generation stays after it was superseded.
	Overlap time.Duration
	// RenewBefore is how long before its end a certificate should be renewed.
	RenewBefore time.Duration
	Now         time.Time
}

// Plan is what should be.
type Plan struct {
	// Keyring as wanted, the newest generation first; empty if there is nothing to hold.
	Keyring *raconfig.Keyring
	// Added and Retired are the IDs by which it differs from the present one.
	Added, Retired []string
	// Findings about the sources, one a source at most, in the order of the sources.
	Findings []Finding
	// Broken is why the newest generation cannot serve; nil if it can, or if there is none.
	Broken *Finding
	// RenewalDue is true when the newest generation should have been renewed by now.
	RenewalDue bool
	// Next is when, without any other event, the plan is going to differ; zero for never.
	Next time.Time
}

// Newest returns the newest wanted generation, or nil.
func (p *Plan) Newest() *raconfig.Generation {
	if len(p.Keyring.Generations) == 0 {
		return nil
	}
	return &p.Keyring.Generations[0]
}

// planner holds an Input in the form that the steps need.
type planner struct {
	Input
	distrusted map[string]bool
}

// Make plans the keyring.
func Make(in Input) *Plan {
	p := planner{Input: in, distrusted: map[string]bool{}}
	for _, print := range in.Distrusted {
		p.distrusted[print] = true
	}
	present := p.present()
	kept := slices.DeleteFunc(slices.Clone(present), p.isDistrusted)
	candidate, findings := p.compose()
	if candidate != nil && !holds(kept, candidate.ID) && !p.settling(kept) {
		kept = slices.Insert(kept, 0, p.stamped(candidate, kept))
	}
	kept = p.bound(p.retire(kept))
	plan := &Plan{Keyring: &raconfig.Keyring{Generations: kept}, Findings: findings}
	plan.Added, plan.Retired = without(kept, present), without(present, kept)
	p.judgeNewest(plan)
	plan.Next = p.next(kept)
	return plan
}

func (p *planner) present() []raconfig.Generation {
	if p.Keyring == nil {
		return nil
	}
	return p.Keyring.Generations
}

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
		findings = append(findings, Finding{Role: g.Certificates[0].Role, Check: CheckPair, Err: errChainsApart})
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

func (p *planner) subject(c *raconfig.Certificate) subject {
	return subject{Certificate: c, distrusted: p.distrusted, renewBefore: p.RenewBefore, now: p.Now}
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

// settling says whether to wait for another source that is being issued, rather
// than to add a generation that the next one is going to supersede in a moment.
func (p *planner) settling(kept []raconfig.Generation) bool {
	if len(kept) == 0 || !p.Now.Before(p.settlingEnd(kept)) || p.breaks(&kept[0]) != nil {
		return false
	}
	return slices.ContainsFunc(p.Sources, func(s Source) bool { return s.Issuing })
}

func (p *planner) settlingEnd(kept []raconfig.Generation) time.Time {
	return kept[0].NotAfter().Add(-p.Overlap)
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

func (p *planner) retire(kept []raconfig.Generation) []raconfig.Generation {
	var out []raconfig.Generation
	for i := range kept {
		if i == 0 || p.inUse(&kept[i]) || p.Now.Before(p.retirement(kept, i)) {
			out = append(out, kept[i])
		}
	}
	return out
}

// retirement is when a superseded generation may go.
func (p *planner) retirement(kept []raconfig.Generation, i int) time.Time {
	overlapped, ended := kept[i-1].AddedAt.Add(p.Overlap), afterEnd(&kept[i])
	if overlapped.After(ended) {
		return overlapped
	}
	return ended
}

// afterEnd is the first whole second in which a generation has expired.
func afterEnd(g *raconfig.Generation) time.Time { return g.NotAfter().Add(time.Second) }

// bound drops generations until at most raconfig.MaxGenerations are left: those
// that cannot serve first, then those that no endpoint shows, the oldest first;
// never the newest.
func (p *planner) bound(kept []raconfig.Generation) []raconfig.Generation {
	for len(kept) > raconfig.MaxGenerations {
		victim := len(kept) - 1
		for i := victim - 1; i > 0; i-- {
			if p.dispensable(&kept[i]) > p.dispensable(&kept[victim]) {
				victim = i
			}
		}
		kept = slices.Delete(kept, victim, victim+1)
	}
	return kept
}

func (p *planner) dispensable(g *raconfig.Generation) int {
	score := 0
	if p.breaks(g) != nil {
		score += 2
	}
	if !p.inUse(g) {
		score++
	}
	return score
}

func (p *planner) inUse(g *raconfig.Generation) bool { return slices.Contains(p.InUse, g.ID) }

func (p *planner) isDistrusted(g raconfig.Generation) bool {
	return slices.ContainsFunc(g.Certificates, func(c raconfig.Certificate) bool {
		return p.distrusted[raconfig.Fingerprint(c.Certificate)]
	})
}

// breaks says why a generation cannot serve, or nil.
func (p *planner) breaks(g *raconfig.Generation) *Finding {
	return p.examineGeneration(broken, g)
}

func (p *planner) examineGeneration(policies []policy, g *raconfig.Generation) *Finding {
	for i := range g.Certificates {
		if finding := examine(policies, p.subject(&g.Certificates[i])); finding != nil {
			return finding
		}
	}
	return nil
}

func (p *planner) judgeNewest(plan *Plan) {
	newest := plan.Newest()
	if newest == nil {
		return
	}
	plan.Broken = p.breaks(newest)
	plan.RenewalDue = p.examineGeneration(dueForRenewal, newest) != nil
}

// next is the earliest time to come at which a check or a retirement changes.
func (p *planner) next(kept []raconfig.Generation) time.Time {
	var times []time.Time
	for _, source := range p.Sources {
		if source.Certificate != nil {
			times = append(times, source.Certificate.Certificate.NotBefore)
		}
	}
	for i := range kept {
		if i > 0 && !p.inUse(&kept[i]) {
			times = append(times, p.retirement(kept, i))
		}
	}
	if len(kept) > 0 {
		times = append(times, kept[0].NotAfter().Add(-p.RenewBefore), p.settlingEnd(kept), afterEnd(&kept[0]))
	}
	return earliestAfter(p.Now, times)
}

func earliestAfter(now time.Time, times []time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if t.After(now) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

func generationID(g *raconfig.Generation) string {
	certificates := make([]*x509.Certificate, 0, len(g.Certificates))
	for i := range g.Certificates {
		certificates = append(certificates, g.Certificates[i].Certificate)
	}
	return raconfig.GenerationID(certificates...)
}

func holds(generations []raconfig.Generation, id string) bool {
	return slices.ContainsFunc(generations, func(g raconfig.Generation) bool { return g.ID == id })
}

// without lists the IDs of a that are not in b.
func without(a, b []raconfig.Generation) []string {
	var out []string
	for i := range a {
		if !holds(b, a[i].ID) {
			out = append(out, a[i].ID)
		}
	}
	return out
}
