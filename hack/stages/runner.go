package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stage is one check: a command with a limit.
type stage struct {
	name  string
	about string
	// dir is where the command runs, from the repository's root.
	dir     string
	command []string
	limit   time.Duration
	// setsEnv names the variable that the command's last line of output becomes
	// the value of, for the stages after it.
	setsEnv string
	// after names stages that must have passed.
	after []string
}

// result is what came of a stage. A skipped stage has the reason in err and no time.
type result struct {
	name  string
	took  time.Duration
	err   error
	tests []string
}

// choose picks stages by name, and what they need, in the order of all. No names: all.
func choose(all []stage, names []string) ([]stage, error) {
	if len(names) == 0 {
		return all, nil
	}
	byName := map[string]stage{}
	for _, s := range all {
		byName[s.name] = s
	}
	wanted := map[string]bool{}
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		s, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("there is no stage %q: -list shows them", name)
		}
		wanted[name] = true
		names = append(names, s.after...)
	}
	return slices.DeleteFunc(slices.Clone(all), func(s stage) bool { return !wanted[s.name] }), nil
}

// runner runs stages and keeps their logs.
type runner struct {
	logs string
	out  io.Writer
	now  func() time.Time
	env  []string
}

// runAll runs every stage whose needs passed; one failure does not hide the next.
func (r *runner) runAll(ctx context.Context, all []stage) []result {
	var results []result
	failed := map[string]bool{}
	for _, s := range all {
		res := r.attempt(ctx, s, failed)
		failed[s.name] = res.err != nil
		results = append(results, res)
	}
	return results
}

func (r *runner) attempt(ctx context.Context, s stage, failed map[string]bool) result {
	for _, need := range s.after {
		if failed[need] {
			return result{name: s.name, err: fmt.Errorf("not run: %s failed", need)}
		}
	}
	if ctx.Err() != nil {
		return result{name: s.name, err: errors.New("not run: interrupted")}
	}
	r.printf("\n=== %s: %s (limit %s)\n", s.name, s.about, s.limit)
	start := r.now()
	res := r.execute(ctx, s)
	res.took = r.now().Sub(start)
	r.printf("=== %s: %s after %s\n", s.name, verdict(res.err), res.took.Round(time.Second))
	return res
}

// execute runs a stage's command in a process group of its own, so that the end
// of its time is the end of its children too.
func (r *runner) execute(ctx context.Context, s stage) result {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	log, err := os.Create(filepath.Join(r.logs, s.name+".log"))
	if err != nil {
		return result{name: s.name, err: err}
	}
	defer func() { _ = log.Close() }()

	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, s.command[0], s.command[1:]...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), r.env...)
	cmd.Stdout = io.MultiWriter(r.out, log, &output)
	cmd.Stderr = io.MultiWriter(r.out, log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	err = cmd.Run()
	killGroup(cmd.Process)
	if ctxErr := ctx.Err(); errors.Is(ctxErr, context.DeadlineExceeded) {
		err = fmt.Errorf("exceeded its limit of %s", s.limit)
	}
	if err == nil && s.setsEnv != "" {
		r.env = append(r.env, s.setsEnv+"="+lastLine(output.Bytes()))
	}
	return result{name: s.name, err: err, tests: testLines(output.Bytes())}
}

// killGroup ends what a command left behind.
func killGroup(leader *os.Process) {
	if leader != nil {
		_ = syscall.Kill(-leader.Pid, syscall.SIGKILL)
	}
}

func (r *runner) printf(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format, args...) }

func lastLine(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return lines[len(lines)-1]
}

// testLine is a line of "go test" that says how a package fared.
var testLine = regexp.MustCompile(`^(ok  |FAIL|---\sFAIL:|panic:)\s*\S+`)

func testLines(output []byte) []string {
	var lines []string
	scanner := bufio.NewScanner(bytes.NewReader(output))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if testLine.MatchString(scanner.Text()) {
			lines = append(lines, scanner.Text())
		}
	}
	return lines
}
