package stock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Programs of the module in modules/, which BuildModules builds.
const (
	// LaterScepClient is micromdm's scepclient of a later version than Debian's.
	LaterScepClient = "scepclient"
	// SmallstepProgram is what a Smallstep runs.
	SmallstepProgram = "smallstep"
)

// BuildModules builds the clients from Go modules into dir, which must be an absolute
// path. They are a module of their own: what they require does not reach what we ship.
func BuildModules(ctx context.Context, dir string) error {
	modules, err := modulesDir()
	if err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator), "./...", "github.com/micromdm/scep/v2/cmd/scepclient")
	build.Dir = modules
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the clients from Go modules: %w: %s", err, out)
	}
	return nil
}

func modulesDir() (string, error) {
	_, self, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("cannot tell where the sources of test/stock are")
	}
	return filepath.Join(filepath.Dir(self), "modules"), nil
}

// ModuleVersion is the version of a module that the clients are built from.
func ModuleVersion(path string) (string, error) {
	modules, err := modulesDir()
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(filepath.Join(modules, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read what clients are built from: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == path {
			return words[1], nil
		}
	}
	return "", fmt.Errorf("no client is built from %s", path)
}

// Smallstep is a device on smallstep's message layer; see modules/smallstep.
type Smallstep struct {
	Run Runner
	// Program is the path of the program that BuildModules built.
	Program string
	// Options are added to its command line.
	Options []string
}

// Name implements Client.
func (*Smallstep) Name() string { return "smallstep" }

// Enrol implements Client.
func (s *Smallstep) Enrol(ctx context.Context, dir string, r Request) (*Identity, error) {
	if _, err := writeKey(filepath.Join(dir, keyFile), keyBits(r)); err != nil {
		return nil, err
	}
	return s.enrol(ctx, dir, r)
}

// Renew implements Client: a RenewalReq for the same key, since the library signs and
// decrypts with one.
func (s *Smallstep) Renew(ctx context.Context, dir string, old *Identity, r Request) (*Identity, error) {
	if err := copyIdentity(dir, old); err != nil {
		return nil, err
	}
	return s.enrol(ctx, dir, r, "-renew", filepath.Join(dir, certFile))
}

func (s *Smallstep) enrol(ctx context.Context, dir string, r Request, extra ...string) (*Identity, error) {
	args := slices.Concat([]string{
		"-url", r.URL, "-challenge", r.Challenge, "-organization", r.Organization, "-cn", r.CommonName,
		"-dns", strings.Join(r.DNSNames, ","), "-interval", r.PollInterval.String(),
		"-key", filepath.Join(dir, keyFile), "-out", filepath.Join(dir, certFile),
	}, extra, s.Options)
	if _, err := output(s.Run(ctx, s.Program, args...), s.Name()); err != nil {
		return nil, err
	}
	return ReadIdentity(dir)
}
