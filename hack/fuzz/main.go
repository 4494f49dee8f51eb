// Command fuzz finds every fuzzer of the module and runs each for a while, as
// many at a time as there are processors.
//
//	go run ./hack/fuzz                        all of them, 30 s each
//	go run ./hack/fuzz -time 10m -match Open  those whose name matches, longer
//	go run ./hack/fuzz -thorough internal/scep  those of other packages a third of the time
//
// An input that breaks a fuzzer is left in the package's testdata/fuzz, where it
// is to stay: "go test" tries it from then on.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	duration := flag.Duration("time", 30*time.Second, "how long each fuzzer runs")
	match := flag.String("match", "", "regular expression for the names of fuzzers; empty: all")
	thorough := flag.String("thorough", "", "regular expression for import paths: fuzzers of other packages run for a third of the time")
	jobs := flag.Int("jobs", runtime.NumCPU(), "how many run at a time")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, plan{*duration, *thorough}, *match, *jobs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, p plan, match string, jobs int) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	wanted, err := regexp.Compile(match)
	if err != nil {
		return fmt.Errorf("-match: %w", err)
	}
	share, err := p.compile()
	if err != nil {
		return err
	}
	fuzzers, err := find(ctx, wanted)
	if err != nil {
		return err
	}
	if len(fuzzers) == 0 {
		return fmt.Errorf("no fuzzer matches %q", match)
	}
	return runAll(ctx, out, fuzzers, share, jobs)
}

// plan says how long fuzzers run.
type plan struct {
	duration time.Duration
	thorough string
}

const (
	// briefly is the part of the time that fuzzers get which are not thorough.
	briefly = 3
	// shortest is what is left to them of it at least: less does not get anywhere.
	shortest = 3 * time.Second
)

// compile gives each fuzzer its time.
func (p plan) compile() (func(fuzzer) time.Duration, error) {
	thorough, err := regexp.Compile(p.thorough)
	if err != nil {
		return nil, fmt.Errorf("-thorough: %w", err)
	}
	return func(f fuzzer) time.Duration {
		if thorough.MatchString(f.importPath) {
			return p.duration
		}
		return max(p.duration/briefly, min(p.duration, shortest))
	}, nil
}

// runAll reports each fuzzer when it is done, and returns an error that names
// those that failed.
func runAll(ctx context.Context, out io.Writer, fuzzers []fuzzer, share func(fuzzer) time.Duration, jobs int) error {
	queue := make(chan fuzzer)
	results := make(chan result)
	var workers sync.WaitGroup
	for range max(1, jobs) {
		workers.Go(func() {
			for f := range queue {
				results <- f.run(ctx, share(f))
			}
		})
	}
	go func() {
		for _, f := range fuzzers {
			queue <- f
		}
		close(queue)
		workers.Wait()
		close(results)
	}()
	var failed []string
	for r := range results {
		r.report(out)
		if r.err != nil {
			failed = append(failed, r.fuzzer.String())
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}
