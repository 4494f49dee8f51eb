package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func newRunner(t *testing.T) *runner {
	t.Helper()
	return &runner{logs: t.TempDir(), out: io.Discard, now: time.Now}
}

func shell(name, script string) stage {
	return stage{name: name, command: []string{"sh", "-c", script}, limit: time.Minute}
}

func TestRunAllGoesOnAfterAFailure(t *testing.T) {
	r := newRunner(t)
	needy := shell("needy", "echo never")
	needy.after = []string{"bad"}
	results := r.runAll(context.Background(), []stage{shell("bad", "exit 3"), needy, shell("good", "true")})
	var verdicts []string
	for _, res := range results {
		verdicts = append(verdicts, res.name+" "+verdict(res.err))
	}
	if want := []string{"bad FAIL", "needy FAIL", "good pass"}; !reflect.DeepEqual(verdicts, want) {
		t.Errorf("verdicts are %v, want %v", verdicts, want)
	}
	if !strings.Contains(results[1].err.Error(), "not run: bad failed") {
		t.Errorf("a stage that was not run says %v", results[1].err)
	}
}

func TestExecuteEndsAtTheLimitWithItsChildren(t *testing.T) {
	r := newRunner(t)
	s := shell("slow", "sleep 600 & wait")
	s.limit = 100 * time.Millisecond
	res := r.execute(context.Background(), s)
	if res.err == nil || !strings.Contains(res.err.Error(), "exceeded its limit of 100ms") {
		t.Errorf("error is %v", res.err)
	}
}

func TestExecuteKeepsALogAndPassesEnvironmentOn(t *testing.T) {
	r := newRunner(t)
	first := shell("first", "echo progress; echo /assets; echo noise >&2")
	first.setsEnv = "STAGE_TEST"
	if res := r.execute(context.Background(), first); res.err != nil {
		t.Fatal(res.err)
	}
	log, err := os.ReadFile(filepath.Join(r.logs, "first.log"))
	if err != nil || !strings.Contains(string(log), "noise") {
		t.Errorf("log is %q, %v", log, err)
	}
	if res := r.execute(context.Background(), shell("second", `test "$STAGE_TEST" = /assets`)); res.err != nil {
		t.Error("the second stage does not see the first one's value")
	}
}

func TestTestLines(t *testing.T) {
	output := "=== RUN   TestX\nok  \texample.com/a\t0.1s\n?   \texample.com/b\t[no test files]\n" +
		"--- FAIL: TestY (0.00s)\nFAIL\texample.com/c\t0.2s\nFAIL\n"
	want := []string{"ok  \texample.com/a\t0.1s", "--- FAIL: TestY (0.00s)", "FAIL\texample.com/c\t0.2s"}
	if got := testLines([]byte(output)); !reflect.DeepEqual(got, want) {
		t.Errorf("lines are %q, want %q", got, want)
	}
}

func TestChoose(t *testing.T) {
	all := []stage{{name: "a"}, {name: "b"}, {name: "c", after: []string{"a"}}}
	chosen, err := choose(all, []string{"c"})
	if err != nil || len(chosen) != 2 || chosen[0].name != "a" || chosen[1].name != "c" {
		t.Errorf("chosen are %v, %v", chosen, err)
	}
	if _, err := choose(all, []string{"x"}); err == nil || !strings.Contains(err.Error(), "-list") {
		t.Errorf("an unknown stage gives %v", err)
	}
}

func TestSummariseNamesWhatFailed(t *testing.T) {
	var out bytes.Buffer
	r := newRunner(t)
	results := r.runAll(context.Background(), []stage{
		shell("unit", `printf 'ok  \texample.com/a\t0.1s\n'`), shell("lint", "exit 1"),
	})
	err := summarise(&out, results, "logs")
	if err == nil || !strings.Contains(err.Error(), "lint") || strings.Contains(err.Error(), "unit") {
		t.Errorf("error is %v", err)
	}
	if !strings.Contains(out.String(), "ok  \texample.com/a") {
		t.Errorf("Go's summary is not in %q", out.String())
	}
}

func TestStagesAreWellFormed(t *testing.T) {
	known := map[string]bool{}
	for _, s := range stages {
		if s.about == "" || s.limit <= 0 || len(s.command) == 0 || known[s.name] {
			t.Errorf("stage %q lacks something or is there twice", s.name)
		}
		for _, need := range s.after {
			if !known[need] {
				t.Errorf("stage %q needs %q, which does not come before it", s.name, need)
			}
		}
		known[s.name] = true
	}
}
