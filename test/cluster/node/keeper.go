package node

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

const keeperPIDFile = "keeper.pid"

// startKeeper starts the keeper in a session of its own. It inherits the lock
// and the API's listener. Closing the returned file ends the cluster.
func startKeeper(l layout, held, relay *os.File) (*os.File, error) {
	log, err := os.OpenFile(l.log("keeper"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	defer func() { _ = log.Close() }()
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	defer func() { _ = theirs.Close() }()

	cmd := exec.Command(l.program("keeper"), "keep", l.dir)
	cmd.Dir = "/" // no directory is kept busy
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, log, log
	cmd.ExtraFiles = []*os.File{held, relay}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("keeper: %w", err)
	}
	go func() { _ = cmd.Wait() }() // how it ended is in its log
	pid := strconv.Itoa(cmd.Process.Pid)
	if err := os.WriteFile(l.path(keeperPIDFile), []byte(pid), 0o644); err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("keeper: %w", err)
	}
	return ours, nil
}

// Release lets the cluster live on when this process ends.
func (n *Node) Release() error {
	if _, err := n.owner.Write([]byte{1}); err != nil {
		return fmt.Errorf("release cluster %s: %w", n.name, err)
	}
	err := n.owner.Close()
	n.owner = nil
	return err
}

func readPID(path string) (int, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(content)))
}
