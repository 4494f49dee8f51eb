// Package cgroup makes and removes a cluster's own control groups, in version 1
// (a tree for each controller) as well as in version 2 (one tree).
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const root = "/sys/fs/cgroup"

// Name is the control group of a cluster, an absolute path in each tree.
func Name(cluster string) string { return "/scepter-" + cluster }

// Create makes the group in every tree.
func Create(name string) error {
	trees, err := trees()
	if err != nil {
		return err
	}
	for _, tree := range trees {
		if err := create(tree, name); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
	}
	return nil
}

// Add moves a process into the group, into a leaf of its own: version 2 allows
// processes in leaves only. Its children will be there, too.
func Add(name string, pid int) error {
	dirs, err := Existing(name)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		leaf := filepath.Join(dir, "cluster")
		if err := os.MkdirAll(leaf, 0o755); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
		if err := copyCpuset(dir, leaf); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
	}
	return nil
}

// Existing lists the directories in which the group is there.
func Existing(name string) ([]string, error) {
	trees, err := trees()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, tree := range trees {
		dir := filepath.Join(tree, name)
		if _, err := os.Stat(dir); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// Remove removes the group and all groups in it. Their processes may still be
// ending, so it tries until ctx ends.
func Remove(ctx context.Context, name string) error {
	for {
		err := remove(name)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove control group %s: %w", name, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func remove(name string) error {
	dirs, err := Existing(name)
	if err != nil {
		return err
	}
	var failures []error
	for _, dir := range dirs {
		failures = append(failures, removeTree(dir))
	}
	return errors.Join(failures...)
}

// removeTree removes dir and its children, innermost first. The files in a
// control group are no obstacle and cannot be removed.
func removeTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(dirs) {
		if err := os.Remove(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// trees are the places where control groups are mounted.
func trees() ([]string, error) {
	if isUnified() {
		return []string{root}, nil
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("control groups: %w", err)
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() { // names such as cpu,cpuacct may be symbolic links to one tree
			dirs = append(dirs, filepath.Join(root, e.Name()))
		}
	}
	return dirs, nil
}

func isUnified() bool {
	_, err := os.Stat(filepath.Join(root, "cgroup.controllers"))
	return err == nil
}

func create(tree, name string) error {
	dir := filepath.Join(tree, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if isUnified() {
		return enableControllers(tree, dir)
	}
	return copyCpuset(tree, dir)
}

// copyCpuset gives a version 1 cpuset group its parent's processors and memory
// nodes: it begins with none, and nothing could run in it.
func copyCpuset(parent, dir string) error {
	if isUnified() { // there, children begin with their parent's
		return nil
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// enableControllers passes the tree's controllers on to dir and its children.
func enableControllers(tree, dir string) error {
	names, err := os.ReadFile(filepath.Join(tree, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, parent := range []string{tree, dir} {
		for _, controller := range strings.Fields(string(names)) {
			// Some cannot be delegated; the kubelet says which one it misses.
			_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
		}
	}
	return nil
}
