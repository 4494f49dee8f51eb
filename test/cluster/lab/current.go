package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// ImageHook names the variable with the executable that makes an image known to
// a cluster that is not ours. It is called with two arguments, the tarball and
// the reference of the image in it, for example
//
//	#!/bin/sh
//	kind load image-archive "$1"
const ImageHook = "SCEPTER_IMAGE_HOOK"

var errNotOurs = errors.New("not possible with a cluster that is not ours (CLUSTER=current)")

// Current returns the cluster of kubectl's current context, for CLUSTER=current.
// kubectl and helm must be in the PATH. Its LoadImage calls the ImageHook.
func Current(ctx context.Context) (*Cluster, error) {
	c := &Cluster{place: elsewhere{}, kubectl: "kubectl", helm: "helm"}
	for _, program := range []string{c.kubectl, c.helm} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("CLUSTER=current needs %s in the PATH: %w", program, err)
		}
	}
	if _, err := c.Kubectl(ctx, "get", "--raw", "/readyz"); err != nil {
		return nil, fmt.Errorf("the current context's cluster does not answer: %w", err)
	}
	return c, nil
}

// elsewhere is a cluster that somebody else runs.
type elsewhere struct{}

// Dial implements place.
func (elsewhere) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// Exec implements place.
func (elsewhere) Exec(ctx context.Context, command ...string) *exec.Cmd {
	return exec.CommandContext(ctx, command[0], command[1:]...)
}

// LoadImage implements place.
func (elsewhere) LoadImage(ctx context.Context, archive string) error {
	hook := os.Getenv(ImageHook)
	if hook == "" {
		return fmt.Errorf("load %s: set %s to a program that loads or pushes an image (arguments: tarball, reference)", archive, ImageHook)
	}
	references, err := imageReferences(archive)
	if err != nil {
		return err
	}
	for _, reference := range references {
		out, err := exec.CommandContext(ctx, hook, archive, reference).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s %s %s: %w: %s", hook, archive, reference, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// Signal implements place.
func (elsewhere) Signal(context.Context, string, syscall.Signal) error { return errNotOurs }

// Restart implements place.
func (elsewhere) Restart(context.Context, string) error { return errNotOurs }

// SignalContainer implements place.
func (elsewhere) SignalContainer(context.Context, string, syscall.Signal) error { return errNotOurs }

// Logs implements place.
func (elsewhere) Logs(string) (io.ReadCloser, error) { return nil, errNotOurs }

// Down implements place: the cluster stays, it is not ours.
func (elsewhere) Down(context.Context) error { return nil }

// imageReferences are the names of the images in a tarball.
func imageReferences(archive string) ([]string, error) {
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive) })
	if err != nil {
		return nil, fmt.Errorf("images in %s: %w", archive, err)
	}
	var references []string
	for _, image := range manifest {
		references = append(references, image.RepoTags...)
	}
	return references, nil
}
