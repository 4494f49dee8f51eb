package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/scepter-pki/scepter/test/cluster/addon"
	"github.com/scepter-pki/scepter/test/cluster/build"
	"github.com/scepter-pki/scepter/test/cluster/image"
	"github.com/scepter-pki/scepter/test/cluster/internal/progress"
	"github.com/scepter-pki/scepter/test/cluster/node"
)

// kit is what a cluster is made of.
type kit struct {
	root     string
	programs map[string]string
}

// ownPrograms are this repository's programs that a cluster needs.
var ownPrograms = []string{"./test/cluster/node/keeper", "./test/cluster/node/pause"}

// targetsFor names the programs from modules that a cluster is made of.
func targetsFor(apiOnly bool, addons []addon.Addon) []string {
	if apiOnly {
		return []string{"kube"}
	}
	names := []string{"kube", "helm"}
	for _, a := range addons {
		names = append(names, a.Programs...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// assemble builds what is not built yet.
func assemble(ctx context.Context, report *progress.Reporter, targets []string) (*kit, error) {
	cache, root, err := openCache(ctx, report)
	if err != nil {
		return nil, err
	}
	programs, err := buildTargets(ctx, cache, root, targets)
	if err != nil {
		return nil, err
	}
	for _, pkg := range ownPrograms {
		program, err := cache.Own(ctx, root, pkg)
		if err != nil {
			return nil, err
		}
		programs[filepath.Base(pkg)] = program
	}
	return &kit{root: root, programs: programs}, nil
}

func openCache(ctx context.Context, report *progress.Reporter) (*build.Cache, string, error) {
	root, err := build.Root(ctx)
	if err != nil {
		return nil, "", err
	}
	dir, err := build.DefaultDir()
	if err != nil {
		return nil, "", err
	}
	return &build.Cache{Dir: dir, Log: report.Line}, root, nil
}

func buildTargets(ctx context.Context, cache *build.Cache, root string, names []string) (map[string]string, error) {
	known := build.Targets(root)
	var targets []build.Target
	for _, name := range names {
		target, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("no program %q to build", name)
		}
		targets = append(targets, target)
	}
	return cache.BuildAll(ctx, targets...)
}

// start starts a cluster without addons.
func (k *kit) start(ctx context.Context, o Options, report *progress.Reporter) (*node.Node, error) {
	options := node.Options{
		Name: o.Name, APIOnly: o.APIOnly, Progress: report,
		Kube: k.programs["kube"], Keeper: k.programs["keeper"], Tools: map[string]string{}, Images: k.pauseImage,
	}
	if helm, ok := k.programs["helm"]; ok {
		options.Tools["helm"] = helm
	}
	return node.Start(ctx, options)
}

// pauseImage writes the image of a pod's sandbox to a tarball in dir.
func (k *kit) pauseImage(dir string) ([]string, error) {
	made, err := image.Build(image.Options{Files: []image.File{{Path: "/pause", Source: k.programs["pause"]}}})
	if err != nil {
		return nil, err
	}
	tarball := filepath.Join(dir, "pause.tar")
	return []string{tarball}, image.Save(tarball, map[string]v1.Image{node.PauseImage: made})
}

// install installs addons one after the other and then waits for all of them.
func (k *kit) install(ctx context.Context, c *Cluster, scratch string, addons []addon.Addon, report *progress.Reporter) error {
	env := addon.Env{Cluster: c, Programs: k.programs, Root: k.root, Scratch: scratch}
	for _, step := range []struct {
		verb string
		do   func(addon.Addon, context.Context, addon.Env) error
	}{
		{"install ", addon.Addon.Install},
		{"wait for ", addon.Addon.Await},
	} {
		for _, a := range addons {
			done := report.Step(step.verb + a.Name)
			err := step.do(a, ctx, env)
			done(err)
			if err != nil {
				return err
			}
		}
	}
	return nil
}
