package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/scepter-pki/scepter/test/cluster/internal/progress"
	"github.com/scepter-pki/scepter/test/cluster/node/agent"
	"github.com/scepter-pki/scepter/test/cluster/node/cgroup"
)

// Limits of the steps of a start; each is many times what the step takes.
const (
	agentLimit = 20 * time.Second
	apiLimit   = 90 * time.Second
	nodeLimit  = 90 * time.Second
	stopLimit  = 60 * time.Second
)

// Options say what to start.
type Options struct {
	// Name of the cluster; clusters of different names run side by side.
	Name string
	// APIOnly starts etcd and the API server only.
	APIOnly bool
	// Kube and Keeper are the paths of the built programs.
	Kube, Keeper string
	// Tools are programs for the cluster's bin directory, paths by name.
	Tools map[string]string
	// Images writes tarballs of the images that the node holds from the start,
	// the pause image among them, into a directory, and returns their paths.
	Images func(dir string) (tarballs []string, err error)
	// Progress is told about each step; it may be nil.
	Progress *progress.Reporter
}

// Node is a cluster on this machine.
type Node struct {
	name   string
	layout layout
	agent  agent.Client
	client kubernetes.Interface
	// owner keeps the cluster alive until it is closed; nil: it lives by itself.
	owner *os.File
}

// Start starts a cluster and returns when it is ready for pods (or, if it has
// an API only, for requests). If it fails, nothing is left.
func Start(ctx context.Context, o Options) (*Node, error) {
	if err := Preflight(ctx, o.Progress); err != nil {
		return nil, err
	}
	dir, err := stateDir(o.Name)
	if err != nil {
		return nil, err
	}
	n := newNode(o.Name, dir)
	if err := n.launch(ctx, o); err != nil {
		return nil, err
	}
	if err := n.boot(ctx, o); err != nil {
		return nil, errors.Join(err, n.Stop(context.WithoutCancel(ctx)))
	}
	return n, nil
}

// Attach returns the cluster called name if it is up, and ErrDown if not.
func Attach(name string) (*Node, error) {
	dir, err := stateDir(name)
	if err != nil {
		return nil, err
	}
	up, err := isUp(dir)
	if err != nil {
		return nil, err
	}
	if !up {
		return nil, fmt.Errorf("%s: %w", name, ErrDown)
	}
	n := newNode(name, dir)
	return n, n.connect()
}

// Remove takes the cluster called name down, or removes what a crash left of it.
func Remove(ctx context.Context, name string) error {
	dir, err := stateDir(name)
	if err != nil {
		return err
	}
	return await(ctx, "the end of cluster "+name, stopLimit, func(ctx context.Context) error {
		return removeOnce(ctx, dir, cgroup.Name(name))
	})
}

func newNode(name, dir string) *Node {
	return &Node{name: name, layout: layout{dir}, agent: agent.Client{Dir: dir}}
}

// Name is the cluster's name.
func (n *Node) Name() string { return n.name }

// Dir is the cluster's state directory.
func (n *Node) Dir() string { return n.layout.dir }

// Scratch is a directory for temporary files; it goes with the cluster.
func (n *Node) Scratch() string { return n.layout.path("scratch") }

// Agent is the process inside the cluster's namespaces.
func (n *Node) Agent() agent.Client { return n.agent }

// Kubeconfig is a kubeconfig file for an administrator, good on the whole
// machine.
func (n *Node) Kubeconfig() string { return n.layout.kubeconfig("outside") }

// Program is the path of a Kubernetes component, such as kubectl.
func (n *Node) Program(name string) string { return n.layout.program(name) }

// RESTConfig is an administrator's client configuration.
func (n *Node) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", n.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("client configuration: %w", err)
	}
	return config, nil
}

// Exec prepares a command that will run inside the cluster's namespaces. It
// ends when the returned command's process does.
func (n *Node) Exec(ctx context.Context, command ...string) *exec.Cmd {
	return exec.CommandContext(ctx, n.layout.program("keeper"), append([]string{"exec", n.layout.dir}, command...)...)
}

