package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/scepter-pki/scepter/test/cluster/node/agent"
)

// namespaces are joined in this order; the mount namespace comes last because
// the machine's /proc is out of sight then.
var namespaces = []struct {
	name string
	kind int
}{
	{"uts", unix.CLONE_NEWUTS},
	{"ipc", unix.CLONE_NEWIPC},
	{"net", unix.CLONE_NEWNET},
	{"pid", unix.CLONE_NEWPID},
	{"mnt", unix.CLONE_NEWNS},
}

// execute runs a command inside and returns its exit status. The command ends
// when this process does.
func execute(dir string, command []string) (int, error) {
	if len(command) == 0 {
		return 2, errors.New("no command")
	}
	here, err := os.Getwd()
	if err != nil {
		return 1, err
	}
	runtime.LockOSThread() // namespaces belong to a thread
	if err := join(dir); err != nil {
		return 1, err
	}
	cmd := exec.Command("/proc/self/exe", append([]string{"become", dir}, command...)...)
	cmd.Dir = here
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	go forwardSignals(cmd.Process)
	return exitStatus(cmd.Wait())
}

// become turns this process, which is inside, into the command. It asks to be
// killed when its parent dies; Go's own way to ask for that mistakes a parent in
// another PID namespace for a dead one.
func become(_ string, command []string) (int, error) {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return 1, fmt.Errorf("prctl: %w", err)
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return 127, err
	}
	return 126, unix.Exec(path, command, os.Environ())
}

// join moves the calling thread into the namespaces of the cluster.
func join(dir string) error {
	pid, err := os.ReadFile(filepath.Join(dir, agent.PIDFile))
	if err != nil {
		return fmt.Errorf("no cluster is up: %w", err)
	}
	// A thread may change its mount namespace only if it shares its working
	// directory with no other.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	for _, ns := range namespaces {
		path := fmt.Sprintf("/proc/%s/ns/%s", strings.TrimSpace(string(pid)), ns.name)
		if err := joinOne(path, ns.kind); err != nil {
			return fmt.Errorf("join %s: %w", path, err)
		}
	}
	return nil
}

func joinOne(path string, kind int) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return unix.Setns(int(file.Fd()), kind)
}

func forwardSignals(process *os.Process) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	for s := range signals {
		_ = process.Signal(s) // it may have ended
	}
}

func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
