package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/scepter-pki/scepter/test/cluster/image"
)

func TestForeignClusterGetsImagesByTheHook(t *testing.T) {
	dir := t.TempDir()
	program, archive := filepath.Join(dir, "program"), filepath.Join(dir, "image.tar")
	writeFile(t, program, "x")
	made, err := image.Build(image.Options{Files: []image.File{{Path: "/program", Source: program}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := image.Save(archive, map[string]v1.Image{"scepter.local/a:1": made, "scepter.local/b:1": made}); err != nil {
		t.Fatal(err)
	}
	calls, hook := filepath.Join(dir, "calls"), filepath.Join(dir, "hook")
	writeFile(t, hook, "#!/bin/sh\necho \"$@\" >> "+calls+"\n")

	t.Setenv(ImageHook, hook)
	if err := (elsewhere{}).LoadImage(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, reference := range []string{"scepter.local/a:1", "scepter.local/b:1"} {
		if !strings.Contains(string(got), archive+" "+reference+"\n") {
			t.Errorf("the hook was not called for %s: %s", reference, got)
		}
	}
}

func TestHookFailures(t *testing.T) {
	dir := t.TempDir()
	program, archive, hook := filepath.Join(dir, "program"), filepath.Join(dir, "image.tar"), filepath.Join(dir, "hook")
	writeFile(t, program, "x")
	made, err := image.Build(image.Options{Files: []image.File{{Path: "/program", Source: program}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := image.Save(archive, map[string]v1.Image{"scepter.local/a:1": made}); err != nil {
		t.Fatal(err)
	}
	writeFile(t, hook, "#!/bin/sh\necho no space >&2\nexit 1\n")
	for _, c := range []struct{ what, hook, archive, want string }{
		{"no hook", "", archive, ImageHook},
		{"a hook that fails", hook, archive, "no space"},
		{"no image", hook, program, "images in"},
	} {
		t.Setenv(ImageHook, c.hook)
		err := (elsewhere{}).LoadImage(t.Context(), c.archive)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", c.what, err, c.want)
		}
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}
