package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/test/failures"
)

const failuresIntro = `# The failure catalogue

Made from test/failures/catalogue.yaml and figures.yaml by "make generate".

What goes wrong in a registration-authority tier in the field, and what Scepter does
about it, so that nobody has to. A *fault* is injected into a real cluster by its test,
shows as a condition (or as an Event where it is put right at once, or as the reason of a
refusal where it is one device's), is healed, and a device enrols afterwards. A *feature* is used as a
person would use it. *Advice* is for what is out of reach: the test sees that it comes,
and only then.
`

const provenIntro = `
## Proven

Each row has a test in a real cluster, which fails if what tells of it or one of the
limits is not kept. Times in parentheses are what "make failures" measured last, on
two cores.

| Id | Injected by, or used on | Told by | Detected within | Healed within | Test |
|---|---|---|---|---|---|
`

const catalogueIntro = `
## All rows

A row that is not proven is a plan: nothing is claimed of it.

| Id | Kind | In the field | Cause there | What Scepter is to do | Proven |
|---|---|---|---|---|---|
`

// writeFailures writes docs/failures.md from the catalogue.
func writeFailures(root string) error {
	rows, err := failures.Catalogue()
	if err != nil {
		return err
	}
	figures, err := failures.Figures()
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(root, "docs/failures.md"), []byte(formatFailures(rows, figures)))
}

func formatFailures(rows []failures.Row, figures map[string]failures.Figure) string {
	var proven, all strings.Builder
	n := 0
	for i := range rows {
		r := &rows[i]
		yes := "not yet"
		if r.Promise != nil {
			n++
			yes = "yes"
			proven.WriteString(provenRow(r, figures[r.ID]))
		}
		fmt.Fprintf(&all, "| %s | %s | %s | %s | %s | %s |\n", r.ID, r.Kind, cell(r.Field), cell(r.Cause), cell(r.Does), yes)
	}
	count := fmt.Sprintf("\nOf %d rows %d are proven so far.\n", len(rows), n)
	return failuresIntro + count + provenIntro + proven.String() + catalogueIntro + all.String()
}

func provenRow(r *failures.Row, figure failures.Figure) string {
	p := r.Promise
	how := cell(p.Injected)
	if how == "" {
		how = cell(strings.Join(p.Tiers, "; "))
	}
	dir, test, _ := strings.Cut(p.Test, ":")
	return fmt.Sprintf("| %s | %s | %s | %s | %s | [%s](../%s) `%s` |\n", r.ID, how, telling(p),
		limit(p.Detected.Duration, figure.Detected), limit(p.Healed.Duration, figure.Healed), dir, dir, test)
}

// telling is what tells of a fault, and where.
func telling(p *failures.Promise) string {
	reasons := "`" + strings.Join(p.Tells(), "` `") + "`"
	switch {
	case p.Condition != "":
		return p.On + ": " + reasons
	case p.Event != "":
		return p.On + ": Event " + reasons
	case len(p.Refusals) > 0:
		return "the device's answer, audit and metric: " + reasons
	}
	return ""
}

// limit is a promise, with what was measured in seconds.
func limit(promised time.Duration, measured int) string {
	switch {
	case promised == 0:
		return ""
	case measured == 0:
		return fmt.Sprintf("%.0f s", promised.Seconds())
	}
	return fmt.Sprintf("%.0f s (%d s)", promised.Seconds(), measured)
}
