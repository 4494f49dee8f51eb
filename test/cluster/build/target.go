package build

import (
	"path/filepath"
	"strings"
)

const gib = 1 << 30

// Target is a program that is built from a Go module and cached by content.
type Target struct {
	// Name of the program and of its file.
	Name string
	// Dir holds the module's go.mod.
	Dir string
	// Package is the import path of the program, "." for the module's root.
	Package string
	// Tags are build tags.
	Tags []string
	// Symbols are string variables set by the linker: "path.name=value".
	Symbols []string
	// Memory that the build needs at its peak, in bytes.
	Memory int64
	// Cost is what a person is told before a first build.
	Cost string
}

// KubernetesVersion is the version of the cluster's Kubernetes. The kubelet of
// 1.37 wants containerd 2, which Debian 12 does not have.
const KubernetesVersion = "v1.36.3"

// CertManagerVersion is the version of cert-manager and of its Helm chart.
const CertManagerVersion = "v1.21.2"

// Targets are the programs of a cluster, by name, given the repository's root.
func Targets(root string) map[string]Target {
	module := func(name string) string { return filepath.Join(root, "test", "cluster", "build", "modules", name) }
	targets := []Target{
		{
			Name: "kube", Dir: module("kube"), Package: ".",
			Tags:    []string{"selinux", "notest", "grpcnotrace"},
			Symbols: kubernetesSymbols(), Memory: 4 * gib, Cost: "17 CPU minutes",
		},
		{
			Name: "certmanager", Dir: module("certmanager"), Package: ".",
			Symbols: []string{"github.com/cert-manager/cert-manager/pkg/util.AppVersion=" + CertManagerVersion},
			Memory:  2 * gib, Cost: "6 CPU minutes",
		},
		{Name: "coredns", Dir: module("coredns"), Package: "github.com/coredns/coredns", Memory: 2 * gib, Cost: "3 CPU minutes"},
		{Name: "helm", Dir: module("helm"), Package: "helm.sh/helm/v4/cmd/helm", Memory: 2 * gib, Cost: "4 CPU minutes"},
		{Name: "traefik", Dir: module("traefik"), Package: "github.com/traefik/traefik/v3/cmd/traefik", Memory: 2 * gib, Cost: "16 CPU minutes"},
	}
	byName := make(map[string]Target, len(targets))
	for _, t := range targets {
		byName[t.Name] = t
	}
	return byName
}

// kubernetesSymbols stamp the version, or clients would see an unknown server.
func kubernetesSymbols() []string {
	minor := strings.Split(KubernetesVersion, ".")[1]
	var symbols []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		symbols = append(symbols,
			pkg+".gitVersion="+KubernetesVersion,
			pkg+".gitMajor=1",
			pkg+".gitMinor="+minor,
			pkg+".gitCommit=unknown",
			pkg+".gitTreeState=clean",
			pkg+".buildDate=2026-01-01T00:00:00Z",
		)
	}
	return symbols
}

// flags are the arguments of "go build" but for -o and the package.
func (t Target) flags() []string {
	linker := []string{"-s", "-w"}
	for _, symbol := range t.Symbols {
		linker = append(linker, "-X", symbol)
	}
	flags := []string{"-trimpath", "-ldflags", strings.Join(linker, " ")}
	if len(t.Tags) > 0 {
		flags = append(flags, "-tags", strings.Join(t.Tags, ","))
	}
	return flags
}
