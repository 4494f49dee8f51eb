package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	defaultDialTimeout = 30 * time.Second
	maxResponse        = 64 << 10
)

// Client calls the agent of the cluster whose state is in Dir.
type Client struct {
	// Dir is the cluster's state directory.
	Dir string
}

// Dial opens a connection inside the cluster's network namespace. Names are
// resolved there, too.
func (c Client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	timeout := defaultDialTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	_, file, err := c.call(ctx, request{Dial: &dialRequest{Network: network, Address: address, Timeout: timeout}})
	if err != nil {
		return nil, fmt.Errorf("dial %s in the cluster: %w", address, err)
	}
	if file == nil {
		return nil, fmt.Errorf("dial %s in the cluster: the agent sent no connection", address)
	}
	defer func() { _ = file.Close() }()
	return net.FileConn(file)
}

// Start starts a program. It is an error if one of that name is running.
func (c Client) Start(ctx context.Context, p Program) error {
	if _, _, err := c.call(ctx, request{Start: &p}); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	return nil
}

// Stop ends a program and returns when it has ended.
func (c Client) Stop(ctx context.Context, name string) error {
	if _, _, err := c.call(ctx, request{Stop: name}); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	return nil
}

// Signal sends a running program a signal.
func (c Client) Signal(ctx context.Context, name string, signal syscall.Signal) error {
	if _, _, err := c.call(ctx, request{Signal: &signalRequest{Name: name, Signal: signal}}); err != nil {
		return fmt.Errorf("%s to %s: %w", signal, name, err)
	}
	return nil
}

// Programs lists what was started, in order.
func (c Client) Programs(ctx context.Context) ([]Status, error) {
	r, _, err := c.call(ctx, request{List: true})
	if err != nil {
		return nil, fmt.Errorf("list the cluster's programs: %w", err)
	}
	return r.Programs, nil
}

func (c Client) call(ctx context.Context, q request) (*response, *os.File, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return nil, nil, err
	}
	content, file, err := receive(conn)
	if err != nil {
		return nil, nil, errors.Join(err, ctx.Err())
	}
	var r response
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, file, fmt.Errorf("the agent's answer: %w", err)
	}
	if r.Error != "" {
		return nil, file, errors.New(r.Error)
	}
	return &r, file, nil
}

// connect goes through /proc/self/fd because the path of a unix socket holds
// 107 bytes only and a state directory's may be longer.
func (c Client) connect(ctx context.Context) (*net.UnixConn, error) {
	dir, err := os.Open(c.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), SocketName))
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// receive reads the answer to its end, and the descriptor sent along, if any.
func receive(conn *net.UnixConn) ([]byte, *os.File, error) {
	buffer := make([]byte, maxResponse)
	rights := make([]byte, unix.CmsgSpace(4))
	n, nrights, _, _, err := conn.ReadMsgUnix(buffer, rights)
	if err != nil {
		return nil, nil, err
	}
	file, err := descriptor(rights[:nrights])
	if err != nil {
		return nil, nil, err
	}
	rest, err := io.ReadAll(io.LimitReader(conn, maxResponse))
	if err != nil {
		return nil, nil, err
	}
	return append(buffer[:n], rest...), file, nil
}

func descriptor(rights []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil, err
	}
	unix.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "connection"), nil
}
