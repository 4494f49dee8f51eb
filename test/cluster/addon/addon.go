// Package addon installs what a cluster needs next to Kubernetes itself:
// CoreDNS, cert-manager, the Gateway API and Traefik, in pods with their own
// RBAC and from images made of our builds.
package addon

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/scepter-pki/scepter/test/cluster/image"
	"github.com/scepter-pki/scepter/test/cluster/node"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// readyLimit is what "kubectl rollout status" waits for a Deployment; it takes
// a tenth of that.
const readyLimit = "120s"

// Cluster is what an addon needs of a cluster.
type Cluster interface {
	// Apply applies manifests by server-side apply.
	Apply(ctx context.Context, manifests []byte) error
	// DryRun asks the API server whether it would admit manifests.
	DryRun(ctx context.Context, manifests []byte) error
	// Kubectl runs kubectl and returns what it printed.
	Kubectl(ctx context.Context, args ...string) (string, error)
	// Helm runs helm and returns what it printed.
	Helm(ctx context.Context, args ...string) (string, error)
	// LoadImage gives the nodes the images in a tarball.
	LoadImage(ctx context.Context, tarball string) error
}

// Env is where an addon is installed and from what.
type Env struct {
	Cluster Cluster
	// Programs are the built programs' paths by name.
	Programs map[string]string
	// Root is the repository's directory.
	Root string
	// Scratch is a directory for temporary files.
	Scratch string
}

// Addon is one of the things that can be installed.
type Addon struct {
	// Name with which it is asked for.
	Name string
	// Programs that it is made of (package build).
	Programs []string
	// Needs are addons that must be installed before it.
	Needs []string
	// install returns when the API server has everything.
	install func(context.Context, Env) error
	// deployments to wait for, "namespace/name".
	deployments []string
	// serving returns when it works, after its deployments are available;
	// nil: nothing more to wait for.
	serving func(context.Context, Env) error
}

// all are the addons by name.
var all = map[string]Addon{
	"coredns":      {Name: "coredns", Programs: []string{"coredns"}, install: installCoreDNS, deployments: []string{"kube-system/coredns"}},
	"cert-manager": certManager,
	"gateway-api":  {Name: "gateway-api", install: installGatewayAPI},
	"traefik": {
		Name: "traefik", Programs: []string{"traefik"}, Needs: []string{"gateway-api"},
		install: installTraefik, deployments: []string{"traefik/traefik"},
	},
}

// Find returns the addons called names and those that they need, each after
// what it needs and once.
func Find(names ...string) ([]Addon, error) {
	var found []Addon
	for _, name := range names {
		a, ok := all[name]
		if !ok {
			known := slices.Sorted(maps.Keys(all))
			return nil, fmt.Errorf("no addon %q; there are: %s", name, strings.Join(known, ", "))
		}
		needed, err := Find(a.Needs...)
		if err != nil {
			return nil, err
		}
		for _, a := range append(needed, a) {
			if !slices.ContainsFunc(found, func(b Addon) bool { return a.Name == b.Name }) {
				found = append(found, a)
			}
		}
	}
	return found, nil
}

// Install gives the API server all objects of the addon and the node its images.
func (a Addon) Install(ctx context.Context, env Env) error {
	if err := a.install(ctx, env); err != nil {
		return fmt.Errorf("install %s: %w", a.Name, err)
	}
	return nil
}

// Await returns when the addon works.
func (a Addon) Await(ctx context.Context, env Env) error {
	for _, deployment := range a.deployments {
		namespace, name, _ := strings.Cut(deployment, "/")
		_, err := env.Cluster.Kubectl(ctx, "rollout", "status", "deployment/"+name, "--namespace="+namespace, "--timeout="+readyLimit)
		if err != nil {
			return fmt.Errorf("wait for %s: %w", a.Name, err)
		}
	}
	if a.serving == nil {
		return nil
	}
	if err := a.serving(ctx, env); err != nil {
		return fmt.Errorf("wait for %s: %w", a.Name, err)
	}
	return nil
}

// reference is the name of an image of ours.
func reference(name string) string { return "scepter.local/" + name + ":test" }

// loadProgram makes an image of one program and gives it to the node. commands
// are its images' names and the arguments of their entry points.
func loadProgram(ctx context.Context, env Env, program string, commands map[string][]string) error {
	images := map[string]v1.Image{}
	for name, args := range commands {
		made, err := image.Build(image.Options{
			Files:      []image.File{{Path: "/" + program, Source: env.Programs[program]}},
			Entrypoint: append([]string{"/" + program}, args...),
		})
		if err != nil {
			return err
		}
		images[reference(name)] = made
	}
	tarball := filepath.Join(env.Scratch, program+".tar")
	defer func() { _ = os.Remove(tarball) }() // large, and the node has it now
	if err := image.Save(tarball, images); err != nil {
		return err
	}
	return env.Cluster.LoadImage(ctx, tarball)
}

// applyManifest applies one of the embedded manifests. In it, {{.Image}},
// {{.NodeIP}} and {{.DNS}} can be used.
func applyManifest(ctx context.Context, env Env, name, imageReference string) error {
	parsed, err := template.ParseFS(manifests, "manifests/"+name)
	if err != nil {
		return err
	}
	var content bytes.Buffer
	values := map[string]string{"Image": imageReference, "NodeIP": node.IP, "DNS": node.DNS}
	if err := parsed.Execute(&content, values); err != nil {
		return err
	}
	return env.Cluster.Apply(ctx, content.Bytes())
}