// LoadImage gives the node the image in a tarball.
func (n *Node) LoadImage(ctx context.Context, tarball string) error {
	path, err := filepath.Abs(tarball)
	if err != nil {
		return fmt.Errorf("load image: %w", err)
	}
	out, err := n.ctr(ctx, "images", "import", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("load image %s: %w: %s", tarball, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Signal sends a signal to a component, such as kube-apiserver; after SIGKILL the
// component has ended.
func (n *Node) Signal(ctx context.Context, component string, signal syscall.Signal) error {
	return n.agent.Signal(ctx, component, signal)
}

// Restart starts a component that has ended, as it was started first.
func (n *Node) Restart(ctx context.Context, component string) error {
	all := slices.Concat(n.layout.apiPrograms(), n.layout.controlPrograms(), n.layout.nodePrograms(n.hostname()))
	i := slices.IndexFunc(all, func(p agent.Program) bool { return p.Name == component })
	if i < 0 {
		return fmt.Errorf("no component %q", component)
	}
	return n.agent.Start(ctx, all[i])
}

// SignalContainer sends a signal to the processes of a container, by the identifier
// that its pod's status shows.
func (n *Node) SignalContainer(ctx context.Context, id string, signal syscall.Signal) error {
	id = strings.TrimPrefix(id, "containerd://")
	number := strconv.Itoa(int(signal))
	if out, err := n.ctr(ctx, "tasks", "kill", "--signal", number, id).CombinedOutput(); err != nil {
		return fmt.Errorf("signal %s to container %s: %w: %s", signal, id, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Logs opens the log of a component, such as kubelet.
func (n *Node) Logs(component string) (*os.File, error) {
	file, err := os.Open(n.layout.log(filepath.Base(component)))
	if errors.Is(err, os.ErrNotExist) {
		logs, _ := filepath.Glob(n.layout.log("*")) // the pattern is right
		for i := range logs {
			logs[i] = strings.TrimSuffix(filepath.Base(logs[i]), ".log")
		}
		return nil, fmt.Errorf("no component %q; there are: %s", component, strings.Join(logs, ", "))
	}
	return file, err
}

// Stop ends the cluster and returns when nothing of it is left.
func (n *Node) Stop(ctx context.Context) error {
	if n.owner != nil {
		_ = n.owner.Close()
	}
	return Remove(ctx, n.name)
}

func (n *Node) hostname() string { return "scepter-" + n.name }

// launch makes the state directory and starts the keeper.
func (n *Node) launch(ctx context.Context, o Options) error {
	group := cgroup.Name(o.Name)
	held, err := claim(ctx, n.layout.dir, group)
	if err != nil {
		return fmt.Errorf("start cluster %s: %w", o.Name, err)
	}
	defer func() { _ = held.Close() }() // the keeper has it, too
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("API relay: %w", err)
	}
	defer func() { _ = listener.Close() }()
	if err := n.prepare(o, group, listener.Addr().String()); err != nil {
		return errors.Join(err, os.RemoveAll(n.layout.dir))
	}
	relay, err := listener.(*net.TCPListener).File()
	if err != nil {
		return fmt.Errorf("API relay: %w", err)
	}
	defer func() { _ = relay.Close() }()
	n.owner, err = startKeeper(n.layout, held, relay)
	return err
}

// prepare fills the state directory and makes the control group.
func (n *Node) prepare(o Options, group, relay string) error {
	if err := n.prepareFiles(o, group, relay); err != nil {
		return err
	}
	return cgroup.Create(group)
}

func (n *Node) prepareFiles(o Options, group, relay string) error {
	if err := n.layout.makeDirs(); err != nil {
		return err
	}
	if err := n.linkPrograms(o); err != nil {
		return err
	}
	pki, err := newPKI(n.hostname(), "https://"+relay, time.Now())
	if err != nil {
		return err
	}
	if err := pki.write(n.layout); err != nil {
		return err
	}
	snapshotter, err := snapshotterFor(n.layout.dir)
	if err != nil {
		return err
	}
	if err := writeConfigs(configValues{layout: n.layout, Cgroup: group, Snapshotter: snapshotter}); err != nil {
		return err
	}
	return n.agentConfig(o, group).Write()
}

func (n *Node) linkPrograms(o Options) error {
	links := map[string]string{"keeper": o.Keeper}
	maps.Copy(links, o.Tools)
	for name, program := range links {
		if err := os.Symlink(program, n.layout.program(name)); err != nil {
			return err
		}
	}
	return LinkComponents(o.Kube, n.layout.path("bin"))
}

func (n *Node) agentConfig(o Options, group string) agent.Config {
	c := agent.Config{
		Dir: n.layout.dir, Cgroup: group, API: IP + ":" + apiPort,
		Hostname: n.hostname(), Address: IP + nodePrefix, DNS: DNS,
	}
	if o.APIOnly {
		c.DNS = ""
	}
	return c
}

// boot starts the cluster's programs in their order.
func (n *Node) boot(ctx context.Context, o Options) error {
	steps := []struct {
		what    string
		do      func(context.Context, Options) error
		apiOnly bool
	}{
		{"namespaces", n.bootAgent, true},
		{"etcd and API server", n.bootAPI, true},
		{"container runtime", n.bootRuntime, false},
		{"node ready for pods", n.bootNode, false},
	}
	for _, step := range steps {
		if o.APIOnly && !step.apiOnly {
			continue
		}
		done := o.Progress.Step(step.what)
		err := step.do(ctx, o)
		done(err)
		if err != nil {
			return fmt.Errorf("start cluster %s: %w", n.name, err)
		}
	}
	return nil
}

func (n *Node) bootAgent(ctx context.Context, _ Options) error {
	return await(ctx, "the cluster's namespaces", agentLimit, func(ctx context.Context) error {
		_, err := n.agent.Programs(ctx)
		if err == nil {
			return nil
		}
		if up, _ := isUp(n.layout.dir); !up {
			return fmt.Errorf("the keeper ended; %w", errFatal)
		}
		return fmt.Errorf("%w; the keeper's log:\n%s", err, n.logTail("keeper"))
	})
}

func (n *Node) bootAPI(ctx context.Context, _ Options) error {
	if err := n.startPrograms(ctx, n.layout.apiPrograms()); err != nil {
		return err
	}
	if err := n.connect(); err != nil {
		return err
	}
	return await(ctx, "the API server", apiLimit, func(ctx context.Context) error {
		if err := n.healthy(ctx); err != nil {
			return err
		}
		return n.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

func (n *Node) bootRuntime(ctx context.Context, o Options) error {
	if err := n.startPrograms(ctx, append(n.layout.controlPrograms(), n.layout.runtimeProgram())); err != nil {
		return err
	}
	err := await(ctx, "containerd", nodeLimit, func(ctx context.Context) error {
		if err := n.healthy(ctx); err != nil {
			return err
		}
		out, err := n.ctr(ctx, "version").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return n.loadFirstImages(ctx, o)
}

func (n *Node) loadFirstImages(ctx context.Context, o Options) error {
	tarballs, err := o.Images(n.Scratch())
	if err != nil {
		return err
	}
	for _, tarball := range tarballs {
		if err := n.LoadImage(ctx, tarball); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) bootNode(ctx context.Context, _ Options) error {
	if err := n.startPrograms(ctx, n.layout.nodePrograms(n.hostname())); err != nil {
		return err
	}
	return await(ctx, "the node and the default service account", nodeLimit, func(ctx context.Context) error {
		if err := n.healthy(ctx); err != nil {
			return err
		}
		if err := n.nodeReady(ctx); err != nil {
			return err
		}
		// A pod cannot be made before it.
		_, err := n.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

func (n *Node) nodeReady(ctx context.Context) error {
	node, err := n.client.CoreV1().Nodes().Get(ctx, n.hostname(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return fmt.Errorf("the node is not ready: %s", c.Message)
		}
	}
	return nil
}

func (n *Node) startPrograms(ctx context.Context, programs []agent.Program) error {
	for _, p := range programs {
		if err := n.agent.Start(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) connect() error {
	config, err := n.RESTConfig()
	if err != nil {
		return err
	}
	n.client, err = kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return nil
}

func (n *Node) ctr(ctx context.Context, args ...string) *exec.Cmd {
	return n.Exec(ctx, append([]string{"ctr", "--address", containerd, "--namespace", "k8s.io"}, args...)...)
}
