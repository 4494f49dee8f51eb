package lab

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/scepter-pki/scepter/test/cluster/addon"
	"github.com/scepter-pki/scepter/test/cluster/internal/progress"
	"github.com/scepter-pki/scepter/test/cluster/node"
)

// Options say what cluster is wanted.
type Options struct {
	// Name of the cluster; clusters of different names run side by side.
	Name string
	// APIOnly starts etcd and the API server only.
	APIOnly bool
	// With lists addons: "cert-manager", "traefik", "gateway-api". A cluster
	// with a node always has CoreDNS.
	With []string
	// Detach lets the cluster live on when this process ends. Without it the
	// cluster dies with this process, even if that is killed.
	Detach bool
	// Log is told about progress; nil: nobody is.
	Log io.Writer
}

// Up builds what is not built yet, starts a cluster and returns when its addons
// work. If it fails, nothing is left.
func Up(ctx context.Context, o Options) (*Cluster, error) {
	report := progress.New(o.Log)
	addons, err := o.addons()
	if err != nil {
		return nil, err
	}
	// Know what is missing before a long build, not after it.
	if err := node.Preflight(ctx, report); err != nil {
		return nil, err
	}
	kit, err := assemble(ctx, report, targetsFor(o.APIOnly, addons))
	if err != nil {
		return nil, err
	}
	n, err := kit.start(ctx, o, report)
	if err != nil {
		return nil, err
	}
	c := newLocal(n)
	err = kit.install(ctx, c, n.Scratch(), addons, report)
	if err == nil && o.Detach {
		err = n.Release()
	}
	if err != nil {
		return nil, errors.Join(err, c.Down(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// Ensure is Up, but if a cluster of that name is up, it adds the addons to it.
func Ensure(ctx context.Context, o Options) (*Cluster, error) {
	n, err := node.Attach(o.Name)
	if errors.Is(err, node.ErrDown) {
		return Up(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	c := newLocal(n)
	if len(o.With) == 0 {
		return c, nil
	}
	addons, err := o.addons()
	if err != nil {
		return nil, err
	}
	report := progress.New(o.Log)
	kit, err := assemble(ctx, report, targetsFor(o.APIOnly, addons))
	if err != nil {
		return nil, err
	}
	return c, kit.install(ctx, c, n.Scratch(), addons, report)
}

// Attach returns the cluster called name, which must be up.
func Attach(name string) (*Cluster, error) {
	n, err := node.Attach(name)
	if err != nil {
		return nil, err
	}
	return newLocal(n), nil
}

// Remove takes the cluster called name down, or removes what a crash left of it.
func Remove(ctx context.Context, name string) error { return node.Remove(ctx, name) }

func newLocal(n *node.Node) *Cluster {
	return &Cluster{place: local{n}, kubeconfig: n.Kubeconfig(), kubectl: n.Program("kubectl"), helm: n.Program("helm")}
}

func (o Options) addons() ([]addon.Addon, error) {
	if o.APIOnly {
		if len(o.With) > 0 {
			return nil, fmt.Errorf("addons run in pods, and a cluster with an API only has none")
		}
		return nil, nil
	}
	return addon.Find(append([]string{"coredns"}, o.With...)...)
}
