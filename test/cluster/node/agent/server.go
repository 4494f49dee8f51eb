package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Serve answers calls until the listener is closed.
func Serve(listener *net.UnixListener, table *Table) error {
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			return fmt.Errorf("agent: %w", err)
		}
		go answer(conn, table)
	}
}

func answer(conn *net.UnixConn, table *Table) {
	defer func() { _ = conn.Close() }()
	var q request
	if err := json.NewDecoder(conn).Decode(&q); err != nil {
		return // the caller went away
	}
	r, file := handle(q, table)
	content, err := json.Marshal(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent: answer:", err)
		return
	}
	var rights []byte
	if file != nil {
		defer func() { _ = file.Close() }()
		rights = unix.UnixRights(int(file.Fd()))
	}
	if _, _, err := conn.WriteMsgUnix(content, rights, nil); err != nil {
		fmt.Fprintln(os.Stderr, "agent: answer:", err)
	}
}

func handle(q request, table *Table) (response, *os.File) {
	switch {
	case q.Dial != nil:
		file, err := dial(*q.Dial)
		return failure(err), file
	case q.Start != nil:
		return failure(table.Start(*q.Start)), nil
	case q.Stop != "":
		return failure(table.Stop(q.Stop)), nil
	case q.Signal != nil:
		return failure(table.Signal(q.Signal.Name, q.Signal.Signal)), nil
	default:
		return response{Programs: table.List()}, nil
	}
}

func failure(err error) response {
	if err == nil {
		return response{}
	}
	return response{Error: err.Error()}
}

// dial opens a connection and returns a duplicate of its descriptor.
func dial(q dialRequest) (*os.File, error) {
	ctx, cancel := context.WithTimeout(context.Background(), q.Timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, q.Network, q.Address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	source, ok := conn.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("network %s cannot be passed on", q.Network)
	}
	file, err := source.File()
	if err != nil {
		return nil, err
	}
	// The receiver's runtime wants to poll it.
	return file, syscall.SetNonblock(int(file.Fd()), true)
}
