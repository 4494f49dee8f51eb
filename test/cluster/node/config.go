package node

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"text/template"

	"golang.org/x/sys/unix"
)

//go:embed config/*.tmpl
var configTemplates embed.FS

// configFiles are the components' configuration files: template and place.
var configFiles = map[string]string{
	"containerd.toml.tmpl": "config/containerd.toml",
	"cni.conflist.tmpl":    "cni/net.d/10-scepter.conflist",
	"kubelet.yaml.tmpl":    "config/kubelet.yaml",
	"kube-proxy.yaml.tmpl": "config/kube-proxy.yaml",
	"audit.yaml.tmpl":      "config/audit.yaml",
}

// configValues is what the templates can use.
type configValues struct {
	layout
	Cgroup      string
	Snapshotter string
}

// Path is a path in the state directory.
func (v configValues) Path(name string) string { return v.path(name) }

// Containerd is the path of containerd's socket.
func (configValues) Containerd() string { return containerd }

// PauseImage is the reference of the sandbox image.
func (configValues) PauseImage() string { return PauseImage }

// PodRange is the range of pods' addresses.
func (configValues) PodRange() string { return podRange }

// DNS is the name server's address.
func (configValues) DNS() string { return DNS }

// renderConfigs returns the content of each file by its place.
func renderConfigs(v configValues) (map[string][]byte, error) {
	templates, err := template.ParseFS(configTemplates, "config/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("component configuration: %w", err)
	}
	files := map[string][]byte{}
	for name, place := range configFiles {
		var content bytes.Buffer
		if err := templates.ExecuteTemplate(&content, name, v); err != nil {
			return nil, fmt.Errorf("component configuration: %w", err)
		}
		files[place] = content.Bytes()
	}
	return files, nil
}

func writeConfigs(v configValues) error {
	files, err := renderConfigs(v)
	if err != nil {
		return err
	}
	for place, content := range files {
		if err := os.WriteFile(v.path(place), content, 0o644); err != nil {
			return fmt.Errorf("component configuration: %w", err)
		}
	}
	return nil
}

// snapshotterFor avoids an overlay on an overlay, which the kernel refuses.
func snapshotterFor(dir string) (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "", fmt.Errorf("file system of %s: %w", dir, err)
	}
	if fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native", nil
	}
	return "overlayfs", nil
}
