package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a program may take to end by itself.
const stopGrace = 10 * time.Second

// Table holds the programs that the agent started. As the first process of its
// PID namespace the agent also inherits every orphan, so all children are
// reaped in one place.
type Table struct {
	logs string

	mu       sync.Mutex
	programs []*entry
}

type entry struct {
	status Status
	ended  chan struct{}
}

// NewTable returns a table whose programs write to files in the directory logs.
func NewTable(logs string) *Table { return &Table{logs: logs} }

// Start starts a program.
func (t *Table) Start(p Program) error {
	if len(p.Args) == 0 {
		return errors.New("no command")
	}
	output, err := os.OpenFile(filepath.Join(t.logs, p.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()

	t.mu.Lock() // the reaper waits until the child is in the table
	defer t.mu.Unlock()
	if old := t.find(p.Name); old != nil && old.status.Running {
		return errors.New("it is running")
	}
	pid, err := syscall.ForkExec(p.Args[0], p.Args, &syscall.ProcAttr{
		Env:   append(os.Environ(), p.Env...),
		Files: []uintptr{null.Fd(), output.Fd(), output.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", p.Args[0], err)
	}
	t.put(&entry{status: Status{Name: p.Name, PID: pid, Running: true}, ended: make(chan struct{})})
	return nil
}

// Signal sends a running program a signal. After SIGKILL it returns when the program has ended.
func (t *Table) Signal(name string, sig syscall.Signal) error {
	e, err := t.started(name)
	if err != nil {
		return err
	}
	if err := t.signal(e, sig); err != nil || sig != syscall.SIGKILL {
		return err
	}
	<-e.ended
	return nil
}

func (t *Table) started(name string) (*entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(name); e != nil {
		return e, nil
	}
	return nil, errors.New("it was never started")
}

// Stop asks a program to end, insists after a while, and waits for its end.
func (t *Table) Stop(name string) error {
	e, err := t.started(name)
	if err != nil {
		return err
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := t.signal(e, sig); err != nil {
			return err
		}
		select {
		case <-e.ended:
			return nil
		case <-time.After(stopGrace):
		}
	}
	return errors.New("it does not end")
}

// List returns the state of all programs in the order of their first start.
func (t *Table) List() []Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Status, len(t.programs))
	for i, e := range t.programs {
		list[i] = e.status
	}
	return list
}

// Reap collects children that ended, all of this process, until ctx ends.
func (t *Table) Reap(ctx context.Context) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	defer signal.Stop(signals)
	for {
		for t.reapOne() { // a signal may stand for many children, and come before we listen
		}
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
	}
}

func (t *Table) reapOne() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ws syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
	if errors.Is(err, syscall.EINTR) {
		return true
	}
	if pid <= 0 || err != nil {
		return false
	}
	for _, e := range t.programs {
		if e.status.Running && e.status.PID == pid {
			e.status.Running = false
			e.status.Exit = describe(ws)
			close(e.ended)
		}
	}
	return true
}

// signal sends a signal while the process cannot have been reaped yet, so the
// number cannot belong to another one.
func (t *Table) signal(e *entry, sig syscall.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !e.status.Running {
		return nil
	}
	return syscall.Kill(e.status.PID, sig)
}

func (t *Table) find(name string) *entry {
	for _, e := range t.programs {
		if e.status.Name == name {
			return e
		}
	}
	return nil
}

// put adds an entry in place of an older one of its name.
func (t *Table) put(e *entry) {
	for i, old := range t.programs {
		if old.status.Name == e.status.Name {
			t.programs[i] = e
			return
		}
	}
	t.programs = append(t.programs, e)
}

func describe(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return fmt.Sprintf("killed by %s", ws.Signal())
	}
	return fmt.Sprintf("exit status %d", ws.ExitStatus())
}
