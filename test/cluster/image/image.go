// Package image makes container images from static binaries: one layer, no base
// image, not root, the same bytes for the same content.
package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// NonRoot is the default user and group of an image.
const NonRoot = "65532:65532"

// File is a file of the image.
type File struct {
	// Path in the image, absolute.
	Path string
	// Source is the file on this machine whose content it has.
	Source string
	// Mode is its permission; 0 means 0555.
	Mode int64
}

// Options say what an image holds.
type Options struct {
	// Files of the image's only layer.
	Files []File
	// Entrypoint is the command; empty: the first file.
	Entrypoint []string
	// User is "uid:gid"; empty: NonRoot.
	User string
	// Env are variables, "NAME=value".
	Env []string
	// Architecture is a GOARCH; empty: this machine's.
	Architecture string
}

// Build makes an image.
func Build(o Options) (v1.Image, error) {
	if len(o.Files) == 0 {
		return nil, fmt.Errorf("image: no files")
	}
	content, err := layerTar(o.Files)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	// Images here go to a container runtime on the same disk: compression
	// would only cost time.
	layer, err := tarball.LayerFromOpener(open, tarball.WithCompression(compression.None))
	if err != nil {
		return nil, fmt.Errorf("image layer: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("image layer: %w", err)
	}
	return withConfig(image, o)
}

func withConfig(image v1.Image, o Options) (v1.Image, error) {
	file, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image config: %w", err)
	}
	file = file.DeepCopy()
	file.OS = "linux"
	file.Architecture = either(o.Architecture, runtime.GOARCH)
	file.Config.User = either(o.User, NonRoot)
	file.Config.Env = append([]string{"PATH=/"}, o.Env...)
	file.Config.Entrypoint = o.Entrypoint
	if len(o.Entrypoint) == 0 {
		file.Config.Entrypoint = []string{o.Files[0].Path}
	}
	image, err = mutate.ConfigFile(image, file)
	if err != nil {
		return nil, fmt.Errorf("image config: %w", err)
	}
	return image, nil
}

// Save writes images to a tarball that "ctr images import" and "docker load"
// understand. The keys are their references, such as scepter.local/ra:dev;
// layers in common are written once.
func Save(path string, images map[string]v1.Image) error {
	tagged := make(map[name.Tag]v1.Image, len(images))
	for reference, image := range images {
		tag, err := name.NewTag(reference, name.StrictValidation)
		if err != nil {
			return fmt.Errorf("image reference: %w", err)
		}
		tagged[tag] = image
	}
	if err := tarball.MultiWriteToFile(path, tagged); err != nil {
		return fmt.Errorf("write images to %s: %w", path, err)
	}
	return nil
}

// layerTar packs files and the directories above them. No time, owner or order
// of the source gets in.
func layerTar(files []File) ([]byte, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, dir := range directories(files) {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, Format: tar.FormatPAX}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("image layer: %w", err)
		}
	}
	sorted := slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range sorted {
		if err := addFile(w, f); err != nil {
			return nil, fmt.Errorf("image layer: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("image layer: %w", err)
	}
	return buffer.Bytes(), nil
}

func addFile(w *tar.Writer, f File) error {
	if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path {
		return fmt.Errorf("file %q: want a clean absolute path", f.Path)
	}
	content, err := os.ReadFile(f.Source)
	if err != nil {
		return err
	}
	mode := f.Mode
	if mode == 0 {
		mode = 0o555
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path[1:], Mode: mode, Size: int64(len(content)), Format: tar.FormatPAX}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// directories are the parents of all files, each after its own parent.
func directories(files []File) []string {
	seen := map[string]bool{}
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "/" && dir != "."; dir = path.Dir(dir) {
			seen[dir[1:]] = true
		}
	}
	dirs := make([]string, 0, len(seen))
	for dir := range seen {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return dirs
}

func either(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
