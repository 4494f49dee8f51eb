// Package rig puts Scepter into a Kubernetes cluster, as a platform team would:
// images, Helm chart, samples. The demo and the end-to-end tests stand on it.
//
// The cluster is one of its own (test/cluster/lab), or the current kubectl
// context with CLUSTER=current.
package rig

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/scepter-pki/scepter/test/cluster/lab"
)

// Names within the cluster.
const (
	// SystemNamespace holds the operator.
	SystemNamespace = "scepter-system"
	// Release is the name of the Helm release.
	Release = "scepter"
	// SampleNamespace, SampleEndpoint and SampleHost are those of config/samples.
	SampleNamespace = "pki"
	SampleEndpoint  = "corp"
	SampleHost      = "scep.example.com"
	// SampleChallenge is the password in config/samples.
	SampleChallenge = "example-challenge-please-change"
)

// Rig is a cluster with Scepter in it.
type Rig struct {
	Cluster *lab.Cluster
	// Dir holds what the rig makes: binaries, images, files of clients.
	Dir string

	root string
	log  io.Writer

	// ingress is asked for once: devices go on while the API server is away.
	ingress struct {
		sync.Mutex
		address string
	}
}

// Options says how to come up.
type Options struct {
	// Name of the cluster; without meaning for CLUSTER=current.
	Name string
	// Dir for binaries and images.
	Dir string
	// Log takes the details.
	Log io.Writer
	// Detach leaves the cluster running when this process ends.
	Detach bool
}

// Up brings up a cluster with cert-manager and Traefik, or takes the current one.
func Up(ctx context.Context, o Options) (*Rig, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := bringUp(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Rig{Cluster: cluster, Dir: o.Dir, root: root, log: o.Log}, nil
}

// Current says whether CLUSTER=current asks for the current kubectl context.
func Current() bool { return os.Getenv("CLUSTER") == "current" }

func bringUp(ctx context.Context, o Options) (*lab.Cluster, error) {
	if Current() {
		return lab.Current(ctx)
	}
	if err := lab.Remove(ctx, o.Name); err != nil {
		return nil, fmt.Errorf("clear what an earlier run left: %w", err)
	}
	return lab.Up(ctx, lab.Options{
		Name: o.Name, With: []string{"cert-manager", "traefik"}, Log: o.Log, Detach: o.Detach,
	})
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// Path names a file of the repository.
func (r *Rig) Path(parts ...string) string {
	return filepath.Join(append([]string{r.root}, parts...)...)
}

// Install builds both programs, makes images of them, brings those into the
// cluster, and installs the Helm chart.
func (r *Rig) Install(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, program := range programs {
		group.Go(func() error { return r.load(groupCtx, program) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.helm(ctx, "upgrade", "--install", Release, r.Path("charts", "scepter"),
		"--namespace", SystemNamespace, "--create-namespace", "--wait", "--timeout", "3m",
		"--set", "image.repository="+repository(operator), "--set", "image.tag="+tag,
		"--set", "image.pullPolicy=IfNotPresent",
		"--set", "ra.image.repository="+repository(ra), "--set", "ra.image.tag="+tag,
		"--set", "ra.image.pullPolicy=IfNotPresent")
}

// Down takes the rig's own cluster down; a current one keeps running, without
// what the rig put into it.
func (r *Rig) Down(ctx context.Context) error {
	if Current() {
		return r.Uninstall(ctx)
	}
	return r.Cluster.Down(ctx)
}

// Uninstall removes the Helm release; the CRDs and all custom resources stay.
func (r *Rig) Uninstall(ctx context.Context) error {
	return r.helm(ctx, "uninstall", Release, "--namespace", SystemNamespace, "--ignore-not-found", "--wait")
}

// Describe says in a line what the cluster is.
func (r *Rig) Describe(ctx context.Context) (string, error) {
	version, err := r.KubectlOutput(ctx, "get", "nodes", "-o", "jsonpath={.items[0].status.nodeInfo.kubeletVersion}")
	if err != nil {
		return "", err
	}
	return "Kubernetes " + version, nil
}

// Kubectl runs kubectl; its output goes to the log, its complaints into the error.
func (r *Rig) Kubectl(ctx context.Context, args ...string) error {
	_, err := r.KubectlOutput(ctx, args...)
	return err
}

// KubectlOutput runs kubectl and returns what it printed.
func (r *Rig) KubectlOutput(ctx context.Context, args ...string) (string, error) {
	return r.run(r.Cluster.KubectlCommand(ctx, args...))
}

func (r *Rig) helm(ctx context.Context, args ...string) error {
	_, err := r.run(r.Cluster.HelmCommand(ctx, args...))
	return err
}

func (r *Rig) run(cmd *exec.Cmd) (string, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, r.log), io.MultiWriter(&stderr, r.log)
	_, _ = fmt.Fprintln(r.log, "$", strings.Join(cmd.Args, " "))
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
