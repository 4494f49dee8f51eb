// Package alerts evaluates the alerts of config/prometheus with Prometheus' own engine.
// It is a module of its own, so that Scepter does not depend on Prometheus.
package alerts

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

const rulesFile = "../../config/prometheus/scepter.rules.yaml"

// alerts are those of the rules file, by name. Parse checks expressions and templates.
func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	content, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(content, false, model.LegacyValidation)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	found := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if _, twice := found[rule.Alert]; twice {
				t.Errorf("%s is there twice", rule.Alert)
			}
			found[rule.Alert] = rule
		}
	}
	return found
}

// TestAlerts evaluates each alert where it has to come and where it must not.
func TestAlerts(t *testing.T) {
	all := alerts(t)
	tried := map[string]bool{}
	for _, tc := range cases {
		t.Run(tc.alert+"/"+tc.name, func(t *testing.T) {
			rule, ok := all[tc.alert]
			if !ok {
				t.Fatal("there is no such alert")
			}
			got := fires(t, rule.Expr, tc.given)
			if !slices.Equal(got, tc.fires) {
				t.Errorf("it fires for %q, want %q", got, tc.fires)
			}
		})
		tried[fmt.Sprint(tc.alert, len(tc.fires) > 0)] = true
	}
	for name := range all {
		if !tried[name+"true"] || !tried[name+"false"] {
			t.Errorf("%s wants a case in which it fires and one in which it does not", name)
		}
	}
}

var now = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)

// fires lists the labels with which an expression has a result.
func fires(t *testing.T, expr string, given []series) []string {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 100_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute})
	defer func() { _ = engine.Close() }()
	query, err := engine.NewInstantQuery(t.Context(), memory(t, now, given), nil, expr, now)
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(t.Context())
	vector, err := result.Vector()
	if err != nil {
		t.Fatal(err)
	}
	var firing []string
	for _, s := range vector {
		firing = append(firing, s.Metric.MatchLabels(false, model.MetricNameLabel).String())
	}
	slices.Sort(firing)
	return firing
}

// TestLabelsOfAnnotations: an annotation that names a label which the expression does
// not give would say nothing.
func TestLabelsOfAnnotations(t *testing.T) {
	all := alerts(t)
	named := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, tc := range cases {
		for _, firing := range tc.fires {
			metric, err := parser.ParseMetric(firing)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range all[tc.alert].Annotations {
				for _, match := range named.FindAllStringSubmatch(text, -1) {
					if !metric.Has(match[1]) {
						t.Errorf("%s names the label %s, which %s lacks", tc.alert, match[1], firing)
					}
				}
			}
		}
	}
}

// TestMetricsAreDocumented looks for each metric of ours in docs/metrics.md.
func TestMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, rule := range alerts(t) {
		expr, err := parser.ParseExpr(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, matchers := range parser.ExtractSelectors(expr) {
			for _, m := range matchers {
				if m.Name == model.MetricNameLabel && strings.HasPrefix(m.Value, "scepter_") && !strings.Contains(string(page), "`"+m.Value+"`") {
					t.Errorf("%s asks for %s, which docs/metrics.md does not have", name, m.Value)
				}
			}
		}
	}
}
