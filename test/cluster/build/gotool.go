package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const modulePath = "github.com/scepter-pki/scepter"

// ErrOutside is returned where the working directory is not in the repository.
var ErrOutside = errors.New("not inside the " + modulePath + " repository: run this from a directory of it")

// Root is the repository's directory, found from the working directory.
func Root(ctx context.Context) (string, error) {
	values, err := goEnv(ctx, "", "GOMOD")
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(values[0])
	if err != nil || !strings.HasPrefix(string(content), "module "+modulePath+"\n") {
		return "", ErrOutside
	}
	return filepath.Dir(values[0]), nil
}

// ModuleDir is where the sources of a module that the repository requires lie;
// they are downloaded if they are not there.
func ModuleDir(ctx context.Context, root, module string) (string, error) {
	if _, err := goOutput(ctx, root, "mod", "download", module); err != nil {
		return "", err
	}
	return goOutput(ctx, root, "list", "-m", "-f", "{{.Dir}}", module)
}

// goEnv asks the go tool for the values of variables, one each.
func goEnv(ctx context.Context, dir string, names ...string) ([]string, error) {
	out, err := goOutput(ctx, dir, append([]string{"env"}, names...)...)
	if err != nil {
		return nil, err
	}
	values := strings.Split(out, "\n")
	if len(values) != len(names) {
		return nil, fmt.Errorf("go env %s: %d values", strings.Join(names, " "), len(values))
	}
	return values, nil
}

func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := goCommand(ctx, dir, args...)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w%s", args[0], err, stderrOf(err))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

func stderrOf(err error) string {
	var exit *exec.ExitError
	if !errors.As(err, &exit) || len(exit.Stderr) == 0 {
		return ""
	}
	return ": " + strings.TrimSpace(string(exit.Stderr))
}

// goCommand runs the go tool with a fixed environment: the same settings
// everywhere, or the same packages are compiled more than once.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	return cmd
}
