package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"
)

const reportEvery = 30 * time.Second

// Cache holds built programs below Dir.
type Cache struct {
	// Dir is the cache's directory; it is made when needed.
	Dir string
	// Log is told about builds, one line each; nil says nothing.
	Log func(line string)
}

// DefaultDir is scepter/bin below the user's cache directory.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("build cache: %w", err)
	}
	return filepath.Join(dir, "scepter", "bin"), nil
}

// Build returns the path of t's program, which it builds if it must.
func (c *Cache) Build(ctx context.Context, t Target) (string, error) {
	key, err := t.key(ctx)
	if err != nil {
		return "", err
	}
	entry := filepath.Join(c.Dir, key)
	program := filepath.Join(entry, t.Name)
	if isFile(program) {
		return program, nil
	}
	held, err := lock(ctx, entry+".lock")
	if err != nil {
		return "", err
	}
	defer func() { _ = held.Close() }()
	if isFile(program) { // another process was quicker
		return program, nil
	}
	return program, c.fill(ctx, t, entry, held)
}

// BuildAll builds targets side by side, as far as memory and processors allow,
// and returns each program's path by its name.
func (c *Cache) BuildAll(ctx context.Context, targets ...Target) (map[string]string, error) {
	memory, err := availableMemory()
	if err != nil {
		return nil, err
	}
	room := semaphore.NewWeighted(memory)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, runtime.NumCPU()))
	paths := make([]string, len(targets))
	for i, t := range targets {
		group.Go(func() error {
			need := min(t.Memory, memory) // a build that is too large runs alone
			if err := room.Acquire(ctx, need); err != nil {
				return fmt.Errorf("build %s: %w", t.Name, err)
			}
			defer room.Release(need)
			var err error
			paths[i], err = c.Build(ctx, t)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	byName := make(map[string]string, len(targets))
	for i, t := range targets {
		byName[t.Name] = paths[i]
	}
	return byName, nil
}

// Own builds a program of this repository, for example "./cmd/ra". The go tool
// knows itself what is fresh, so the file is replaced in place.
func (c *Cache) Own(ctx context.Context, root, pkg string) (string, error) {
	name := filepath.Base(pkg)
	dir := filepath.Join(c.Dir, "own-"+shortHash(root, pkg))
	held, err := lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer func() { _ = held.Close() }()
	program := filepath.Join(dir, name)
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", program, pkg}
	return program, run(ctx, "build "+name, root, args, held)
}

// fill builds t in a directory beside entry and moves it there when it is whole.
func (c *Cache) fill(ctx context.Context, t Target, entry string, held *os.File) error {
	workspace := entry + ".tmp" // the lock is ours: what lies there is a leftover
	if err := os.RemoveAll(workspace); err != nil {
		return fmt.Errorf("build %s: %w", t.Name, err)
	}
	defer func() { _ = os.RemoveAll(workspace) }()
	done := c.announce(t)
	args := append([]string{"build", "-o", filepath.Join(workspace, t.Name)}, t.flags()...)
	if err := run(ctx, "build "+t.Name, t.Dir, append(args, t.Package), held); err != nil {
		done(err)
		return err
	}
	err := os.Rename(workspace, entry)
	done(err)
	if err != nil {
		return fmt.Errorf("build %s: %w", t.Name, err)
	}
	return nil
}

// announce tells that a build began, from time to time that it goes on, and,
// when the returned function is called, how it ended.
func (c *Cache) announce(t Target) func(error) {
	start := time.Now()
	elapsed := func() time.Duration { return time.Since(start).Round(time.Second) }
	c.log("building %s (about %s the first time)", t.Name, t.Cost)
	ended := make(chan struct{})
	go func() {
		ticks := time.NewTicker(reportEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				c.log("still building %s after %s", t.Name, elapsed())
			case <-ended:
				return
			}
		}
	}()
	return func(err error) {
		close(ended)
		if err != nil {
			c.log("building %s failed after %s", t.Name, elapsed())
			return
		}
		c.log("built %s in %s", t.Name, elapsed())
	}
}

func (c *Cache) log(format string, args ...any) {
	if c.Log != nil {
		c.Log(fmt.Sprintf(format, args...))
	}
}

// run runs the go tool. It inherits the lock: should this process be killed,
// nobody else builds the same until the orphan has ended, too.
func run(ctx context.Context, what, dir string, args []string, held *os.File) error {
	cmd := goCommand(ctx, dir, args...)
	cmd.ExtraFiles = []*os.File{held}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", what, err, lastLines(output.String(), 20))
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// lock takes an exclusive lock on a file, waiting for other processes; closing
// the file gives it back.
func lock(ctx context.Context, path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("build cache: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("build cache: %w", err)
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("wait for another build (%s): %w", path, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
