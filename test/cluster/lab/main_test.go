package lab_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/scepter-pki/scepter/test/cluster/build"
	"github.com/scepter-pki/scepter/test/cluster/image"
	"github.com/scepter-pki/scepter/test/cluster/lab"
)

// shared is the cluster that all tests of this package use.
var shared *lab.Cluster

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runWithCluster(m))
}

func runWithCluster(m *testing.M) int {
	// The first run on a machine builds everything, which takes its time.
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	var err error
	shared, err = lab.Up(ctx, lab.Options{Name: "labtest", With: []string{"cert-manager", "traefik"}, Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, "bring the tests' cluster up:", err)
		return 1
	}
	code := 1
	if err := prepare(ctx, shared); err != nil {
		fmt.Fprintln(os.Stderr, "prepare the tests' cluster:", err)
	} else {
		code = m.Run()
	}
	if err := shared.Down(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "take the tests' cluster down:", err)
		return 1
	}
	return code
}

// prepare installs the pods that tests talk to.
func prepare(ctx context.Context, c *lab.Cluster) error {
	if err := loadTestPod(ctx, c); err != nil {
		return err
	}
	for _, name := range []string{"web.yaml", "certificate.yaml"} {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			return err
		}
		if err := c.Apply(ctx, content); err != nil {
			return err
		}
	}
	_, err := c.Kubectl(ctx, "rollout", "status", "deployment/web", "--namespace=lab", "--timeout=60s")
	return err
}

func loadTestPod(ctx context.Context, c *lab.Cluster) (err error) {
	root, err := build.Root(ctx)
	if err != nil {
		return err
	}
	dir, err := build.DefaultDir()
	if err != nil {
		return err
	}
	cache := build.Cache{Dir: dir}
	program, err := cache.Own(ctx, root, "./test/cluster/internal/testpod")
	if err != nil {
		return err
	}
	made, err := image.Build(image.Options{Files: []image.File{{Path: "/testpod", Source: program}}})
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "labtest-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	tarball := filepath.Join(scratch, "testpod.tar")
	if err := image.Save(tarball, map[string]v1.Image{"scepter.local/testpod:test": made}); err != nil {
		return err
	}
	return c.LoadImage(ctx, tarball)
}
