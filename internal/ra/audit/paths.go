package audit

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scepter-pki/scepter/internal/ra/audit/family"
	"github.com/scepter-pki/scepter/internal/ra/audit/pathform"
)

// paths counts requests by the form of their path: a closed set, whatever strangers ask for.
type paths struct {
	forms map[pathform.Form]*atomic.Uint64
	total *prometheus.CounterVec
}

func newPaths() *paths {
	p := &paths{
		forms: map[pathform.Form]*atomic.Uint64{},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scepter_ra_paths_total", Help: "Requests by the form of their path and the family of the client.",
		}, []string{"form", "family"}),
	}
	for _, form := range pathform.All() {
		p.forms[form] = &atomic.Uint64{}
	}
	return p
}

func (p *paths) count(from family.Family, form pathform.Form) {
	if n, known := p.forms[form]; known {
		n.Add(1)
		p.total.WithLabelValues(string(form), string(from)).Inc()
	}
}

// report leaves out forms that none came by.
func (p *paths) report() map[string]uint64 {
	out := map[string]uint64{}
	for form, n := range p.forms {
		if came := n.Load(); came > 0 {
			out[string(form)] = came
		}
	}
	return out
}
