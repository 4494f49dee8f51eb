package main

import (
	"slices"
	"testing"
)

func TestSplitName(t *testing.T) {
	for _, c := range []struct {
		args []string
		name string
		rest []string
	}{
		{nil, "dev", nil},
		{[]string{"get", "pods"}, "dev", []string{"get", "pods"}},
		{[]string{"--name", "a", "get", "pods"}, "a", []string{"get", "pods"}},
		{[]string{"--name=a", "get", "--name=b"}, "a", []string{"get", "--name=b"}},
		{[]string{"--", "ls", "--", "x"}, "dev", []string{"ls", "--", "x"}},
		{[]string{"--name", "a", "--", "ls"}, "a", []string{"ls"}},
		{[]string{"--name"}, "dev", []string{"--name"}},
	} {
		name, rest := splitName("dev", c.args)
		if name != c.name || !slices.Equal(rest, c.rest) {
			t.Errorf("%q: %s %q, want %s %q", c.args, name, rest, c.name, c.rest)
		}
	}
}
