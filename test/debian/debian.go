// Package debian installs Debian packages, for tests and the demo on a bare machine.
package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
