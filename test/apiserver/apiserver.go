// Package apiserver gives a test binary a real API server (etcd and
// kube-apiserver, nothing else) with the CRDs of Scepter, cert-manager and the
// Gateway API:
//
//	var server *apiserver.Server
//
//	func TestMain(m *testing.M) {
//		apiserver.Main(m, func(s *apiserver.Server) error { server = s; return nil })
//	}
//
// The programs come from the directory KUBEBUILDER_ASSETS, or else are built
// once, which takes long.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/scepter-pki/scepter/test/cluster/lab"
)

const (
	assetsVariable = "KUBEBUILDER_ASSETS"

	// startLimit is ample: the server is ready in about five seconds.
	startLimit = 2 * time.Minute
	// buildLimit is for a first build of the server, 17 CPU minutes.
	buildLimit = 45 * time.Minute
)

// Server is a running API server.
type Server struct {
	// Config is the administrator's, without client-side rate limits.
	Config *rest.Config
	// Client is the administrator's, not cached.
	Client client.Client
	// Root is the repository's directory.
	Root string
	// Kubectl is the path of a kubectl of the server's version.
	Kubectl string

	environment *envtest.Environment
}

// Main starts a server, hands it to prepare, runs the tests, stops the server,
// and exits.
func Main(m *testing.M, prepare func(*Server) error) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	code, err := run(m, prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test environment:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M, prepare func(*Server) error) (code int, err error) {
	server, err := start()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, server.environment.Stop()) }()
	if err := prepare(server); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func start() (*Server, error) {
	root, err := moduleDir("github.com/scepter-pki/scepter")
	if err != nil {
		return nil, err
	}
	assets, err := assetsDir()
	if err != nil {
		return nil, err
	}
	crds, err := crdPaths(root)
	if err != nil {
		return nil, err
	}
	s := &Server{Root: root, Kubectl: filepath.Join(assets, "kubectl"), environment: &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		ControlPlaneStartTimeout: startLimit,
		ControlPlaneStopTimeout:  startLimit,
		ErrorIfCRDPathMissing:    true,
		CRDInstallOptions:        envtest.CRDInstallOptions{Paths: crds, MaxTime: startLimit},
	}}
	if err := s.connect(); err != nil {
		return nil, errors.Join(err, s.environment.Stop())
	}
	return s, nil
}

func (s *Server) connect() error {
	var err error
	if s.Config, err = s.environment.Start(); err != nil {
		return fmt.Errorf("start the API server: %w", err)
	}
	s.Config.QPS, s.Config.Burst = -1, -1
	if s.Client, err = client.New(s.Config, client.Options{Scheme: scheme.Scheme}); err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	return nil
}

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

func assetsDir() (string, error) {
	if dir := os.Getenv(assetsVariable); dir != "" {
		return dir, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	dir, err := lab.EnvtestAssets(ctx, os.Stderr)
	if err != nil {
		return "", fmt.Errorf("build etcd and kube-apiserver (or set %s): %w", assetsVariable, err)
	}
	return dir, nil
}

// crdPaths finds the CRDs in this module and in those of cert-manager and the Gateway API.
func crdPaths(root string) ([]string, error) {
	certManager, err := moduleDir("github.com/cert-manager/cert-manager")
	if err != nil {
		return nil, err
	}
	gateway, err := moduleDir("sigs.k8s.io/gateway-api")
	if err != nil {
		return nil, err
	}
	return []string{
		filepath.Join(root, "config", "crd"),
		filepath.Join(certManager, "deploy", "crds"),
		filepath.Join(gateway, "config", "crd", "standard"),
	}, nil
}

func moduleDir(module string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
