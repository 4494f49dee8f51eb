package lab_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/scepter-pki/scepter/test/cluster/lab"
	"github.com/scepter-pki/scepter/test/cluster/node"
)

const patience = 60 * time.Second

// eventually waits until check succeeds.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s: %v", patience, what, err)
		}
		<-tick.C
	}
}

// inCluster is an HTTP client whose connections begin on the cluster's node,
// where names are resolved by CoreDNS.
func inCluster(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DialContext:       shared.Dial,
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true,
		},
	}
}

func get(t *testing.T, client *http.Client, address string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", address, response.Status, body)
	}
	return string(body), err
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := shared.Kubectl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestServiceSpreadsRequestsOverBothPods(t *testing.T) {
	seen := map[string]bool{}
	eventually(t, "answers of both pods", func() error {
		name, err := get(t, inCluster(nil), "http://web.lab.svc.cluster.local/hostname")
		if err != nil {
			return err
		}
		seen[name] = true
		if len(seen) < 2 {
			return fmt.Errorf("only %v answered", seen)
		}
		return nil
	})
}

func TestPodResolvesNames(t *testing.T) {
	want := strings.TrimSpace(kubectl(t, "get", "service", "web", "--namespace=lab", "--output=jsonpath={.spec.clusterIP}"))
	for name, want := range map[string]string{"web.lab.svc.cluster.local": want, "web": want, "anything.example.com": node.IP} {
		got, err := get(t, inCluster(nil), "http://web.lab/lookup/"+name)
		if err != nil || got != want {
			t.Errorf("in a pod, %s has the address %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestIngressAndGatewayLeadToThePods(t *testing.T) {
	for _, host := range []string{"web.example.com", "gateway.example.com"} {
		eventually(t, host, func() error {
			name, err := get(t, inCluster(nil), "http://"+host+"/hostname")
			if err == nil && !strings.HasPrefix(name, "web-") {
				err = fmt.Errorf("%s answered", name)
			}
			return err
		})
	}
}

func TestLongURLPassesTheIngress(t *testing.T) {
	long := "http://web.example.com/hostname?message=" + strings.Repeat("A", 13<<10)
	eventually(t, "a URL of 13 KiB", func() error {
		_, err := get(t, inCluster(nil), long)
		return err
	})
}

func TestIngressServesTheCertificateOfCertManager(t *testing.T) {
	kubectl(t, "wait", "--for=condition=Ready", "certificate/web", "--namespace=lab", "--timeout=60s")
	encoded := kubectl(t, "get", "secret", "web-tls", "--namespace=lab", `--output=jsonpath={.data.ca\.crt}`)
	ca, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("no certificate in %q", ca)
	}
	eventually(t, "https with the issued certificate", func() error {
		_, err := get(t, inCluster(roots), "https://web.example.com/hostname")
		return err
	})
}

func TestRestrictedNamespaceRefusesOtherPods(t *testing.T) {
	_, err := shared.Kubectl(t.Context(), "run", "loose", "--namespace=lab", "--image=scepter.local/testpod:test", "--image-pull-policy=Never")
	if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Fatalf("a pod without restrictions was not refused: %v", err)
	}
}

func TestChangedSecretReachesThePod(t *testing.T) {
	pod := strings.Fields(kubectl(t, "get", "pods", "--namespace=lab", "--selector=app=web", "--output=jsonpath={.items[*].metadata.name}"))[0]
	ip := kubectl(t, "get", "pod", pod, "--namespace=lab", "--output=jsonpath={.status.podIP}")
	address := (&url.URL{Scheme: "http", Host: ip + ":8080", Path: "/file/secret/value"}).String()
	if got, err := get(t, inCluster(nil), address); err != nil || got != "one" {
		t.Fatalf("the pod reads %q, %v; want one", got, err)
	}
	kubectl(t, "patch", "secret", "web", "--namespace=lab", `--patch={"stringData":{"value":"two"}}`)
	kubectl(t, "annotate", "pod", pod, "--namespace=lab", "scepter.dev/touched=1") // the kubelet looks at once
	eventually(t, "the new secret in the pod", func() error {
		got, err := get(t, inCluster(nil), address)
		if err == nil && got != "two" {
			err = fmt.Errorf("it reads %q", got)
		}
		return err
	})
}

func TestExecRunsInsideAndPassesTheStatusOn(t *testing.T) {
	cmd := shared.Exec(t.Context(), "sh", "-c", "cat; hostname; exit 7")
	cmd.Stdin = strings.NewReader("hello ")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("ended with %v, want exit status 7", err)
	}
	if got := string(out); got != "hello scepter-labtest\n" {
		t.Errorf("printed %q", got)
	}
}

func TestExecEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := shared.Exec(ctx, "sh", "-c", "echo $$; exec sleep 600")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 16)
	n, err := out.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = cmd.Wait()
	pid := strings.TrimSpace(string(buffer[:n]))
	eventually(t, "the end of the command", func() error {
		if shared.Exec(t.Context(), "test", "-d", "/proc/"+pid).Run() == nil {
			return fmt.Errorf("process %s runs", pid)
		}
		return nil
	})
}

func TestLogs(t *testing.T) {
	log, err := shared.Logs("kubelet")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	if content, err := io.ReadAll(log); err != nil || len(content) == 0 {
		t.Errorf("the kubelet's log has %d bytes, %v", len(content), err)
	}
	_, err = shared.Logs("nothing")
	if err == nil || !strings.Contains(err.Error(), "kube-apiserver") {
		t.Errorf("the error for an unknown component does not name the known ones: %v", err)
	}
}

func TestSecondClusterOfTheSameNameIsRefused(t *testing.T) {
	_, err := lab.Up(t.Context(), lab.Options{Name: "labtest", APIOnly: true})
	if !errors.Is(err, node.ErrUp) {
		t.Fatalf("got %v, want %v", err, node.ErrUp)
	}
	if _, err := shared.Kubectl(t.Context(), "get", "--raw=/readyz"); err != nil {
		t.Errorf("the first cluster suffered: %v", err)
	}
}

// TestTwoClusters brings a second cluster up beside the shared one.
func TestTwoClusters(t *testing.T) {
	before := snapshot(t, "labtest2")
	second, err := lab.Up(t.Context(), lab.Options{Name: "labtest2", APIOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	config, err := second.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil || version.GitVersion != "v1.36.3" {
		t.Errorf("version %v, %v", version, err)
	}
	if out, err := second.Kubectl(t.Context(), "get", "namespace", "lab", "--ignore-not-found", "--output=name"); err != nil || out != "" {
		t.Errorf("the second cluster has the first one's objects: %q, %v", out, err)
	}
	if err := second.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertNothingLeft(t, "labtest2", before)
}

// TestCrashLeavesNothing kills the processes that hold a cluster together, in
// turn, and brings the cluster up again.
func TestCrashLeavesNothing(t *testing.T) {
	const name = "labtest3"
	before := snapshot(t, name)
	for _, c := range []struct {
		victim   string
		starting bool // kill it while the cluster starts
	}{
		{"owner", true},
		{"owner", false},
		{"init.pid", false},
		{"keeper.pid", false},
	} {
		t.Run(fmt.Sprintf("%s, starting %v", c.victim, c.starting), func(t *testing.T) {
			owner := startOwner(t, name)
			waitFor := "keeper.pid" // from here on somebody cleans up
			if !c.starting {
				waitFor = "up"
			}
			eventually(t, waitFor, func() error {
				_, err := os.Stat(filepath.Join(clusterDir(t, name), waitFor))
				return err
			})
			pid := owner.Process.Pid
			if c.victim != "owner" {
				pid = readPID(t, filepath.Join(clusterDir(t, name), c.victim))
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if c.victim == "keeper.pid" { // nobody is there to clean up but the user
				if err := lab.Remove(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the end of everything", func() error { return leftovers(t, name, before) })
		})
	}
}

// startOwner starts a process that brings a cluster up and owns it.
func startOwner(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "cluster")
	compile := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./test/cluster/internal/owner")
	compile.Dir = root
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	owner := exec.Command(binary, name)
	owner.Dir = root
	owner.Stdout, owner.Stderr = t.Output(), t.Output()
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Process.Kill(); _ = owner.Wait() })
	return owner
}

func clusterDir(t *testing.T, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(cache, "scepter", "clusters", name)
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(content))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
