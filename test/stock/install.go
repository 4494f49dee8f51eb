package stock

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Install installs the Debian packages if a client is missing. It needs root for that.
func Install(ctx context.Context, log io.Writer) error {
	if present(ctx) {
		return nil
	}
	hint := "apt-get install " + strings.Join(Packages, " ")
	if os.Geteuid() != 0 {
		return fmt.Errorf("the SCEP clients are missing: as root, run: %s", hint)
	}
	for _, args := range [][]string{
		{"update"}, append([]string{"install", "-y", "--no-install-recommends"}, Packages...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w (try: %s)", args[0], err, hint)
		}
	}
	return nil
}

func present(ctx context.Context) bool {
	for _, name := range Packages {
		status, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Status}", name).Output()
		if err != nil || string(status) != "installed" {
			return false
		}
	}
	return true
}
