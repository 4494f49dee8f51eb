// Command stages runs the project's checks one after the other, each within its
// time limit, and ends with a summary that Go's own test summary is part of.
//
//	go run ./hack/stages                all of them
//	go run ./hack/stages lint unit      these only
//	go run ./hack/stages -list          what there is
//
// What a stage prints goes to the terminal and to <logs>/<stage>.log.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	logs := flag.String("logs", "dist/logs", "directory for the logs")
	list := flag.Bool("list", false, "list the stages")
	flag.Parse()
	if *list {
		listStages(os.Stdout)
		return
	}
	if err := run(*logs, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(logs string, names []string) error {
	chosen, err := choose(stages, names)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := runner{logs: logs, out: os.Stdout, now: time.Now}
	results := r.runAll(ctx, chosen)
	return summarise(os.Stdout, results, logs)
}

func listStages(out io.Writer) {
	for _, s := range stages {
		_, _ = fmt.Fprintf(out, "%-12s %-8s %s\n", s.name, s.limit, s.about)
	}
}
