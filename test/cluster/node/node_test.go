package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

func TestPKI(t *testing.T) {
	now := time.Now()
	files, err := newPKI("scepter-test", "https://127.0.0.1:1234", now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, ca, name string
		usage          x509.ExtKeyUsage
	}{
		{"apiserver", "ca", "kubernetes.default.svc", x509.ExtKeyUsageServerAuth},
		{"apiserver", "ca", kubernetesIP, x509.ExtKeyUsageServerAuth},
		{"apiserver", "ca", "127.0.0.1", x509.ExtKeyUsageServerAuth},
		{"kubelet-server", "ca", IP, x509.ExtKeyUsageServerAuth},
		{"apiserver-kubelet-client", "ca", "", x509.ExtKeyUsageClientAuth},
		{"front-proxy-client", "front-proxy-ca", "", x509.ExtKeyUsageClientAuth},
	} {
		pair, err := tls.X509KeyPair(files[c.file+".crt"], files[c.file+".key"])
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(files[c.ca+".crt"])
		_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: c.name, KeyUsages: []x509.ExtKeyUsage{c.usage}, CurrentTime: now})
		if err != nil {
			t.Errorf("%s for %q: %v", c.file, c.name, err)
		}
	}
	serials := map[string]string{}
	for name := range files {
		if pair, err := tls.X509KeyPair(files[name], files[strings.TrimSuffix(name, "crt")+"key"]); err == nil {
			serial := pair.Leaf.SerialNumber.String()
			if other, ok := serials[serial]; ok {
				t.Errorf("%s and %s have the same serial number", name, other)
			}
			serials[serial] = name
		}
	}
}

func TestKubeconfigsNameTheirServerAndUser(t *testing.T) {
	files, err := newPKI("scepter-test", "https://127.0.0.1:1234", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ server, user string }{
		"admin.kubeconfig":   {apiInside, "admin"},
		"outside.kubeconfig": {"https://127.0.0.1:1234", "admin"},
		"kubelet.kubeconfig": {apiInside, "system:node:scepter-test"},
		"proxy.kubeconfig":   {apiInside, "system:kube-proxy"},
	} {
		config, err := clientcmd.RESTConfigFromKubeConfig(files[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		pair, err := tls.X509KeyPair(config.CertData, config.KeyData)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if config.Host != want.server || pair.Leaf.Subject.CommonName != want.user {
			t.Errorf("%s: %s at %s, want %+v", name, pair.Leaf.Subject.CommonName, config.Host, want)
		}
	}
}

func TestPKIFilesAreForRootOnly(t *testing.T) {
	l := layout{t.TempDir()}
	if err := l.makeDirs(); err != nil {
		t.Fatal(err)
	}
	if err := (pkiFiles{"ca.key": []byte("secret")}).write(l); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(l.pki("ca.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestConfigs(t *testing.T) {
	files, err := renderConfigs(configValues{layout: layout{"/state"}, Cgroup: "/group", Snapshotter: "native"})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(configFiles) {
		t.Errorf("%d files, want %d", len(files), len(configFiles))
	}
	for place, content := range files {
		if strings.Contains(string(content), "<no value>") {
			t.Errorf("%s has a value missing:\n%s", place, content)
		}
	}
	var kubelet, proxy, cni map[string]any
	for place, into := range map[string]*map[string]any{"config/kubelet.yaml": &kubelet, "config/kube-proxy.yaml": &proxy} {
		if err := yaml.UnmarshalStrict(files[place], into); err != nil {
			t.Errorf("%s: %v", place, err)
		}
	}
	if err := json.Unmarshal(files["cni/net.d/10-scepter.conflist"], &cni); err != nil {
		t.Error(err)
	}
	if kubelet["cgroupRoot"] != "/group" || kubelet["podLogsDir"] != "/state/podlogs" || proxy["clusterCIDR"] != podRange || cni["name"] != "scepter" {
		t.Errorf("kubelet %v\nkube-proxy %v\ncni %v", kubelet, proxy, cni)
	}
	if containerd := string(files["config/containerd.toml"]); !strings.Contains(containerd, `snapshotter = "native"`) {
		t.Errorf("containerd:\n%s", containerd)
	}
}

// TestProgramsNameFilesThatExist compares the flags with what a start writes.
func TestProgramsNameFilesThatExist(t *testing.T) {
	l := layout{t.TempDir()}
	n := newNode("test", l.dir)
	if err := n.prepareFiles(Options{Kube: "/kube", Keeper: "/keeper"}, "/group", "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	programs := slices.Concat(l.apiPrograms(), l.controlPrograms(), l.nodePrograms("host"))
	for _, p := range append(programs, l.runtimeProgram()) {
		for _, arg := range p.Args[1:] {
			_, value, _ := strings.Cut(arg, "=")
			inInput := strings.HasPrefix(value, l.path("pki")) || strings.HasPrefix(value, l.path("config"))
			if _, err := os.Stat(value); inInput && err != nil {
				t.Errorf("%s %s: %v", p.Name, arg, err)
			}
		}
		if _, err := os.Lstat(p.Args[0]); strings.HasPrefix(p.Args[0], l.dir) && err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"dev": true, "a": true, "a-1": true, strings.Repeat("a", 32): true,
		"": false, "-a": false, "a-": false, "A": false, "a/b": false, "..": false, strings.Repeat("a", 33): false,
	} {
		if _, err := stateDir(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestLockTellsWhetherAClusterIsUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	assertUp := func(want bool) {
		t.Helper()
		if up, err := isUp(dir); err != nil || up != want {
			t.Errorf("up: %v, %v; want %v", up, err, want)
		}
	}
	assertUp(false)
	held, err := tryLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	assertUp(true)
	if _, err := tryLock(dir); !errors.Is(err, ErrUp) {
		t.Errorf("second lock: got %v, want %v", err, ErrUp)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	assertUp(false)
}

func TestAwaitSaysWhatItWaitedForAndWhy(t *testing.T) {
	cause := errors.New("the dog ate it")
	err := await(t.Context(), "the homework", 50*time.Millisecond, func(context.Context) error { return cause })
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "for the homework") {
		t.Errorf("got %v", err)
	}
	calls := 0
	err = await(t.Context(), "the homework", time.Hour, func(context.Context) error { calls++; return errFatal })
	if !errors.Is(err, errFatal) || calls != 1 {
		t.Errorf("a fatal error: %v after %d calls", err, calls)
	}
	calls = 0
	err = await(t.Context(), "the homework", time.Hour, func(context.Context) error {
		if calls++; calls < 3 {
			return cause
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("success: %v after %d calls", err, calls)
	}
}

func TestMissingPackages(t *testing.T) {
	files := map[string]string{"/a": "pa", "/b": "pb", "/c": "pc"}
	got := missingPackages(files, func(path string) bool { return path == "/b" })
	if !slices.Equal(got, []string{"pa", "pc"}) {
		t.Errorf("got %q", got)
	}
}
