package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// A library has a CA's revocation list for those inside the cluster. It is
// this test's own program, started anew inside the cluster's namespaces, on the node's address.
type library struct{ url, dir string }

// libraryEnv holds the directory of a process that is to be a library.
const libraryEnv = "SCEPTER_E2E_LIBRARY"

func newLibrary(t *testing.T) *library {
	t.Helper()
	node, err := shared.rig.IngressAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := &library{dir: t.TempDir()}
	port, _, _ := startSelf(t, libraryEnv, l.dir)
	l.url = "http://" + net.JoinHostPort(node, port)
	return l
}

// put makes the file crl anew, whole at any time.
func (l *library) put(t *testing.T, content []byte) {
	t.Helper()
	file := filepath.Join(l.dir, "crl")
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// beLibrary serves until it is killed. It prints its port.
func beLibrary(dir string) int {
	listener, err := listenAndTell()
	if err != nil {
		return fail(err)
	}
	return fail(http.Serve(listener, http.FileServer(http.Dir(dir)))) //nolint:gosec // for the time of a test
}

// listenAndTell opens a port of every address, and prints it.
func listenAndTell() (net.Listener, error) {
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, err
	}
	fmt.Println(port)
	return listener, nil
}

// startSelf starts this test's own program inside the cluster's namespaces, until the test
// ends. It returns the first line that it prints, the lines to come, and its input.
func startSelf(t *testing.T, env, value string) (first string, lines *bufio.Scanner, in io.Writer) {
	t.Helper()
	cmd := shared.rig.Cluster.Exec(t.Context(), "env", env+"="+value, os.Args[0])
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines = bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the program of %s did not start", env)
	}
	return lines.Text(), lines, in
}
