package rotation

import (
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const (
	// minBackoff is the wait after the first attempt; each further one doubles it.
	minBackoff = 30 * time.Second
	// maxBackoff bounds it. cert-manager's own goes from one hour to 32.
	maxBackoff = time.Hour
)

// Reissue is the memory of certificates that are issued anew because they failed a
// check. It lasts until every source is fit, whatever comes in between, so that an
// issuer that keeps issuing what is not fit is asked ever more rarely.
type Reissue struct {
	// Check that failed.
	Check Check
	// Attempts so far.
	Attempts int
	// Last is the time of the latest attempt, Next that of the next one; zero for none.
	Last, Next time.Time
}

// repairable are the checks that another issue may mend. A certificate that is not
// yet valid needs time, and one that is not issued yet is on its way.
var repairable = map[Check]bool{
	CheckTrusted: true, CheckKey: true, CheckAlgorithm: true, CheckEndEntity: true, CheckUsages: true,
	CheckChain: true, CheckPair: true, CheckNotExpired: true, CheckCurrentCA: true,
}

// reissue plans which certificates to ask for out of turn: those that are not fit,
// with a back-off, and those that somebody wants to be replaced.
func (p *planner) reissue(plan *Plan) {
	if p.External {
		return
	}
	ailing := p.ailing(plan)
	unsettled := len(plan.Findings) > 0 || p.issuing()
	if len(ailing) > 0 || unsettled && p.Reissue != nil {
		plan.Reissue = p.remember(ailing)
	}
	if len(ailing) > 0 && !p.Suspended && p.due(plan.Reissue) {
		plan.IssueNow = rolesOf(ailing)
		plan.Reissue.Attempts++
		plan.Reissue.Last = p.Now.UTC().Truncate(time.Second)
		plan.Reissue.Next = plan.Reissue.Last.Add(backoff(plan.Reissue.Attempts))
	}
	plan.IssueNow = append(plan.IssueNow, rolesWithout(plan.IssueNow, p.outdated())...)
	plan.Following = rolesWithout(plan.IssueNow, p.awaited(plan))
	plan.IssueNow = append(plan.IssueNow, plan.Following...)
}

// rolesWithout lists the roles that are not among those to be issued already.
func rolesWithout(issued, roles []v1alpha1.CredentialRole) []v1alpha1.CredentialRole {
	return slices.DeleteFunc(roles, func(role v1alpha1.CredentialRole) bool { return slices.Contains(issued, role) })
}

// ailing lists what is wrong with the sources that another issue may mend and that
// nobody is issuing anew at present.
func (p *planner) ailing(plan *Plan) []Finding {
	var out []Finding
	for _, source := range p.Sources {
		if source.Issuing {
			continue
		}
		if finding := p.ailment(source, plan); finding != nil {
			out = append(out, *finding)
		}
	}
	return out
}

func (p *planner) ailment(source Source, plan *Plan) *Finding {
	for i := range plan.Findings {
		finding := &plan.Findings[i]
		if finding.Role == source.Role && (repairable[finding.Check] || !source.Failed.IsZero() && p.urgent(plan)) {
			return finding
		}
	}
	if source.Certificate == nil {
		return nil
	}
	if !source.Failed.IsZero() && p.urgent(plan) {
		return &Finding{Role: source.Role, Check: CheckNotDue, Err: errDue}
	}
	return examine(current, p.subject(source.Certificate))
}

// urgent says whether a renewal that failed cannot wait for cert-manager's own
// back-off: half of the time meant for it has gone, or nothing serves.
func (p *planner) urgent(plan *Plan) bool {
	newest := plan.Newest()
	return newest == nil || plan.Broken != nil || !p.Now.Before(p.urgency(newest))
}

func (p *planner) urgency(newest *raconfig.Generation) time.Time {
	return newest.NotAfter().Add(-p.RenewBefore / 2)
}

// remember continues the memory. Distrust begins a new one: it cannot wait.
func (p *planner) remember(ailing []Finding) *Reissue {
	memory := Reissue{}
	if p.Reissue != nil {
		memory = *p.Reissue
	}
	if len(ailing) == 0 {
		return &memory
	}
	check := ailing[0].Check
	if check == CheckTrusted && memory.Check != CheckTrusted {
		memory = Reissue{}
	}
	memory.Check = check
	if failed := p.lastFailure(); memory.Attempts == 0 && !failed.IsZero() {
		memory.Next = failed.Add(minBackoff)
	}
	return &memory
}

func (p *planner) lastFailure() time.Time {
	var last time.Time
	for _, source := range p.Sources {
		last = latest(last, source.Failed)
	}
	return last
}

// due says whether the next attempt is to be made now. A time that no back-off can
// have led to comes from a clock that was set back since.
func (p *planner) due(memory *Reissue) bool {
	return !p.Now.Before(memory.Next) || memory.Next.Sub(p.Now) > maxBackoff
}

func backoff(attempts int) time.Duration {
	wait := minBackoff
	for range attempts - 1 {
		if wait *= 2; wait >= maxBackoff {
			return maxBackoff
		}
	}
	return wait
}

// outdated lists the roles whose certificates somebody wants to be replaced.
func (p *planner) outdated() []v1alpha1.CredentialRole {
	var roles []v1alpha1.CredentialRole
	for _, source := range p.Sources {
		if source.Certificate != nil && !source.Issuing && source.Certificate.Certificate.NotBefore.Before(p.IssueAfter) {
			roles = append(roles, source.Role)
		}
	}
	return roles
}

// awaited lists the roles to be renewed because the other half of the pair was, and the
// new half is fit. What failed is left to the issuer's back-off.
func (p *planner) awaited(plan *Plan) []v1alpha1.CredentialRole {
	if len(plan.Findings) > 0 || p.Suspended {
		return nil
	}
	lagging := p.lagging(plan.Keyring.Generations)
	return slices.DeleteFunc(lagging, func(role v1alpha1.CredentialRole) bool {
		return slices.ContainsFunc(p.Sources, func(s Source) bool { return s.Role == role && (s.Issuing || !s.Failed.IsZero()) })
	})
}

func rolesOf(findings []Finding) []v1alpha1.CredentialRole {
	roles := make([]v1alpha1.CredentialRole, 0, len(findings))
	for i := range findings {
		roles = append(roles, findings[i].Role)
	}
	return roles
}
