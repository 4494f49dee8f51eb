package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/scepter-pki/scepter/test/cluster/node/agent"
	"github.com/scepter-pki/scepter/test/cluster/node/cgroup"
)

// The keeper's open files, next to the standard ones.
const (
	lockFD     = 3 // the state directory's lock: who can take it knows that no keeper lives
	listenerFD = 4
)

const cleanupLimit = 30 * time.Second

// keep runs a cluster until its owner goes away, it is told to end (SIGTERM) or
// process 1 inside ends; then it removes all traces.
//
// The owner is at the other end of standard input. Its death closes that pipe,
// however it dies, and the cluster ends. One byte beforehand releases the
// cluster: it then lives on without its owner.
func keep(dir string, _ []string) (int, error) {
	config, err := agent.ReadConfig(dir)
	if err != nil {
		return 1, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, end := context.WithCancelCause(ctx)
	go func() { end(ownerEnded(os.Stdin)) }()

	for _, fd := range []int{lockFD, listenerFD} {
		syscall.CloseOnExec(fd) // they are the keeper's alone
	}
	inside, err := startInit(config)
	if err != nil {
		return 1, errors.Join(err, clean(config))
	}
	go func() { end(fmt.Errorf("process 1 ended: %w", orEOF(inside.wait()))) }()
	go relay(ctx, os.NewFile(listenerFD, "api"), config)

	<-ctx.Done()
	fmt.Fprintln(os.Stderr, "ending:", context.Cause(ctx))
	inside.kill()
	return 0, clean(config)
}

// ownerEnded returns when the owner has gone without releasing the cluster.
func ownerEnded(owner io.Reader) error {
	n, err := io.ReadFull(owner, make([]byte, 1))
	if n == 1 {
		select {} // released
	}
	return fmt.Errorf("the owner ended: %w", err)
}

// initProcess is process 1 of the cluster's namespaces, seen from outside.
type initProcess struct {
	cmd      *exec.Cmd
	lifeline *os.File
	ended    chan struct{}
	err      error
	once     sync.Once
}

func startInit(config agent.Config) (*initProcess, error) {
	theirs, ours, err := os.Pipe() // closes with us, however we end
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	cmd := exec.Command("/proc/self/exe", "init", config.Dir)
	cmd.Args[0] = "scepter-cluster"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("make namespaces: %w", err)
	}
	p := &initProcess{cmd: cmd, lifeline: ours, ended: make(chan struct{})}
	if err := p.register(config); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// register puts process 1 into the cluster's control group, where all its
// children will be, and its number into a file.
func (p *initProcess) register(config agent.Config) error {
	pid := p.cmd.Process.Pid
	if err := cgroup.Add(config.Cgroup, pid); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(config.Dir, agent.PIDFile), []byte(strconv.Itoa(pid)), 0o644)
}

func (p *initProcess) wait() error {
	p.once.Do(func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	})
	<-p.ended
	return p.err
}

// kill ends process 1, and with it every process in its PID namespace, and
// returns when they are gone.
func (p *initProcess) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.wait()
	_ = p.lifeline.Close()
}

// clean removes what outlives the processes: control groups and files. Mounts
// and interfaces went with their namespaces.
func clean(config agent.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupLimit)
	defer cancel()
	return errors.Join(cgroup.Remove(ctx, config.Cgroup), os.RemoveAll(config.Dir))
}

// relay carries connections from the machine's loopback interface to the API
// server inside, so that any client on the machine can talk to it.
func relay(ctx context.Context, file *os.File, config agent.Config) {
	listener, err := net.FileListener(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "API relay:", err)
		return
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "API relay:", err)
			return
		}
		go carry(ctx, conn, config)
	}
}

func carry(ctx context.Context, outside net.Conn, config agent.Config) {
	defer func() { _ = outside.Close() }()
	inside, err := agent.Client{Dir: config.Dir}.Dial(ctx, "tcp", config.API)
	if err != nil {
		return // the client sees its connection closed
	}
	defer func() { _ = inside.Close() }()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{inside, outside}, {outside, inside}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}
