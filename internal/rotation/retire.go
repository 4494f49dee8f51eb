package rotation

import (
	"slices"
	"time"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

func (p *planner) retire(kept []raconfig.Generation) []raconfig.Generation {
	due := p.retirements(kept)
	return slices.DeleteFunc(kept, func(g raconfig.Generation) bool {
		at, superseded := due[g.ID]
		return superseded && !p.shown(&g) && !p.kept(&g) && !p.Now.Before(at)
	})
}

// retirements is, by ID, when each superseded generation may go.
func (p *planner) retirements(kept []raconfig.Generation) map[string]time.Time {
	out := map[string]time.Time{}
	for i := 1; i < len(kept); i++ {
		overlapped := kept[i-1].AddedAt.Add(p.Overlap)
		out[kept[i].ID] = latest(overlapped, afterEnd(&kept[i]), p.KeptUntil[kept[i].ID])
	}
	return out
}

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}

// afterEnd is the first whole second in which a generation has expired.
func afterEnd(g *raconfig.Generation) time.Time { return g.NotAfter().Add(time.Second) }

// bound drops generations until at most raconfig.MaxGenerations are left: the most
// dispensable first, of these the oldest; never the newest.
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

// dispensable ranks a generation by who needs it: devices that come at present, those
// that came lately, those of a server that lags behind, nobody. Of two that are needed alike
// the one that has ended is; it still opens what devices send.
func (p *planner) dispensable(g *raconfig.Generation) int {
	rank := 0
	switch {
	case p.shown(g):
	case p.Now.Before(p.KeptUntil[g.ID]):
		rank = 2
	case p.kept(g):
		rank = 4
	default:
		rank = 6
	}
	if p.breaks(g) != nil {
		rank++
	}
	return rank
}

// shown says whether an endpoint shows a generation at present.
func (p *planner) shown(g *raconfig.Generation) bool { return slices.Contains(p.Shown, g.ID) }

// kept says whether an endpoint that showed a generation still lists it.
func (p *planner) kept(g *raconfig.Generation) bool {
	_, listed := p.KeptUntil[g.ID]
	return listed
}

func (p *planner) isDistrusted(g raconfig.Generation) bool {
	return slices.ContainsFunc(g.Certificates, func(c raconfig.Certificate) bool {
		return p.distrusted[raconfig.Fingerprint(c.Certificate)]
	})
}
