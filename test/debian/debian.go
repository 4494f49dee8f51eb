// Package debian installs Debian packages, for tests and the demo on a bare machine.
package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Missing lists those of the packages that are not installed.
func Missing(ctx context.Context, packages ...string) []string {
	var missing []string
	for _, name := range packages {
		status, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Status}", name).Output()
		if err != nil || string(status) != "installed" {
			missing = append(missing, name)
		}
	}
	return missing
}

// Version is the upstream version of a package that is installed: "5.9.8" of
// "5.9.8-5+deb12u6".
func Version(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${source:Upstream-Version}", name).Output()
	if err != nil {
		return "", fmt.Errorf("ask for the version of %s: %w", name, err)
	}
	return string(out), nil
}

// Install installs packages. It needs root; its errors say what to run by hand.
func Install(ctx context.Context, packages ...string) error {
	hint := "apt-get install " + strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this machine has no apt-get; it needs what Debian installs with: %s", hint)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("packages are missing; as root, run: %s", hint)
	}
	install := append([]string{"install", "--yes", "--no-install-recommends"}, packages...)
	if aptGet(ctx, install...) == nil {
		return nil
	}
	if err := aptGet(ctx, "update"); err != nil { // the lists may be old or absent
		return fmt.Errorf("%w; try yourself: %s", err, hint)
	}
	if err := aptGet(ctx, install...); err != nil {
		return fmt.Errorf("%w; try yourself: %s", err, hint)
	}
	return nil
}

// aptGet waits for its turn where another installation is under way.
func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--option", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lines[len(lines)-1])
	}
	return nil
}

// unpacking keeps tests from doing it side by side.
var unpacking sync.Mutex

// Program is a program that a package has: the words with which it is started. Where the
// package is not installed, its files and those of what it needs are unpacked into the
// user's cache: nothing of it is started, and the machine stays as it is.
func Program(ctx context.Context, name, path string) ([]string, error) {
	if len(Missing(ctx, name)) == 0 {
		return []string{path}, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	dir := filepath.Join(cache, "scepter", "debian", name)
	unpacking.Lock()
	defer unpacking.Unlock()
	if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
		if err := unpack(ctx, dir, name); err != nil {
			return nil, fmt.Errorf("unpack %s: %w; or run: apt-get install %s", name, err, name)
		}
	}
	return unpacked(dir, path)
}

// unpacked starts a program of a directory, with the libraries that are there.
func unpacked(dir, path string) ([]string, error) {
	libraries, err := filepath.Glob(filepath.Join(dir, "usr", "lib", "*-linux-gnu*"))
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, path)
	if len(libraries) == 0 {
		return []string{program}, nil
	}
	return []string{"env", "LD_LIBRARY_PATH=" + strings.Join(libraries, ":"), program}, nil
}

// unpack makes the directory, whole or not at all.
func unpack(ctx context.Context, dir, name string) error {
	temporary, err := os.MkdirTemp("", "debian-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	if err := download(ctx, temporary, name); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(temporary, "*.deb"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return err
	}
	whole := dir + ".new"
	if err := os.RemoveAll(whole); err != nil {
		return err
	}
	for _, file := range files {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "--extract", file, whole).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
		}
	}
	return os.Rename(whole, dir)
}

// download fetches a package, and what it needs and the machine has not.
func download(ctx context.Context, to, name string) error {
	fetch := func() error {
		wanted, err := wouldInstall(ctx, name)
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"download"}, wanted...)...)
		cmd.Dir = to
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get download: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	if fetch() == nil {
		return nil
	}
	if err := aptGet(ctx, "update"); err != nil { // the lists may be old or absent
		return err
	}
	return fetch()
}

// wouldInstall lists the packages that an installation would bring.
func wouldInstall(ctx context.Context, name string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "install", "--simulate", "--no-install-recommends", name).Output()
	if err != nil {
		return nil, fmt.Errorf("ask what %s needs: %w", name, err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "Inst" {
			names = append(names, words[1])
		}
	}
	return names, nil
}
