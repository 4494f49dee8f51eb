package main

import (
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

// fuzzer is a fuzz test of a package.
type fuzzer struct {
	importPath string
	name       string
}

func (f fuzzer) String() string { return f.importPath + "." + f.name }

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w*)\(\w+ \*testing\.F\)`)

// testFiles is one line a package: import path, directory, test files.
const testFiles = `{{.ImportPath}}|{{.Dir}}|{{range .TestGoFiles}}{{.}} {{end}}{{range .XTestGoFiles}}{{.}} {{end}}`

// find lists the module's fuzzers whose name matches, by package and name.
func find(ctx context.Context, wanted *regexp.Regexp) ([]fuzzer, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", testFiles, "./...")
	cmd.Stderr = os.Stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []fuzzer
	for line := range strings.Lines(string(list)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		names, err := namesIn(fields[1], strings.Fields(fields[2]))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if wanted.MatchString(name) {
				all = append(all, fuzzer{fields[0], name})
			}
		}
	}
	return all, nil
}

// namesIn lists the fuzzers that files of a directory declare.
func namesIn(directory string, files []string) ([]string, error) {
	var names []string
	for _, file := range files {
		source, err := os.ReadFile(filepath.Join(directory, file))
		if err != nil {
			return nil, err
		}
		for _, found := range declaration.FindAllSubmatch(source, -1) {
			names = append(names, string(found[1]))
		}
	}
	slices.Sort(names)
	return names, nil
}

// result is what came of a fuzzer.
type result struct {
	fuzzer fuzzer
	output []byte
	err    error
}

// grace is what building, trying the seeds and going down may take beyond the
// fuzzing itself.
const grace = 10 * time.Minute

// run fuzzes with one worker. Inputs are not made smaller: with RSA in each try
// that would take longer than the fuzzing.
func (f fuzzer) run(ctx context.Context, duration time.Duration) result {
	ctx, cancel := context.WithTimeout(ctx, duration+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+f.name+"$",
		"-fuzztime", duration.String(), "-fuzzminimizetime", "1x", "-parallel", "1",
		"-timeout", (duration + grace).String(), f.importPath)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	output, err := cmd.CombinedOutput()
	if err != nil && endedByTime(output) {
		err = nil
	}
	if err == nil && !tried(output) {
		err = errors.New("nothing was tried")
	}
	return result{f, output, err}
}

// ranOut is what "go test -fuzz" ends with on a busy machine, where its worker has
// not answered when the time is over. It has found nothing then.
var ranOut = regexp.MustCompile(`(?m)^--- FAIL: \S+ \(\S+\)\n    context deadline exceeded\nFAIL\n`)

func endedByTime(output []byte) bool {
	return ranOut.Match(output) && !bytes.Contains(output, []byte("Failing input"))
}

// progress is a line that "go test -fuzz" prints every few seconds.
var progress = regexp.MustCompile(`(?m)^fuzz: elapsed: (\S+), execs: (\d+) \(\S+\), new interesting: (\d+) \(total: (\d+)\)`)

// baseline is such a line while what was kept from earlier runs is tried again: of a
// slow fuzzer that can take all the time there is.
var baseline = regexp.MustCompile(`(?m)^fuzz: elapsed: (\S+), gathering baseline coverage: (\d+)/(\d+) completed`)

func tried(output []byte) bool { return summary(output) != "" }

// report prints a line, or all that a failed fuzzer printed.
func (r result) report(out io.Writer) {
	if r.err != nil {
		_, _ = fmt.Fprintf(out, "FAIL  %s: %v\n%s", r.fuzzer, r.err, r.output)
		return
	}
	_, _ = fmt.Fprintf(out, "pass  %s: %s\n", r.fuzzer, summary(r.output))
}

// summary says what the last line of progress does; "" if nothing was tried.
func summary(output []byte) string {
	if all := progress.FindAllSubmatch(output, -1); len(all) > 0 {
		last := all[len(all)-1]
		return fmt.Sprintf("%s, %s inputs tried, %s of them new, %s kept in all", last[1], last[2], last[3], last[4])
	}
	all := baseline.FindAllSubmatch(output, -1)
	if len(all) == 0 || string(all[len(all)-1][2]) == "0" {
		return ""
	}
	last := all[len(all)-1]
	return fmt.Sprintf("%s, %s of %s inputs kept from earlier runs tried again, and no others", last[1], last[2], last[3])
}
