package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// verify compares the generated files under root with what the steps make in a copy.
func verify(root string) error {
	fresh, err := os.MkdirTemp("", "scepter-generate-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := copyTree(root, fresh); err != nil {
		return err
	}
	if err := removeGenerated(fresh); err != nil {
		return err
	}
	if err := generate(fresh); err != nil {
		return err
	}
	return compare(root, fresh)
}

// compare prints a diff for each generated file that differs between two trees.
func compare(have, want string) error {
	before, err := readGenerated(have)
	if err != nil {
		return err
	}
	after, err := readGenerated(want)
	if err != nil {
		return err
	}
	stale := staleFiles(before, after)
	if len(stale) == 0 {
		return nil
	}
	for _, name := range stale {
		printDiff(have, want, name)
	}
	return fmt.Errorf("not up to date: %v\nrun \"make generate\" and commit the result", stale)
}

// staleFiles lists the names whose content differs, or which only one side has.
func staleFiles(before, after map[string][]byte) []string {
	var stale []string
	for name, content := range after {
		if old, ok := before[name]; !ok || !bytes.Equal(old, content) {
			stale = append(stale, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			stale = append(stale, name)
		}
	}
	slices.Sort(stale)
	return stale
}

// printDiff shows how a file changes; git is only the formatter here.
func printDiff(have, want, name string) {
	cmd := exec.Command("git", "diff", "--no-index", "--", existing(have, name), existing(want, name))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// git exits 1 when the files differ, which they do.
	_ = cmd.Run()
}

func existing(root, name string) string {
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return os.DevNull
	}
	return path
}

// readGenerated reads the generated files of a tree, by their names from the root.
func readGenerated(root string) (map[string][]byte, error) {
	names, err := listGenerated(root)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}

func removeGenerated(root string) error {
	names, err := listGenerated(root)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

func listGenerated(root string) ([]string, error) {
	names := map[string]struct{}{}
	for _, glob := range generated {
		matches, err := fs.Glob(os.DirFS(root), glob)
		if err != nil {
			return nil, fmt.Errorf("glob %q: %w", glob, err)
		}
		for _, match := range matches {
			names[match] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// skipped are directories that no generator reads.
var skipped = []string{".git", "bin", "dist"}

// copyTree copies the files under from into the empty directory to.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir() && slices.Contains(skipped, name):
			return filepath.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(to, name), content)
	})
}
