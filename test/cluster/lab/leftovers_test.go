package lab_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/test/cluster/lab"
	"github.com/scepter-pki/scepter/test/cluster/node/cgroup"
)

// machine is what a cluster could leave traces in.
type machine struct {
	mounts     []string
	interfaces []string
}

// snapshot looks at the machine while the cluster called name is not up. An
// interrupted run of the tests may have left something.
func snapshot(t *testing.T, name string) machine {
	t.Helper()
	if err := lab.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	m := look(t)
	if err := leftovers(t, name, m); err != nil {
		t.Fatalf("there are traces of %s before it was up: %v", name, err)
	}
	return m
}

func look(t *testing.T) machine {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	m := machine{mounts: strings.Split(string(mounts), "\n")}
	for _, link := range links {
		m.interfaces = append(m.interfaces, link.Name)
	}
	return m
}

func assertNothingLeft(t *testing.T, name string, before machine) {
	t.Helper()
	if err := leftovers(t, name, before); err != nil {
		t.Error(err)
	}
}

// leftovers names what a cluster left: processes, control groups, files, mounts
// and interfaces.
func leftovers(t *testing.T, name string, before machine) error {
	t.Helper()
	dir := clusterDir(t, name)
	groups, err := cgroup.Existing(cgroup.Name(name))
	if err != nil {
		t.Fatal(err)
	}
	now := look(t)
	var found []error
	for what, things := range map[string][]string{
		"processes":      processesMentioning(t, dir),
		"control groups": groups,
		"mounts":         added(before.mounts, now.mounts),
		"interfaces":     added(before.interfaces, now.interfaces),
		"files":          existing(dir),
	} {
		if len(things) > 0 {
			found = append(found, fmt.Errorf("%s are left: %q", what, things))
		}
	}
	return errors.Join(found...)
}

func added(before, now []string) []string {
	return slices.DeleteFunc(slices.Clone(now), func(s string) bool { return slices.Contains(before, s) })
}

func existing(path string) []string {
	if _, err := os.Lstat(path); err != nil {
		return nil
	}
	return []string{path}
}

// processesMentioning lists processes with dir in their command line.
func processesMentioning(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		line := string(bytes.ReplaceAll(content, []byte{0}, []byte{' '}))
		if strings.Contains(line+"/", dir+"/") || strings.Contains(line, dir+" ") {
			found = append(found, line)
		}
	}
	return found
}
