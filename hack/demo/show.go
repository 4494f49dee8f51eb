package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// show runs the demo's steps and prints a line for each.
type show struct {
	out io.Writer
	log *os.File
}

// step is a line of the demo. do returns what to say of the result.
type step struct {
	name string
	do   func(ctx context.Context) (string, error)
}

func newShow(dir string) (*show, error) {
	log, err := os.Create(filepath.Join(dir, "demo.log"))
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &show{out: os.Stdout, log: log}, nil
}

// play runs steps in order and stops at the first that fails.
func (s *show) play(ctx context.Context, steps []step) error {
	for i, st := range steps {
		_, _ = fmt.Fprintf(s.log, "\n=== %s\n", st.name)
		_, _ = fmt.Fprintf(s.out, "%2d. %-34s ", i+1, st.name)
		began := time.Now()
		said, err := st.do(ctx)
		if err != nil {
			_, _ = fmt.Fprintln(s.out, "failed")
			return fmt.Errorf("%s: %w (details: %s)", st.name, err, s.log.Name())
		}
		_, _ = fmt.Fprintf(s.out, "%5.1f s  %s\n", time.Since(began).Seconds(), said)
	}
	return nil
}

func (s *show) print(text string) { _, _ = fmt.Fprint(s.out, text) }
