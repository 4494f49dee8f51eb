package audit

import (
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scepter-pki/scepter/internal/ra/audit/family"
	"github.com/scepter-pki/scepter/internal/scep"
)

// Funnel steps beside those of package scep: a break between two of them shows
// where devices stop.
const (
	StepRecalled      = "recalled"
	StepAuthenticated = "authenticated"
	StepJudged        = "judged"
	StepIssued        = "issued"
)

// funnelSteps are all there are, in the order in which an enrolment comes to them.
var funnelSteps = []string{
	string(scep.StepGetCACaps), string(scep.StepGetCACert), string(scep.StepGetNextCACert), string(scep.StepOther),
	string(scep.StepPKIOperation), string(scep.StepOpened), StepRecalled, StepAuthenticated, StepJudged, StepIssued,
	string(scep.StepAnswered), string(scep.StepRefused),
}

// FunnelSteps are the steps of the funnel, in the order in which an enrolment comes
// to them. Not each enrolment comes to each.
func FunnelSteps() []string { return slices.Clone(funnelSteps) }

// FunnelRow is how far the clients of one family came, since the server started.
type FunnelRow struct {
	Family family.Family `json:"family"`
	// Steps are how many requests came to a step; those that none came to are left out.
	Steps map[string]uint64 `json:"steps"`
	// LongestTarget is the length of the longest request target, in bytes.
	LongestTarget int `json:"longestTargetBytes"`
}

// funnel counts steps by family. It is safe for concurrent use: the families and steps
// are a closed set, so nothing is ever added to its maps.
type funnel struct {
	rows           map[family.Family]*funnelRow
	index          map[string]int
	steps, longest *prometheus.Desc
}

type funnelRow struct {
	steps   []atomic.Uint64
	longest atomic.Int64
}

func newFunnel() *funnel {
	f := &funnel{
		rows:    map[family.Family]*funnelRow{},
		index:   map[string]int{},
		steps:   prometheus.NewDesc("scepter_ra_funnel_total", "Requests by the step they came to and the family of the client.", []string{"step", "family"}, nil),
		longest: prometheus.NewDesc("scepter_ra_longest_request_target_bytes", "Longest request target received, by the family of the client.", []string{"family"}, nil),
	}
	for i, step := range funnelSteps {
		f.index[step] = i
	}
	for _, name := range family.All() {
		f.rows[name] = &funnelRow{steps: make([]atomic.Uint64, len(funnelSteps))}
	}
	return f
}

// row is that of a family; one that is not known counts as Other.
func (f *funnel) row(name family.Family) *funnelRow {
	if row, known := f.rows[name]; known {
		return row
	}
	return f.rows[family.Other]
}

func (f *funnel) count(name family.Family, step string) {
	if i, known := f.index[step]; known {
		f.row(name).steps[i].Add(1)
	}
}

func (f *funnel) target(name family.Family, bytes int) {
	longest := &f.row(name).longest
	for {
		have := longest.Load()
		if int64(bytes) <= have || longest.CompareAndSwap(have, int64(bytes)) {
			return
		}
	}
}

// report has a row for each family that was seen.
func (f *funnel) report() []FunnelRow {
	var out []FunnelRow
	for _, name := range family.All() {
		row := FunnelRow{Family: name, Steps: map[string]uint64{}, LongestTarget: int(f.rows[name].longest.Load())}
		for i, step := range funnelSteps {
			if n := f.rows[name].steps[i].Load(); n > 0 {
				row.Steps[step] = n
			}
		}
		if len(row.Steps) > 0 {
			out = append(out, row)
		}
	}
	return out
}

// Describe implements prometheus.Collector.
func (f *funnel) Describe(out chan<- *prometheus.Desc) {
	out <- f.steps
	out <- f.longest
}

// Collect implements prometheus.Collector.
func (f *funnel) Collect(out chan<- prometheus.Metric) {
	for _, row := range f.report() {
		name := string(row.Family)
		for step, n := range row.Steps {
			out <- prometheus.MustNewConstMetric(f.steps, prometheus.CounterValue, float64(n), step, name)
		}
		if row.LongestTarget > 0 {
			out <- prometheus.MustNewConstMetric(f.longest, prometheus.GaugeValue, float64(row.LongestTarget), name)
		}
	}
}
