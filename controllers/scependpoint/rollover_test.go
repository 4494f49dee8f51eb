package scependpoint

import (
	"slices"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func server(name string, ready bool, holds ...string) replica {
	return replica{name: name, ready: ready, status: &raconfig.ReplicaStatus{HeldGenerations: holds}}
}

func TestPlanRollover(t *testing.T) {
	g1, g2 := generation("g1", noon.Add(-89*testDay)), generation("g2", noon.Add(-time.Hour))
	future := generation("g3", noon.Add(2*time.Hour))
	silent := replica{name: "silent", ready: true}
	type want struct {
		active, next string
		held, of     int
		expired      bool
	}
	cases := map[string]struct {
		generations []v1alpha1.CredentialGeneration
		distrusted  []string
		active      string
		replicas    []replica
		now         time.Time
		want        want
	}{
		"no generation":                       {nil, nil, "", nil, noon, want{}},
		"the first is shown at once":          {[]v1alpha1.CredentialGeneration{g1}, nil, "", []replica{silent}, noon, want{active: "g1"}},
		"at rest":                             {[]v1alpha1.CredentialGeneration{g1}, nil, "g1", []replica{server("a", true)}, noon, want{active: "g1"}},
		"nobody holds the next":               {[]v1alpha1.CredentialGeneration{g2, g1}, nil, "g1", []replica{server("a", true, "g1"), server("b", true, "g1")}, noon, want{active: "g1", next: "g2", of: 2}},
		"one holds the next":                  {[]v1alpha1.CredentialGeneration{g2, g1}, nil, "g1", []replica{server("a", true, "g2", "g1"), server("b", true, "g1")}, noon, want{active: "g1", next: "g2", held: 1, of: 2}},
		"one does not answer":                 {[]v1alpha1.CredentialGeneration{g2, g1}, nil, "g1", []replica{server("a", true, "g2", "g1"), silent}, noon, want{active: "g1", next: "g2", held: 1, of: 2}},
		"all hold the next":                   {[]v1alpha1.CredentialGeneration{g2, g1}, nil, "g1", []replica{server("a", true, "g2"), server("b", true, "g2")}, noon, want{active: "g2"}},
		"a server that is not ready is left":  {[]v1alpha1.CredentialGeneration{g2, g1}, nil, "g1", []replica{server("a", true, "g2"), server("b", false)}, noon, want{active: "g2"}},
		"no server runs":                      {[]v1alpha1.CredentialGeneration{g2, g1}, nil, "g1", nil, noon, want{active: "g2"}},
		"what is shown has gone from keyring": {[]v1alpha1.CredentialGeneration{g2}, nil, "g0", []replica{server("a", true)}, noon, want{active: "g2"}},
		"what is shown has expired":           {[]v1alpha1.CredentialGeneration{g2, g1}, nil, "g1", []replica{server("a", true, "g1")}, noon.Add(2 * testDay), want{active: "g2"}},
		"what is shown is distrusted":         {[]v1alpha1.CredentialGeneration{g2, g1}, []string{"fg1"}, "g1", []replica{server("a", true, "g1")}, noon, want{active: "g2"}},
		"the next is distrusted":              {[]v1alpha1.CredentialGeneration{g2, g1}, []string{"fg2"}, "g1", []replica{server("a", true, "g1")}, noon, want{active: "g1"}},
		"the next is not valid yet":           {[]v1alpha1.CredentialGeneration{future, g1}, nil, "g1", []replica{server("a", true, "g3", "g1")}, noon, want{active: "g1"}},
		"all have expired":                    {[]v1alpha1.CredentialGeneration{g1}, nil, "g1", []replica{server("a", true)}, noon.Add(200 * testDay), want{active: "g1", expired: true}},
		"all are distrusted":                  {[]v1alpha1.CredentialGeneration{g1}, []string{"fg1"}, "g1", nil, noon, want{active: "g1"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := planRollover(c.generations, c.distrusted, c.active, c.replicas, c.now)
			if got := (want{p.active, p.next, p.held, p.of, p.expired}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestEverySequenceOfLoadsIsSafe plays a rollover with the servers loading in
// every order, with a crash of the operator (that is: another plan) after each
// step. A generation is never shown while a ready server lacks it, and at the end it is.
func TestEverySequenceOfLoadsIsSafe(t *testing.T) {
	generations := []v1alpha1.CredentialGeneration{generation("g2", noon), generation("g1", noon.Add(-60*testDay))}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		replicas := []replica{server("a", true, "g1"), server("b", true, "g1"), server("c", true, "g1")}
		active := "g1"
		for step := 0; ; step++ {
			active = planRollover(generations, nil, active, replicas, noon.Add(time.Hour)).active
			lacking := slices.IndexFunc(replicas, func(r replica) bool { return !r.status.Holds(active) })
			if lacking >= 0 {
				t.Fatalf("order %v, step %d: %s is shown though %s lacks it", order, step, active, replicas[lacking].name)
			}
			if step == len(order) {
				break
			}
			replicas[order[step]].status.HeldGenerations = []string{"g2", "g1"}
		}
		if active != "g2" {
			t.Errorf("order %v: it ends with %s", order, active)
		}
	}
}

func TestNextNudge(t *testing.T) {
	cases := map[string]struct {
		have  string
		stale bool
		want  string
	}{
		"never touched":           {"", false, "h.1"},
		"other content":           {"g.3", false, "h.1"},
		"touched and up to date":  {"h.1", false, "h.1"},
		"touched and stale":       {"h.1", true, "h.2"},
		"touched often, stale":    {"h.9", true, "h.10"},
		"touched enough, stale":   {"h.10", true, "h.10"},
		"touched by another hand": {"h.x", true, "h.1"},
	}
	for name, c := range cases {
		if got := nextNudge(c.have, "h", c.stale); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
