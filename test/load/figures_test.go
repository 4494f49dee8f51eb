package load

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// report is what is printed at the end.
type report struct {
	rows  []string
	calls []string
}

var figures report

// add is a row: devices that were served, what they met on their way, and how long all took.
func (r *report) add(name string, certificates int, count *tally, took time.Duration) {
	count.mu.Lock()
	defer count.mu.Unlock()
	var met []string
	for _, what := range slices.Sorted(maps.Keys(count.what)) {
		if what != "SUCCESS" {
			met = append(met, fmt.Sprintf("%d× %s", count.what[what], what))
		}
	}
	r.rows = append(r.rows, fmt.Sprintf("%s\t%d\t%d\t%s\t%.1f\t%s", name, count.done, certificates,
		took.Round(100*time.Millisecond), float64(count.done)/took.Seconds(), strings.Join(met, ", ")))
}

// addCalls lists what the API server was asked for each enrolment of the wave.
func (r *report) addCalls(calls apiCount, enrolments int) {
	byCall := func(a, b apiCall) int {
		return cmp.Or(cmp.Compare(calls[b], calls[a]), strings.Compare(a.String(), b.String()))
	}
	writes := 0.0
	for _, call := range slices.SortedFunc(maps.Keys(calls), byCall) {
		each := calls[call] / float64(enrolments)
		if call.writes() {
			writes += each
		}
		if each >= 0.05 {
			r.calls = append(r.calls, fmt.Sprintf("%s\t%.2f", call, each))
		}
	}
	r.calls = append(r.calls, fmt.Sprintf("all writes about certificates\t%.2f", writes))
}

func (r *report) print(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nFIGURES\nPART\tANSWERED\tCERTIFICATES\tTOOK\tPER SECOND\tMET")
	for _, row := range r.rows {
		_, _ = fmt.Fprintln(table, row)
	}
	_, _ = fmt.Fprintln(table, "\nAPI SERVER\tCALLS PER ENROLMENT")
	for _, row := range r.calls {
		_, _ = fmt.Fprintln(table, row)
	}
	_ = table.Flush()
}

// apiCall is a kind of call that the API server counts.
type apiCall struct{ verb, resource, subresource string }

func (c apiCall) String() string {
	return strings.TrimSuffix(strings.ToLower(c.verb)+" "+c.resource+"/"+c.subresource, "/")
}

func (c apiCall) writes() bool {
	return slices.Contains([]string{"POST", "PUT", "PATCH", "APPLY", "DELETE"}, c.verb)
}

// apiCount holds how often each call was made.
type apiCount map[apiCall]float64

func (c apiCount) since(before apiCount) apiCount {
	out := apiCount{}
	for call, n := range c {
		out[call] = n - before[call]
	}
	return out
}

// counted are the resources that an enrolment needs. Leases, pods and the like are
// written at all times.
var counted = []string{"certificaterequests", "events"}

// apiCalls reads the API server's own counters.
func apiCalls(t *testing.T) apiCount {
	t.Helper()
	raw, err := shared.rig.KubectlOutput(t.Context(), "get", "--raw", "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	out := apiCount{}
	for line := range strings.Lines(raw) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if !ok || !strings.HasPrefix(series, "apiserver_request_total{") {
			continue
		}
		call := apiCall{label(series, "verb"), label(series, "resource"), label(series, "subresource")}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(counted, call.resource) && strings.HasPrefix(label(series, "code"), "2") {
			out[call] += n
		}
	}
	return out
}

// label is the value of a label in a line of metrics.
func label(series, name string) string {
	_, rest, ok := strings.Cut(series, name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
