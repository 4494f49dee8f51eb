package node

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/test/cluster/internal/progress"
	"github.com/scepter-pki/scepter/test/debian"
)

// ErrNotRoot is returned where a cluster is wanted by an ordinary user.
var ErrNotRoot = errors.New("a cluster needs root for its namespaces, mounts and control groups: run this with sudo -E")

// requiredFiles are files that a node uses, and Debian's packages with them.
var requiredFiles = map[string]string{
	"/usr/bin/containerd": "containerd",
	"/usr/sbin/runc":      "runc",
	"/usr/lib/cni/bridge": "containernetworking-plugins",
	"/usr/sbin/iptables":  "iptables",
	"/usr/sbin/nft":       "nftables",
	"/usr/sbin/conntrack": "conntrack",
	"/usr/sbin/ipset":     "ipset",
	"/usr/sbin/ethtool":   "ethtool",
	"/usr/bin/socat":      "socat",
	"/usr/bin/kmod":       "kmod",
}

// Preflight makes sure that this machine can run a cluster, and installs the
// Debian packages that it lacks.
func Preflight(ctx context.Context, report *progress.Reporter) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	missing := missingPackages(requiredFiles, isThere)
	if len(missing) == 0 {
		return nil
	}
	done := report.Step("install " + strings.Join(missing, " "))
	err := debian.Install(ctx, missing...)
	done(err)
	return err
}

// missingPackages are the packages of files that are not there, sorted.
func missingPackages(files map[string]string, isThere func(string) bool) []string {
	var missing []string
	for file, pkg := range files {
		if !isThere(file) {
			missing = append(missing, pkg)
		}
	}
	slices.Sort(missing)
	return missing
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
