package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start runs an agent in this process, without namespaces. Its directory's name
// is too long for the path of a unix socket.
func start(t *testing.T) (Client, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	logs := filepath.Join(dir, "log")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	open, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close() }()
	name := fmt.Sprintf("/proc/self/fd/%d/%s", open.Fd(), SocketName)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	t.Cleanup(func() { _ = listener.Close() })
	table := NewTable(logs)
	ctx, stop := context.WithCancel(context.Background())
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		table.Reap(ctx)
	}()
	t.Cleanup(func() { stop(); <-reaped })
	go func() { _ = Serve(listener, table) }() // ends with the listener
	return Client{Dir: dir}, logs
}

func TestDialPassesARealConnectionOn(t *testing.T) {
	client, _ := start(t)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(conn, conn)
		_ = conn.Close()
	}()
	conn, err := client.Dial(t.Context(), "tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("echo")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "echo" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := conn.SetDeadline(time.Now()); err != nil {
		t.Errorf("the connection has no deadlines: %v", err)
	}
}

func TestDialErrors(t *testing.T) {
	client, _ := start(t)
	for _, address := range []string{"127.0.0.1:1", "no address", ""} {
		if conn, err := client.Dial(t.Context(), "tcp", address); err == nil {
			_ = conn.Close()
			t.Errorf("%q: no error", address)
		}
	}
	if _, err := (Client{Dir: t.TempDir()}).Dial(t.Context(), "tcp", "127.0.0.1:1"); err == nil {
		t.Error("without an agent: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Dial(ctx, "tcp", "127.0.0.1:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

func TestPrograms(t *testing.T) {
	client, logs := start(t)
	ctx := t.Context()
	programs := []Program{
		{Name: "waits", Args: []string{"/bin/sleep", "600"}},
		{Name: "ends", Args: []string{"/bin/sh", "-c", "echo $WORD; exit 3"}, Env: []string{"WORD=hello"}},
	}
	for _, p := range programs {
		if err := client.Start(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Start(ctx, programs[0]); err == nil {
		t.Error("a running program was started again")
	}
	assertState(t, client, "ends", "exit status 3")
	if log, err := os.ReadFile(filepath.Join(logs, "ends.log")); err != nil || string(log) != "hello\n" {
		t.Errorf("log %q, %v", log, err)
	}
	if err := client.Stop(ctx, "waits"); err != nil {
		t.Error(err)
	}
	assertState(t, client, "waits", "killed by "+syscall.SIGTERM.String())
	for name, err := range map[string]error{
		"stop of an unknown program": client.Stop(ctx, "unknown"),
		"start of nothing":           client.Start(ctx, Program{Name: "nothing"}),
		"start of an absent file":    client.Start(ctx, Program{Name: "absent", Args: []string{"/no/such/file"}}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := client.Start(ctx, programs[1]); err != nil {
		t.Errorf("a program that ended cannot be started again: %v", err)
	}
	assertState(t, client, "ends", "exit status 3")
}

func assertState(t *testing.T, client Client, name, want string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		programs, err := client.Programs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			if p.Name == name && !p.Running && p.Exit == want {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s to end with %q: %+v", name, want, programs)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestSignal(t *testing.T) {
	client, _ := start(t)
	ctx := t.Context()
	waits := Program{Name: "waits", Args: []string{"/bin/sleep", "600"}}
	if err := client.Start(ctx, waits); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT, syscall.SIGKILL} {
		if err := client.Signal(ctx, "waits", signal); err != nil {
			t.Error(err)
		}
	}
	// Nothing is waited for: after SIGKILL the program has ended.
	programs, err := client.Programs(ctx)
	if err != nil || len(programs) != 1 || programs[0].Running {
		t.Errorf("programs are %+v, %v; want one that has ended", programs, err)
	}
	if err := client.Start(ctx, waits); err != nil {
		t.Errorf("a program that was killed does not start again: %v", err)
	}
	if err := client.Signal(ctx, "unknown", syscall.SIGTERM); err == nil {
		t.Error("a signal to an unknown program: no error")
	}
}

func TestResolverTarget(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]string{"relative": "run/stub/resolv.conf", "absolute": filepath.Join(dir, "gone", "resolv.conf"), "intact": "plain"} {
		path := filepath.Join(dir, name)
		if err := os.Symlink(link, path); err != nil {
			t.Fatal(err)
		}
		target, err := resolverTarget(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(target); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if target, err := resolverTarget(plain); err != nil || target != plain {
		t.Errorf("a plain file: %q, %v", target, err)
	}
}
