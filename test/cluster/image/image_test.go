package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// source writes a file with the given content, mode and age.
func source(t *testing.T, content string, mode os.FileMode, age time.Duration) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-age)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
	return path
}

func digest(t *testing.T, o Options) v1.Hash {
	t.Helper()
	image, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestSameContentSameImage(t *testing.T) {
	a := Options{Files: []File{
		{Path: "/ra", Source: source(t, "ra", 0o755, 0)},
		{Path: "/etc/ssl/ca.pem", Source: source(t, "ca", 0o600, time.Hour), Mode: 0o444},
	}, Entrypoint: []string{"/ra"}}
	b := Options{Files: []File{
		{Path: "/etc/ssl/ca.pem", Source: source(t, "ca", 0o644, time.Minute), Mode: 0o444},
		{Path: "/ra", Source: source(t, "ra", 0o700, 24*time.Hour)},
	}, Entrypoint: []string{"/ra"}}
	if digest(t, a) != digest(t, b) {
		t.Error("age, mode or order of the sources got into the image")
	}
	b.Files[1].Source = source(t, "another", 0o755, 0)
	if digest(t, a) == digest(t, b) {
		t.Error("another content does not make another image")
	}
}

func TestImageHoldsFilesForAnOrdinaryUser(t *testing.T) {
	image, err := Build(Options{Files: []File{{Path: "/usr/bin/ra", Source: source(t, "program", 0o600, 0)}}, Env: []string{"A=b"}})
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	const reference = "scepter.local/ra:test"
	if err := Save(archive, map[string]v1.Image{reference: image}); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tarball.ImageFromPath(archive, &tag)
	if err != nil {
		t.Fatal(err)
	}
	file, err := loaded.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config := file.Config
	if config.User != NonRoot || file.OS != "linux" || !slices.Equal(config.Entrypoint, []string{"/usr/bin/ra"}) || !slices.Contains(config.Env, "A=b") {
		t.Errorf("configuration %+v of %s", config, file.OS)
	}
	want := []string{"drwxr-xr-x usr/", "drwxr-xr-x usr/bin/", "-r-xr-xr-x usr/bin/ra program"}
	if got := entries(t, loaded); !slices.Equal(got, want) {
		t.Errorf("the layer holds %q, want %q", got, want)
	}
}

// entries describes what is in an image's only layer.
func entries(t *testing.T, image v1.Image) []string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = content.Close() }()
	var list []string
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.ModTime.Unix() > 0 {
			t.Errorf("%s has the owner %d and the time %s", header.Name, header.Uid, header.ModTime)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		line := header.FileInfo().Mode().String() + " " + header.Name + " " + string(body)
		list = append(list, string(bytes.TrimSpace([]byte(line))))
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	good := source(t, "x", 0o644, 0)
	for what, files := range map[string][]File{
		"no files":         nil,
		"relative path":    {{Path: "ra", Source: good}},
		"path with dots":   {{Path: "/a/../b", Source: good}},
		"no such source":   {{Path: "/ra", Source: good + ".absent"}},
		"directory's name": {{Path: "/ra/", Source: good}},
	} {
		if _, err := Build(Options{Files: files}); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	image, err := Build(Options{Files: []File{{Path: "/ra", Source: good}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Save(filepath.Join(t.TempDir(), "x.tar"), map[string]v1.Image{"No Reference": image}); err == nil {
		t.Error("a bad reference: no error")
	}
}
