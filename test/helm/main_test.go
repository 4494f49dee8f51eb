// Package helm renders the chart with Helm itself, and has a real API server judge the result.
package helm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/scepter-pki/scepter/test/apiserver"
	"github.com/scepter-pki/scepter/test/cluster/build"
	"github.com/scepter-pki/scepter/test/internal/manifest"
)

const releaseNamespace = "scepter-system"

// Set by TestMain before any test runs.
var (
	server *apiserver.Server
	// helm is the path of the program.
	helm string
)

func TestMain(m *testing.M) {
	apiserver.Main(m, func(s *apiserver.Server) (err error) {
		server = s
		helm, err = helmProgram(s.Root)
		return err
	})
}

// helmProgram is the one that the environment variable HELM names; without it one is built.
func helmProgram(root string) (string, error) {
	if path := os.Getenv("HELM"); path != "" {
		return path, nil
	}
	dir, err := build.DefaultDir()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 14*time.Minute)
	defer cancel()
	cache := build.Cache{Dir: dir, Log: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	return cache.Build(ctx, build.Targets(root)["helm"])
}

// runHelm runs Helm, away from the settings of whoever runs the tests.
func runHelm(t *testing.T, stdin string, args ...string) (stdout string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := exec.Command(helm, args...)
	home := t.TempDir()
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + filepath.Join(home, "none")}
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w: %s", args[0], err, complaints.String())
	}
	return out.String(), nil
}

func chart() string { return filepath.Join(server.Root, "charts", "scepter") }

// render renders the chart with values in YAML.
func render(t *testing.T, values string) (string, error) {
	t.Helper()
	return runHelm(t, values, "template", "scepter", chart(), "--namespace", releaseNamespace, "--values", "-")
}

// objects renders the chart and parses what came out.
func objects(t *testing.T, values string) []*unstructured.Unstructured {
	t.Helper()
	rendered, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := manifest.Parse([]byte(rendered))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func find(t *testing.T, all []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range all {
		if object.GetKind() == kind {
			return object
		}
	}
	t.Fatalf("no %s among the objects", kind)
	return nil
}
