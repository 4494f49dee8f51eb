package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/scepter-pki/scepter/test/cluster/node/cgroup"
)

// Errors about a cluster's state.
var (
	// ErrUp is returned where a cluster of this name must not be up.
	ErrUp = errors.New("a cluster of this name is up: take it down first, or use another name")
	// ErrDown is returned where a cluster of this name must be up.
	ErrDown = errors.New("no cluster of this name is up")
)

const (
	lockName     = "lock"
	cleanupLimit = 30 * time.Second
)

// A name is part of a host name, a directory and a control group.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// stateDir is where the cluster called name keeps everything: a directory below
// the user's cache directory.
func stateDir(name string) (string, error) {
	if !validName.MatchString(name) {
		return "", fmt.Errorf("cluster name %q: want at most 32 lower-case letters, digits and inner hyphens", name)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	return filepath.Join(base, "scepter", "clusters", name), nil
}

// claim makes the state directory and locks it, after it removed what a cluster
// that crashed may have left. Whoever holds the returned file owns the cluster.
func claim(ctx context.Context, dir, group string) (*os.File, error) {
	held, err := tryLock(dir)
	if err != nil {
		return nil, err
	}
	if err := cleanLeftovers(ctx, dir, group); err != nil {
		_ = held.Close()
		return nil, err
	}
	return held, nil
}

// tryLock takes the lock of a state directory or fails with ErrUp.
func tryLock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrUp
	}
	return nil, fmt.Errorf("lock %s: %w", dir, err)
}

// isUp tells whether a keeper holds the state directory.
func isUp(dir string) (bool, error) {
	if !isThere(filepath.Join(dir, lockName)) {
		return false, nil
	}
	held, err := tryLock(dir)
	if errors.Is(err, ErrUp) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, held.Close()
}

// cleanLeftovers removes control groups and all of the state directory but its
// lock. Processes, mounts and interfaces ended with their namespaces, at the
// latest when the keeper did.
func cleanLeftovers(ctx context.Context, dir, group string) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupLimit)
	defer cancel()
	if err := cgroup.Remove(ctx, group); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
	}
	return nil
}

// removeOnce asks a living keeper to end, or removes what a dead one left. It
// succeeds when nothing is there any more.
func removeOnce(ctx context.Context, dir, group string) error {
	up, err := isUp(dir)
	if err != nil {
		return err
	}
	if up {
		return askKeeperToEnd(dir)
	}
	groups, err := cgroup.Existing(group)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) && len(groups) == 0 {
		return nil
	}
	held, err := claim(ctx, dir, group)
	if err != nil {
		return err
	}
	defer func() { _ = held.Close() }()
	return os.RemoveAll(dir)
}

// askKeeperToEnd sends the signal and returns an error all the same: the keeper
// has not ended yet.
func askKeeperToEnd(dir string) error {
	pid, err := readPID(filepath.Join(dir, keeperPIDFile))
	if err != nil {
		return err
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return fmt.Errorf("the keeper (process %d) is cleaning up", pid)
}
