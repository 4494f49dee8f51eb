// Package apiserver gives a test binary a real API server with the CRDs of
// Scepter and cert-manager, and the assets (kubectl) that came with it.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// startLimit is ample: the server is ready in about five seconds.
const startLimit = 2 * time.Minute

// buildLimit is for a first build of the server, 17 CPU minutes.
const buildLimit = 45 * time.Minute

// Server is a running API server.
type Server struct {
	// Config is the administrator's.
	Config *rest.Config
	// Client is the administrator's, not cached.
	Client client.Client
	// Root is the repository's directory.
	Root string
	// Kubectl is the path of a kubectl of the server's version.
	Kubectl string

	environment *envtest.Environment
}

// Start starts a server. The programs are in the directory that the environment
// variable KUBEBUILDER_ASSETS names; without it they are built.
func Start() (*Server, error) {
	root, err := output(time.Minute, "", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	assets, err := assetsDir(root)
	if err != nil {
		return nil, err
	}
	certManager, err := output(time.Minute, root, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager")
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		ControlPlaneStartTimeout: startLimit,
		ControlPlaneStopTimeout:  startLimit,
		ErrorIfCRDPathMissing:    true,
		CRDInstallOptions: envtest.CRDInstallOptions{
			Paths:   []string{filepath.Join(root, "config", "crd"), filepath.Join(certManager, "deploy", "crds")},
			MaxTime: startLimit,
		},
	}
	config, err := environment.Start()
	if err != nil {
		return nil, fmt.Errorf("start the API server: %w", errors.Join(err, environment.Stop()))
	}
	config.QPS, config.Burst = -1, -1
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", errors.Join(err, environment.Stop()))
	}
	return &Server{
		Config: config, Client: c, Root: root, Kubectl: filepath.Join(assets, "kubectl"), environment: environment,
	}, nil
}

// Stop ends the server.
func (s *Server) Stop() error { return s.environment.Stop() }

// As is a client in a user's name; RBAC and admission see that user.
func (s *Server) As(user string, groups ...string) (client.Client, error) {
	config := rest.CopyConfig(s.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("connect as %s: %w", user, err)
	}
	return c, nil
}

func assetsDir(root string) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	return output(buildLimit, root, "go", "run", "./test/cluster", "assets")
}

// output runs a command and returns the last line that it printed.
func output(limit time.Duration, dir string, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}
