// Package progress tells a person what is going on: one line a step, and on a
// terminal the step under way as well.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// Reporter writes progress to one place. The zero value and nil say nothing.
type Reporter struct {
	out      io.Writer
	terminal bool
	mu       sync.Mutex
}

// New returns a reporter that writes to out.
func New(out io.Writer) *Reporter {
	file, isFile := out.(*os.File)
	return &Reporter{out: out, terminal: isFile && term.IsTerminal(int(file.Fd()))}
}

// Line writes a line.
func (r *Reporter) Line(line string) {
	if r == nil || r.out == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.out, "%s%s\n", r.eraser(), line)
}

// Step announces something that takes time. The returned function ends it and
// tells how long it took, or that it failed.
func (r *Reporter) Step(what string) func(err error) {
	start := time.Now()
	r.pending(what)
	return func(err error) {
		took := time.Since(start).Round(100 * time.Millisecond)
		if err != nil {
			r.Line(fmt.Sprintf("✗ %s failed after %s", what, took))
			return
		}
		r.Line(fmt.Sprintf("✓ %s (%s)", what, took))
	}
}

// pending shows a step under way where the line can be overwritten later.
func (r *Reporter) pending(what string) {
	if r == nil || r.out == nil || !r.terminal {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.out, "%s… %s", r.eraser(), what)
}

func (r *Reporter) eraser() string {
	if r.terminal {
		return "\r\x1b[K"
	}
	return ""
}
