package scependpoint

import (
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// rollover says which generation of the RA credential GetCACert is to show, and
// which one is on its way. The steps: the RACredential's controller adds a
// generation to the keyring; every ready server loads it; only then is it shown.
// Invariant: while a server that answers devices lacks a generation, that
// generation is not shown, unless the one shown before is of no use any more.
type rollover struct {
	// active is what the configuration is to name; empty if no generation is usable.
	active string
	// next is being loaded; empty at rest.
	next string
	// since is when next came into the keyring.
	since time.Time
	// held and of count the ready servers that have loaded next, and all of them.
	held, of int
	// missing are those that have not, by the names of their pods.
	missing []string
	// expired is true if there are generations, and each has ended.
	expired bool
}

// planRollover decides. The generations come with the newest first; active is
// what the servers' present configuration names.
func planRollover(generations []v1alpha1.CredentialGeneration, distrusted []string, active string, replicas []replica, now time.Time) rollover {
	usable := slices.DeleteFunc(slices.Clone(generations), func(g v1alpha1.CredentialGeneration) bool { return !isUsable(g, distrusted, now) })
	if len(usable) == 0 {
		return rollover{active: stillHeld(generations, active), expired: len(generations) > 0 && allEnded(generations, now)}
	}
	newest := usable[0]
	if newest.ID == active || !slices.ContainsFunc(usable, func(g v1alpha1.CredentialGeneration) bool { return g.ID == active }) {
		return rollover{active: newest.ID}
	}
	plan := rollover{active: active, next: newest.ID, since: newest.AddedAt.Time}
	for _, r := range replicas {
		plan.count(r)
	}
	if plan.held == plan.of {
		return rollover{active: newest.ID}
	}
	return plan
}

// count takes a ready server into account; the others answer no device.
func (p *rollover) count(r replica) {
	if !r.ready {
		return
	}
	p.of++
	if r.status != nil && r.status.Holds(p.next) {
		p.held++
		return
	}
	p.missing = append(p.missing, r.name)
}

func isUsable(g v1alpha1.CredentialGeneration, distrusted []string, now time.Time) bool {
	for _, c := range g.Certificates {
		if now.Before(c.NotBefore.Time) || !now.Before(c.NotAfter.Time) || slices.Contains(distrusted, c.Fingerprint) {
			return false
		}
	}
	return len(g.Certificates) > 0
}

// stillHeld keeps what is shown while nothing better is there: an expired
// certificate is refused by some devices, a missing one by all.
func stillHeld(generations []v1alpha1.CredentialGeneration, active string) string {
	if findGeneration(generations, active) == nil {
		return ""
	}
	return active
}

func allEnded(generations []v1alpha1.CredentialGeneration, now time.Time) bool {
	return !slices.ContainsFunc(generations, func(g v1alpha1.CredentialGeneration) bool { return now.Before(notAfter(g)) })
}

func findGeneration(generations []v1alpha1.CredentialGeneration, id string) *v1alpha1.CredentialGeneration {
	for i := range generations {
		if generations[i].ID == id {
			return &generations[i]
		}
	}
	return nil
}

// notAfter is when a generation's first certificate ends.
func notAfter(g v1alpha1.CredentialGeneration) time.Time {
	var end time.Time
	for _, c := range g.Certificates {
		if end.IsZero() || c.NotAfter.Time.Before(end) {
			end = c.NotAfter.Time
		}
	}
	return end
}
