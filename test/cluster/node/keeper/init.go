package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/scepter-pki/scepter/test/cluster/node/agent"
)

// initialize is process 1 of the namespaces. Its end is the cluster's end.
func initialize(dir string, _ []string) (int, error) {
	config, err := agent.ReadConfig(dir)
	if err != nil {
		return 1, err
	}
	if err := agent.Setup(config); err != nil {
		return 1, err
	}
	if err := os.Chdir(dir); err != nil { // a socket's path must be short
		return 1, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: agent.SocketName})
	if err != nil {
		return 1, err
	}
	table := agent.NewTable(filepath.Join(dir, "log"))
	go table.Reap(context.Background())
	failed := make(chan error, 1)
	go func() { failed <- agent.Serve(listener, table) }()
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- fmt.Errorf("the keeper ended: %w", orEOF(err))
	}()
	return 1, <-failed
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}
