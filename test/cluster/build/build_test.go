package build

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// smallTarget is a module with a program that prints text.
func smallTarget(t *testing.T, text string) Target {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module small\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nvar text string\n\nfunc main() { print(text) }\n")
	return Target{Name: "small", Dir: dir, Package: ".", Symbols: []string{"main.text=" + text}, Memory: gib}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func testCache(t *testing.T) (*Cache, *recorder) {
	r := &recorder{}
	return &Cache{Dir: t.TempDir(), Log: r.add}, r
}

// recorder counts the builds that a cache announces.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *recorder) builds() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, line := range r.lines {
		if strings.HasPrefix(line, "building small (") {
			n++
		}
	}
	return n
}

func TestBuildIsDoneOnce(t *testing.T) {
	cache, log := testCache(t)
	target := smallTarget(t, "hello")
	first, err := cache.Build(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), first).CombinedOutput()
	if err != nil || string(out) != "hello" {
		t.Errorf("the program prints %q, %v", out, err)
	}
	second, err := cache.Build(t.Context(), target)
	if err != nil || second != first || log.builds() != 1 {
		t.Errorf("second build: %q, %v, after %d builds; want %q after one", second, err, log.builds(), first)
	}
}

func TestConcurrentBuildsBuildOnce(t *testing.T) {
	cache, log := testCache(t)
	target := smallTarget(t, "hello")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			// A cache each: what they share is the directory, as processes do.
			if _, err := (&Cache{Dir: cache.Dir, Log: log.add}).Build(t.Context(), target); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := log.builds(); n != 1 {
		t.Errorf("%d builds, want 1", n)
	}
}

func TestKeyFollowsContent(t *testing.T) {
	base := smallTarget(t, "hello")
	want := key(t, base)
	if again := key(t, base); again != want {
		t.Errorf("the same content has the keys %s and %s", want, again)
	}
	changes := map[string]func(*Target){
		"symbol":  func(b *Target) { b.Symbols = []string{"main.text=other"} },
		"tag":     func(b *Target) { b.Tags = []string{"other"} },
		"package": func(b *Target) { b.Package = "./other" },
		"source":  func(b *Target) { write(t, filepath.Join(b.Dir, "main.go"), "package main\n\nfunc main() {}\n") },
		"go.mod":  func(b *Target) { write(t, filepath.Join(b.Dir, "go.mod"), "module small\n\ngo 1.25\n") },
		"go.sum":  func(b *Target) { write(t, filepath.Join(b.Dir, "go.sum"), "") },
		"file":    func(b *Target) { write(t, filepath.Join(b.Dir, "more.go"), "package main\n") },
	}
	for name, change := range changes {
		target := smallTarget(t, "hello")
		change(&target)
		if key(t, target) == want {
			t.Errorf("another %s does not change the key", name)
		}
	}
	unrelated := smallTarget(t, "hello")
	write(t, filepath.Join(unrelated.Dir, "main_test.go"), "package main\n")
	if key(t, unrelated) != want {
		t.Error("a test changes the key")
	}
}

func key(t *testing.T, target Target) string {
	t.Helper()
	k, err := target.key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestFailedBuildLeavesNothingToBelieve(t *testing.T) {
	cache, _ := testCache(t)
	target := smallTarget(t, "hello")
	write(t, filepath.Join(target.Dir, "main.go"), "package main\n\nfunc main() { undefined() }\n")
	if _, err := cache.Build(t.Context(), target); err == nil || !strings.Contains(err.Error(), "undefined") {
		t.Fatalf("got %v, want the compiler's complaint", err)
	}
	assertNoEntry(t, cache, target)
}

func TestInterruptedBuildLeavesNothingToBelieve(t *testing.T) {
	cache, _ := testCache(t)
	target := smallTarget(t, "hello")
	ctx, cancel := context.WithCancel(t.Context())
	cache.Log = func(string) { cancel() } // as soon as the build is announced
	if _, err := cache.Build(ctx, target); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	assertNoEntry(t, cache, target)
	// What a killed build could leave is swept away by the next.
	workspace := filepath.Join(cache.Dir, key(t, target)+".tmp")
	if err := os.MkdirAll(workspace, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(workspace, "small"), "half a program")
	cache.Log = nil
	program, err := cache.Build(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program).CombinedOutput(); err != nil || string(out) != "hello" {
		t.Errorf("the program prints %q, %v", out, err)
	}
	if _, err := os.Stat(workspace); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left", workspace)
	}
}

func assertNoEntry(t *testing.T, cache *Cache, target Target) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(cache.Dir, key(t, target))); !errors.Is(err, os.ErrNotExist) {
		t.Error("there is an entry in the cache")
	}
}

func TestLockWaitsAndGivesUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a held lock: got %v, want %v", err, context.DeadlineExceeded)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestBuildAllReturnsPathsByName(t *testing.T) {
	cache, _ := testCache(t)
	one, two := smallTarget(t, "one"), smallTarget(t, "two")
	two.Name, two.Memory = "second", 1<<60 // more than any machine has: it runs alone
	paths, err := cache.BuildAll(t.Context(), one, two)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"small", "second"} {
		if filepath.Base(paths[name]) != name || !isFile(paths[name]) {
			t.Errorf("%s is at %q", name, paths[name])
		}
	}
}

func TestParseMemAvailable(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"MemTotal:       24000000 kB\nMemAvailable:   1024 kB\nBuffers: 1 kB\n", 1 << 20, true},
		{"MemTotal:       24000000 kB\n", 0, false},
		{"MemAvailable:   99999999999999999999 kB\n", 0, false},
		{"", 0, false},
	} {
		got, err := parseMemAvailable([]byte(c.in))
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %d, %v; want %d", c.in, got, err, c.want)
		}
	}
}

func TestRootIsFoundInTheRepositoryOnly(t *testing.T) {
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range Targets(root) {
		if !isFile(filepath.Join(target.Dir, "go.mod")) {
			t.Errorf("%s has no module in %s", name, target.Dir)
		}
	}
	t.Chdir(t.TempDir())
	if _, err := Root(t.Context()); !errors.Is(err, ErrOutside) {
		t.Errorf("outside: got %v, want %v", err, ErrOutside)
	}
}
