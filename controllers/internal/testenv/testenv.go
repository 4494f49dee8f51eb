// Package testenv gives controller tests a real API server, with the kinds of
// Scepter, cert-manager and the Gateway API installed. A package starts one:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// and each test works in a namespace of its own, with a manager that sees only that:
//
//	ns := testenv.Namespace(t)
//	testenv.StartManager(t, ns, reconciler.SetupWithManager)
//
// There is no kubelet and no controller but those under test: what
// cert-manager or a Deployment controller would do, the test does. etcd and
// kube-apiserver come from the directory KUBEBUILDER_ASSETS, or else are built once,
// which takes long.
package testenv

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

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/cluster/lab"
)

const (
	assetsVariable = "KUBEBUILDER_ASSETS"
	startLimit     = 2 * time.Minute
)

// config reaches the API server of this test binary; it is set by Main before any test runs.
var config *rest.Config

// Main starts the API server, runs the tests, stops the server, and exits.
func Main(m *testing.M) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test environment:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	env, err := environment()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	if config, err = env.Start(); err != nil {
		return 1, fmt.Errorf("start API server: %w", err)
	}
	config.QPS, config.Burst = -1, -1
	return m.Run(), nil
}

func environment() (*envtest.Environment, error) {
	assets, err := assetsDir()
	if err != nil {
		return nil, err
	}
	crds, err := crdPaths()
	if err != nil {
		return nil, err
	}
	return &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		ControlPlaneStartTimeout: startLimit,
		ControlPlaneStopTimeout:  startLimit,
		ErrorIfCRDPathMissing:    true,
		Scheme:                   Scheme(),
		CRDInstallOptions:        envtest.CRDInstallOptions{Paths: crds, MaxTime: startLimit},
	}, nil
}

func assetsDir() (string, error) {
	if dir := os.Getenv(assetsVariable); dir != "" {
		return dir, nil
	}
	dir, err := lab.EnvtestAssets(context.Background(), os.Stderr)
	if err != nil {
		return "", fmt.Errorf("build etcd and kube-apiserver (or set %s): %w", assetsVariable, err)
	}
	return dir, nil
}

// crdPaths finds the CRDs in this module and in the modules of cert-manager and the Gateway API.
func crdPaths() ([]string, error) {
	ours, err := moduleDir("github.com/scepter-pki/scepter")
	if err != nil {
		return nil, err
	}
	certManager, err := moduleDir("github.com/cert-manager/cert-manager")
	if err != nil {
		return nil, err
	}
	gateway, err := moduleDir("sigs.k8s.io/gateway-api")
	if err != nil {
		return nil, err
	}
	return []string{
		filepath.Join(ours, "config", "crd"),
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

// Scheme knows Kubernetes' own kinds and those of Scepter, cert-manager and the Gateway API.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme,
		apiextensionsv1.AddToScheme,
		certmanagerv1.AddToScheme,
		gatewayv1.Install,
		v1alpha1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	return scheme
}
