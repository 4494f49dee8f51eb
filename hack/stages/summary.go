package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// summarise prints Go's test summary, then a line a stage, and returns an error
// that names the stages that failed.
func summarise(out io.Writer, results []result, logs string) error {
	_, _ = io.WriteString(out, "\n=== Go test summary\n")
	for _, res := range results {
		for _, line := range res.tests {
			_, _ = fmt.Fprintln(out, line)
		}
	}
	_, _ = fmt.Fprintf(out, "\n=== Stages (logs in %s)\n", logs)
	var failed []string
	var total time.Duration
	for _, res := range results {
		total += res.took
		_, _ = fmt.Fprintf(out, "%-12s %-6s %8s\n", res.name, verdict(res.err), res.took.Round(time.Second))
		if res.err != nil {
			failed = append(failed, fmt.Sprintf("%s (%v)", res.name, res.err))
		}
	}
	_, _ = fmt.Fprintf(out, "%-12s %-6s %8s\n", "total", "", total.Round(time.Second))
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

func verdict(err error) string {
	if err != nil {
		return "FAIL"
	}
	return "pass"
}
