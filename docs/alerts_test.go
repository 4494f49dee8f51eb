package docs

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// alerts are those of the rules file: the name of each, and its runbook.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string `json:"alert"`
				Annotations struct {
					RunbookURL string `json:"runbook_url"`
				} `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "../config/prometheus/scepter.rules.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			found[rule.Alert] = rule.Annotations.RunbookURL
		}
	}
	return found
}

// TestEachAlertHasARunbookAndEachRunbookAnAlert compares names, links and the list of alerts.
func TestEachAlertHasARunbookAndEachRunbookAnAlert(t *testing.T) {
	runbooks, err := filepath.Glob("runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	all, list := alerts(t), read(t, "alerts.md")
	if len(all) == 0 || len(runbooks) == 0 {
		t.Fatalf("%d alerts, %d runbooks", len(all), len(runbooks))
	}
	for name, url := range all {
		page := "runbooks/" + name + ".md"
		if !slices.Contains(runbooks, page) {
			t.Errorf("%s has no %s", name, page)
		}
		if !strings.HasSuffix(url, "/docs/"+page) {
			t.Errorf("the runbook_url of %s is %s", name, url)
		}
		if !strings.Contains(list, "| ["+name+"]("+page+") |") {
			t.Errorf("alerts.md does not list %s", name)
		}
	}
	for _, page := range runbooks {
		if name := strings.TrimSuffix(filepath.Base(page), ".md"); all[name] == "" {
			t.Errorf("there is no alert for %s", page)
		}
	}
}

// TestRunbooksAreWhole: each answers the same questions.
func TestRunbooksAreWhole(t *testing.T) {
	for name := range alerts(t) {
		rest, titled := strings.CutPrefix(read(t, "runbooks/"+name+".md"), "# "+name+"\n")
		if !titled {
			t.Errorf("the page of %s does not begin with its name", name)
		}
		for _, heading := range []string{"## Meaning", "## Impact", "## How to look", "## What to do", "## When it ends"} {
			_, after, found := strings.Cut(rest, "\n"+heading+"\n\n")
			if !found || after == "" || strings.HasPrefix(after, "#") {
				t.Errorf("%s has no %q, or nothing below it, or not in the order", name, heading)
				break
			}
			rest = after
		}
	}
}
