package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/scepter-pki/scepter/test/cluster/image"
)

// Programs that go into images.
const (
	operator = "operator"
	ra       = "ra"
)

var programs = []string{operator, ra}

const tag = "dev"

func repository(program string) string { return "scepter.local/scepter-" + program }

// load builds a program, makes an image of it, and brings that into the cluster.
func (r *Rig) load(ctx context.Context, program string) error {
	return r.loadBuild(ctx, program, "", tag)
}

// LoadServer brings servers into the cluster that are built with a build tag, such as
// clockahead, and returns their image.
func (r *Rig) LoadServer(ctx context.Context, buildTag string) (string, error) {
	return repository(ra) + ":" + buildTag, r.loadBuild(ctx, ra, buildTag, buildTag)
}

func (r *Rig) loadBuild(ctx context.Context, program, buildTag, imageTag string) error {
	binary := filepath.Join(r.Dir, program+buildTag)
	if err := r.build(ctx, binary, "./cmd/"+program, buildTag); err != nil {
		return err
	}
	made, err := image.Build(image.Options{Files: []image.File{{Path: "/" + program, Source: binary}}})
	if err != nil {
		return fmt.Errorf("make the image of %s: %w", program, err)
	}
	tarball := binary + ".tar"
	if err := image.Save(tarball, map[string]v1.Image{repository(program) + ":" + imageTag: made}); err != nil {
		return fmt.Errorf("make the image of %s: %w", program, err)
	}
	if err := r.Cluster.LoadImage(ctx, tarball); err != nil {
		return fmt.Errorf("load the image of %s: %w", program, err)
	}
	return nil
}

// Program builds one of cmd's programs that runs beside the cluster, and returns its path.
func (r *Rig) Program(ctx context.Context, name string) (string, error) {
	binary := filepath.Join(r.Dir, name)
	return binary, r.build(ctx, binary, "./cmd/"+name, "")
}

// build compiles a static program the way the Dockerfile does, but for a build tag.
func (r *Rig) build(ctx context.Context, to, pkg, buildTag string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-tags", buildTag, "-o", to, pkg)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := r.run(cmd); err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	return nil
}
