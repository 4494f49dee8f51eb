package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestNamesIn(t *testing.T) {
	directory := t.TempDir()
	sources := map[string]string{
		"a_test.go": "func FuzzB(f *testing.F) {}\nfunc TestA(t *testing.T) {}\n// func FuzzNo(f *testing.F)\n",
		"b_test.go": "func FuzzA(fz *testing.F) {\n}\nfunc FuzzHelper(b []byte) {}\n",
	}
	for name, source := range sources {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names, err := namesIn(directory, []string{"a_test.go", "b_test.go"})
	if want := []string{"FuzzA", "FuzzB"}; err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("got %v, %v; want %v", names, err, want)
	}
	if _, err := namesIn(directory, []string{"absent_test.go"}); err == nil {
		t.Error("a file that is not there gives no error")
	}
}

func TestReport(t *testing.T) {
	output := []byte("fuzz: elapsed: 0s, gathering baseline coverage: 0/7 completed\n" +
		"fuzz: elapsed: 3s, execs: 900 (300/sec), new interesting: 2 (total: 9)\n" +
		"fuzz: elapsed: 6s, execs: 1800 (300/sec), new interesting: 5 (total: 12)\nPASS\n")
	f := fuzzer{"example.com/a", "FuzzA"}
	for _, test := range []struct {
		result result
		want   string
	}{
		{result{f, output, nil}, "pass  example.com/a.FuzzA: 6s, 1800 inputs tried, 5 of them new, 12 kept in all\n"},
		{result{f, []byte("panic: x\n"), errors.New("exit status 1")}, "FAIL  example.com/a.FuzzA: exit status 1\npanic: x\n"},
	} {
		var out bytes.Buffer
		test.result.report(&out)
		if out.String() != test.want {
			t.Errorf("got %q, want %q", out.String(), test.want)
		}
	}
}

func TestEndedByTime(t *testing.T) {
	const late = "fuzz: elapsed: 30s, execs: 9 (0/sec), new interesting: 1 (total: 2)\n" +
		"--- FAIL: FuzzA (30.58s)\n    context deadline exceeded\nFAIL\nexit status 1\nFAIL\texample.com/a\t30.606s\n"
	for output, want := range map[string]bool{
		late: true,
		"--- FAIL: FuzzA (0.1s)\n    a_test.go:9: context deadline exceeded\nFAIL\n": false,
		late + "    Failing input written to testdata/fuzz/FuzzA/1\n":                false,
		"panic: x\nFAIL\n": false,
		"":                 false,
	} {
		if got := endedByTime([]byte(output)); got != want {
			t.Errorf("%q: %v, want %v", output, got, want)
		}
	}
}

// A directory of its own is a module with one fuzzer that passes and one that
// fails.
func TestRun(t *testing.T) {
	directory := t.TempDir()
	t.Chdir(directory)
	for name, source := range map[string]string{
		"go.mod": "module example.com/fuzzed\n\ngo 1.26\n",
		"a_test.go": "package fuzzed\n\nimport \"testing\"\n\n" +
			"func FuzzGood(f *testing.F) {\n\tf.Fuzz(func(*testing.T, []byte) {})\n}\n\n" +
			"func FuzzBad(f *testing.F) {\n\tf.Add([]byte(\"x\"))\n\tf.Fuzz(func(t *testing.T, b []byte) {\n\t\tt.Errorf(\"no %q\", b)\n\t})\n}\n",
	} {
		if err := os.WriteFile(name, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	err := run(t.Context(), &out, plan{duration: time.Second}, "", 2)
	if err == nil || err.Error() != "failed: example.com/fuzzed.FuzzBad" {
		t.Errorf("error is %v", err)
	}
	for _, want := range []string{"pass  example.com/fuzzed.FuzzGood: 1s", "FAIL  example.com/fuzzed.FuzzBad", `no "x"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
	if r := (fuzzer{"example.com/fuzzed", "FuzzAbsent"}).run(t.Context(), time.Second); r.err == nil {
		t.Error("a fuzzer that is not there passes")
	}
	if err := run(t.Context(), &out, plan{duration: time.Second}, "Absent", 2); err == nil || !strings.Contains(err.Error(), "Absent") {
		t.Errorf("no fuzzer: %v", err)
	}
	if err := run(t.Context(), &out, plan{duration: time.Second}, "(", 2); err == nil {
		t.Error("a broken expression gives no error")
	}
}

func TestPlan(t *testing.T) {
	share, err := plan{30 * time.Second, "/internal/scep"}.compile()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]time.Duration{
		"example.com/m/internal/scep/cms":  30 * time.Second,
		"example.com/m/internal/ra/policy": 10 * time.Second,
	} {
		if got := share(fuzzer{importPath: path}); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if _, err := (plan{thorough: "("}).compile(); err == nil {
		t.Error("a broken expression gives no error")
	}
}

func TestSummary(t *testing.T) {
	const baseline = "fuzz: elapsed: 4s, gathering baseline coverage: 156/563 completed\n"
	for output, want := range map[string]string{
		"PASS\n": "",
		"fuzz: elapsed: 0s, gathering baseline coverage: 0/563 completed\n": "",
		baseline: "4s, 156 of 563 inputs kept from earlier runs tried again, and no others",
		baseline + "fuzz: elapsed: 6s, execs: 900 (10/sec), new interesting: 2 (total: 565)\n": "6s, 900 inputs tried, 2 of them new, 565 kept in all",
	} {
		if got := summary([]byte(output)); got != want {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
}
