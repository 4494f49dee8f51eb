package audit

import (
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scepter-pki/scepter/internal/ra/audit/agent"
	"github.com/scepter-pki/scepter/internal/ra/audit/family"
)

// maxMajors bounds how many versions of a product are counted apart: strangers choose them.
const maxMajors = 8

// agents counts requests by the program that their User-Agent names. Products are a closed
// set, and of each a few versions are told apart: those that came first. It is safe for
// concurrent use.
type agents struct {
	mu     sync.Mutex
	counts map[string]uint64 // by agent.Agent.String
	majors map[string]int    // by product
	total  *prometheus.CounterVec
}

func newAgents() *agents {
	return &agents{
		counts: map[string]uint64{}, majors: map[string]int{},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scepter_ra_user_agents_total", Help: "Requests by the program that their User-Agent names and the family of the client.",
		}, []string{"agent", "family"}),
	}
}

func (a *agents) count(from family.Family, userAgent string) {
	is := agent.Of(userAgent)
	a.total.WithLabelValues(is.Product, string(from)).Inc()
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, counted := a.counts[is.String()]; !counted && is.Major != "" {
		if a.majors[is.Product] == maxMajors {
			is.Major = ""
		} else {
			a.majors[is.Product]++
		}
	}
	a.counts[is.String()]++
}

// report leaves out what none came by.
func (a *agents) report() map[string]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counts)
}
