// Package rotation plans the keyring of an RA credential: which generations it
// holds, when the next comes in, when the last goes out, and what has to be issued
// anew. It is pure; what it is given and what it returns is all there is.
//
// cert-manager renews a certificate in place, and then the old key is gone from
// its Secret. So its Secrets are sources, and the keyring is the memory:
//
//	add      a generation comes in as soon as all its sources are issued and fit,
//	         in front of the others; a source that is not fit never comes in. Where
//	         the keyring is full it waits until the last one to come in is shown
//	reissue  a source that is not fit is issued anew, with a back-off
//	retire   a generation goes out once it was superseded for the overlap and its
//	         certificates have ended and no endpoint shows it any more;
//	         at most raconfig.MaxGenerations stay, and a distrusted one goes at once
//
// A pair of which one half was renewed is no generation yet: the planner has the other
// half issued too and waits for it, unless the newest generation is about to end. Two
// generations with one certificate in common could not be told apart by requests.
//
// Each step is planned from the state alone, so a crash between any two of them
// changes nothing but the time.
package rotation

import (
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Source is what there is of one certificate to be issued.
type Source struct {
	Role v1alpha1.CredentialRole
	// Certificate with its key and chain; nil while it is not issued or could not be read.
	Certificate *raconfig.Certificate
	// Issuing is true while the issuer works on the next certificate.
	Issuing bool
	// Failed is when the issuer failed, if that was its latest answer; else zero.
	Failed time.Time
}

// Authority is a CA certificate that an issuer was seen to sign with.
type Authority struct {
	// Fingerprint of the CA certificate: lower-case hexadecimal SHA-256.
	Fingerprint string
	// Since is when it was first seen to sign.
	Since time.Time
}

// Input is the state that a plan is made from.
type Input struct {
	// Sources, one for each certificate of a generation.
	Sources []Source
	// External is true where the sources come from outside: nobody can issue them anew,
	// and one that came back after another is wanted again.
	External bool
	// Suspended is true where nothing may be done to mend anything: no certificate is issued
	// out of turn, unless somebody asks for it.
	Suspended bool
	// Imported are earlier generations that come along with the sources, as in the
	// keyring of another cluster; devices may still use them.
	Imported []raconfig.Generation
	// Keyring as it is; nil if there is none.
	Keyring *raconfig.Keyring
	// Shown are the IDs of the generations that endpoints show at present.
	Shown []string
	// KeptUntil is, by ID, until when generations that endpoints showed earlier must stay;
	// they stay as long as they are listed, since an endpoint puts the end off while a
	// server of its has not switched over.
	KeptUntil map[string]time.Time
	// Expected are the CA certificates that the endpoints' issuer signs with now. A
	// certificate of another CA, from before one of these was seen, is issued anew.
	Expected []Authority
	// Distrusted are the fingerprints of certificates that are never used again.
	Distrusted []string
	// Reissue is what was remembered of certificates issued anew; nil for nothing.
	Reissue *Reissue
	// IssueAfter has every certificate issued anew that began before it; zero for none.
	IssueAfter time.Time
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
	// OtherCA is set while the newest generation, which serves, comes from another CA
	// than the issuer signs with now.
	OtherCA *Finding
	// RenewalDue is true when the newest generation should have been renewed by now.
	RenewalDue bool
	// RenewalOverdue is true when, on top of that, half of the time meant for it has gone.
	RenewalOverdue bool
	// IssueNow are the roles whose certificates must be asked for at once, out of turn.
	IssueNow []v1alpha1.CredentialRole
	// Following are those of them that are asked for only because the other half of their
	// pair is new.
	Following []v1alpha1.CredentialRole
	// Reissue is what to remember of that; nil for nothing.
	Reissue *Reissue
	// Next is when, without any other event, the plan is going to differ; zero for never.
	Next time.Time

	retirements map[string]time.Time
}

// Newest returns the newest wanted generation, or nil.
func (p *Plan) Newest() *raconfig.Generation {
	if len(p.Keyring.Generations) == 0 {
		return nil
	}
	return &p.Keyring.Generations[0]
}

// Retirement is when a superseded generation may go, if no endpoint shows it then;
// zero for the newest one.
func (p *Plan) Retirement(id string) time.Time { return p.retirements[id] }

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
	candidate, findings := p.compose()
	kept := p.add(candidate, slices.DeleteFunc(slices.Clone(present), p.isDistrusted))
	kept = p.bound(p.retire(p.adopt(kept)))
	plan := &Plan{Keyring: &raconfig.Keyring{Generations: kept}, Findings: findings, retirements: p.retirements(kept)}
	plan.Added, plan.Retired = without(kept, present), without(present, kept)
	p.judgeNewest(plan)
	p.reissue(plan)
	plan.Next = p.next(plan)
	return plan
}

func (p *planner) present() []raconfig.Generation {
	if p.Keyring == nil {
		return nil
	}
	return p.Keyring.Generations
}

func (p *planner) judgeNewest(plan *Plan) {
	newest := plan.Newest()
	if newest == nil {
		return
	}
	plan.Broken = p.breaks(newest)
	plan.OtherCA = p.examineGeneration(current, newest)
	plan.RenewalDue = p.examineGeneration(dueForRenewal, newest) != nil
	plan.RenewalOverdue = plan.RenewalDue && p.urgent(plan)
}

// next is the earliest time to come at which a check or a retirement changes.
func (p *planner) next(plan *Plan) time.Time {
	var times []time.Time
	for _, source := range p.Sources {
		if source.Certificate != nil {
			times = append(times, source.Certificate.Certificate.NotBefore)
		}
	}
	for id, at := range plan.retirements {
		if _, listed := p.KeptUntil[id]; !listed && !slices.Contains(p.Shown, id) {
			times = append(times, at)
		}
	}
	if plan.Reissue != nil {
		times = append(times, plan.Reissue.Next)
	}
	if newest := plan.Newest(); newest != nil {
		times = append(times, newest.NotAfter().Add(-p.RenewBefore), p.patienceEnd(newest), p.urgency(newest), afterEnd(newest))
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
