package node

import (
	"os"
	"path/filepath"
)

// Addresses inside a cluster. Every cluster has a network namespace of its own,
// so that all can have the same.
const (
	// IP is the node's address; host ports of pods are reached there.
	IP = "10.250.0.1"
	// DNS is the address of the cluster's name server, a Service.
	DNS = "10.96.0.10"

	nodePrefix   = "/24"
	podRange     = "10.244.0.0/24"
	serviceRange = "10.96.0.0/24"
	kubernetesIP = "10.96.0.1"
	apiPort      = "6443"
	apiInside    = "https://" + IP + ":" + apiPort
	containerd   = "/run/containerd/containerd.sock" // in the cluster's own /run
)

// PauseImage holds a pod's namespaces open.
const PauseImage = "scepter.local/pause:1"

// layout knows where things lie in a cluster's state directory.
type layout struct{ dir string }

func (l layout) path(elements ...string) string {
	return filepath.Join(append([]string{l.dir}, elements...)...)
}

func (l layout) pki(name string) string        { return l.path("pki", name) }
func (l layout) kubeconfig(user string) string { return l.path("pki", user+".kubeconfig") }
func (l layout) config(name string) string     { return l.path("config", name) }
func (l layout) program(name string) string    { return l.path("bin", name) }
func (l layout) log(name string) string        { return l.path("log", name+".log") }

// makeDirs makes the directories that are expected to be there.
func (l layout) makeDirs() error {
	for _, dir := range []string{"bin", "cni/net.d", "config", "log", "pki", "scratch"} {
		if err := os.MkdirAll(l.path(dir), 0o755); err != nil {
			return err
		}
	}
	return nil
}
