package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// nodeBridge carries the node's address. Not every kernel has dummy
// interfaces, while pods need bridges anyway.
const nodeBridge = "node0"

// machineSysctls are what the kubelet and kube-proxy set for the whole machine.
// They get files to write to instead, with the values that the kubelet wants.
var machineSysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// Setup furnishes the namespaces of the calling process. They must be new ones.
func Setup(c Config) error {
	steps := []struct {
		what string
		do   func(Config) error
	}{
		{"hostname", func(c Config) error { return unix.Sethostname([]byte(c.Hostname)) }},
		{"mounts", setupMounts},
		{"sysctls", setupSysctls},
		{"resolv.conf", setupResolver},
		{"network", setupNetwork},
	}
	for _, step := range steps {
		if err := step.do(c); err != nil {
			return fmt.Errorf("set up %s: %w", step.what, err)
		}
	}
	return nil
}

type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

// setupMounts gives the cluster a /run, /var/lib and /var/log of its own, so
// that nothing of it shows up on the machine.
func setupMounts(c Config) error {
	logs := filepath.Join(c.Dir, "varlog")
	upper, work := "/run/varlib/upper", "/run/varlib/work"
	before := []mount{
		{target: "/", flags: unix.MS_REC | unix.MS_PRIVATE},
		{target: "/", flags: unix.MS_REC | unix.MS_SHARED}, // between pods and node
		{source: "proc", target: "/proc", kind: "proc"},
		{source: "tmpfs", target: "/run", kind: "tmpfs", data: "mode=755"},
	}
	after := []mount{
		{source: "overlay", target: "/var/lib", kind: "overlay", data: "lowerdir=/var/lib,upperdir=" + upper + ",workdir=" + work},
		{source: logs, target: "/var/log", flags: unix.MS_BIND},
	}
	if err := mountAll(before); err != nil {
		return err
	}
	if err := makeDirs(logs, upper, work, "/run/netns", "/run/lock"); err != nil {
		return err
	}
	return mountAll(after)
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return nil
}

func makeDirs(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func setupSysctls(c Config) error {
	dir := filepath.Join(c.Dir, "sysctl")
	if err := makeDirs(dir); err != nil {
		return err
	}
	for name, value := range machineSysctls {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); errors.Is(err, os.ErrNotExist) {
			continue // not in this kernel
		}
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := mountAll([]mount{{source: file, target: target, flags: unix.MS_BIND}}); err != nil {
			return err
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

// setupResolver makes the cluster's name server everybody's, so that clients on
// the node know the names of Services.
func setupResolver(c Config) error {
	if c.DNS == "" {
		return nil
	}
	file := filepath.Join(c.Dir, "resolv.conf")
	content := "nameserver " + c.DNS + "\nsearch svc.cluster.local cluster.local\noptions ndots:5\n"
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		return err
	}
	target, err := resolverTarget("/etc/resolv.conf")
	if err != nil {
		return err
	}
	return mountAll([]mount{{source: file, target: target, flags: unix.MS_BIND}})
}

// resolverTarget follows a link into /run, which is empty by now, and makes
// the file there.
func resolverTarget(path string) (string, error) {
	link, err := os.Readlink(path)
	if errors.Is(err, unix.EINVAL) {
		return path, nil // a plain file
	}
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(link) {
		link = filepath.Join(filepath.Dir(path), link)
	}
	if _, err := os.Stat(link); err == nil {
		return link, nil
	}
	if err := makeDirs(filepath.Dir(link)); err != nil {
		return "", err
	}
	return link, os.WriteFile(link, nil, 0o644)
}

func setupNetwork(c Config) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return err
	}
	address, err := netlink.ParseAddr(c.Address)
	if err != nil {
		return err
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: nodeBridge}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return err
	}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return err
	}
	_, everywhere, err := net.ParseCIDR("0.0.0.0/0")
	if err != nil {
		return err
	}
	// Service addresses need some route before kube-proxy's rules see them.
	return netlink.RouteAdd(&netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: everywhere, Scope: netlink.SCOPE_LINK})
}
