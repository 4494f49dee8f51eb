package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/scepter-pki/scepter/test/cluster/node"
)

// Cluster is a cluster that can be used.
type Cluster struct {
	place
	kubeconfig string
	kubectl    string
	helm       string
}

// place is where a cluster runs: on this machine or somewhere else.
type place interface {
	// Dial opens a connection as a process on a node of the cluster would.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// Exec prepares a command that runs where the cluster's addresses lead
	// somewhere: in its namespaces, or simply here.
	Exec(ctx context.Context, command ...string) *exec.Cmd
	// LoadImage makes the images in a tarball available to pods.
	LoadImage(ctx context.Context, tarball string) error
	// Signal sends a signal to a component such as kube-apiserver; after SIGKILL
	// it has ended, and Restart starts it again.
	Signal(ctx context.Context, component string, signal syscall.Signal) error
	Restart(ctx context.Context, component string) error
	// SignalContainer sends a signal to a container, by the identifier in its pod's status.
	SignalContainer(ctx context.Context, id string, signal syscall.Signal) error
	// Logs opens the log of a component such as kubelet.
	Logs(component string) (io.ReadCloser, error)
	// Down ends the cluster and removes all traces of it.
	Down(ctx context.Context) error
}

// Kubeconfig is the path of an administrator's kubeconfig; empty: kubectl's
// own rules say which one it is.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// RESTConfig is an administrator's client configuration.
func (c *Cluster) RESTConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("client configuration: %w", err)
	}
	return config, nil
}

// KubectlCommand prepares kubectl with the cluster's kubeconfig.
func (c *Cluster) KubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	return c.command(ctx, c.kubectl, args)
}

// HelmCommand prepares helm with the cluster's kubeconfig.
func (c *Cluster) HelmCommand(ctx context.Context, args ...string) *exec.Cmd {
	return c.command(ctx, c.helm, args)
}

// Kubectl runs kubectl and returns what it printed.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return output(c.KubectlCommand(ctx, args...), "kubectl", args)
}

// Helm runs helm and returns what it printed.
func (c *Cluster) Helm(ctx context.Context, args ...string) (string, error) {
	return output(c.HelmCommand(ctx, args...), "helm", args)
}

// Apply applies manifests by server-side apply.
func (c *Cluster) Apply(ctx context.Context, manifests []byte) error {
	return c.apply(ctx, manifests, "--server-side", "--force-conflicts")
}

// DryRun asks the API server whether it would admit manifests.
func (c *Cluster) DryRun(ctx context.Context, manifests []byte) error {
	return c.apply(ctx, manifests, "--server-side", "--dry-run=server")
}

func (c *Cluster) apply(ctx context.Context, manifests []byte, flags ...string) error {
	args := append([]string{"apply", "--filename=-"}, flags...)
	cmd := c.KubectlCommand(ctx, args...)
	cmd.Stdin = bytes.NewReader(manifests)
	_, err := output(cmd, "kubectl", args)
	return err
}

func (c *Cluster) command(ctx context.Context, program string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	if c.kubeconfig != "" {
		cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	}
	return cmd
}

// output runs a command; its error carries what the command complained about.
func output(cmd *exec.Cmd, name string, args []string) (string, error) {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(out), nil
}

// local is a cluster of our own on this machine.
type local struct{ *node.Node }

// Dial implements place.
func (l local) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return l.Agent().Dial(ctx, network, address)
}

// Logs implements place.
func (l local) Logs(component string) (io.ReadCloser, error) { return l.Node.Logs(component) }

// Down implements place.
func (l local) Down(ctx context.Context) error { return l.Stop(ctx) }
