package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestVersion(t *testing.T) {
	command := newCommand()
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetArgs([]string{"version"})
	if err := command.ExecuteContext(t.Context()); err != nil || strings.TrimSpace(out.String()) != version() {
		t.Errorf("printed %q (%v), want %q", out.String(), err, version())
	}
}

// kubeconfig names an API server that nobody listens for.
const kubeconfig = `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c}}]
current-context: c
`

// addresses reads log records until the one that names the listeners.
func addresses(log io.Reader) (device, admin string, err error) {
	decoder := json.NewDecoder(log)
	for {
		var record struct{ Msg, Listen, AdminListen string }
		if err := decoder.Decode(&record); err != nil {
			return "", "", fmt.Errorf("no record names the listeners: %w", err)
		}
		if record.Msg == "serving" {
			return record.Listen, record.AdminListen, nil
		}
	}
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(config, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"serve", "--kubeconfig", config, "--drain", "0s", "--listen", "127.0.0.1:0", "--tls-listen", "", "--mint-listen", "", "--local-mint-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--audit-dir", ""}
	for _, name := range []string{"config", "keyring", "challenges", "state", "tls"} {
		args = append(args, "--"+name+"-dir", filepath.Join(dir, name))
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	log, out := io.Pipe()
	command := newCommand()
	command.SetOut(out)
	command.SetArgs(args)
	done := make(chan error, 1)
	go func() {
		err := command.ExecuteContext(ctx)
		out.CloseWithError(errors.Join(err, io.EOF))
		done <- err
	}()
	device, admin, err := addresses(log)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	for target, want := range map[string]int{
		admin + "/livez":                     http.StatusOK,
		admin + "/readyz":                    http.StatusServiceUnavailable,
		admin + "/healthz":                   http.StatusServiceUnavailable,
		admin + "/status":                    http.StatusOK,
		device + "/scep?operation=GetCACert": http.StatusServiceUnavailable,
		device + "/scep":                     http.StatusOK,
	} {
		if got, _ := get(t, "http://"+target); got != want {
			t.Errorf("%s: status %d, want %d", target, got, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("serve ended: %v", err)
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(read)
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	for want, args := range map[string][]string{
		"flag --log-level": {"--log-level", "loud"},
		"find the API server (in a pod, or by --kubeconfig)": {"--kubeconfig", "/nowhere"},
	} {
		command := newCommand()
		command.SetOut(io.Discard)
		command.SetArgs(append([]string{"serve"}, args...))
		if err := command.ExecuteContext(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
}
