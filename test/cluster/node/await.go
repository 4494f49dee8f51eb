package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const pollInterval = 100 * time.Millisecond

// errFatal marks an error that waiting does not heal.
var errFatal = errors.New("it will not get better")

// await calls check until it succeeds. Its error says what was waited for, how
// long, and why the last check failed.
func await(ctx context.Context, what string, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, errFatal) {
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w", time.Since(start).Round(time.Second), what, err)
		case <-time.After(pollInterval):
		}
	}
}

// healthy fails when a program of the cluster has ended.
func (n *Node) healthy(ctx context.Context) error {
	programs, err := n.agent.Programs(ctx)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if !p.Running {
			return fmt.Errorf("%s ended (%s); %w; the end of its log:\n%s", p.Name, p.Exit, errFatal, n.logTail(p.Name))
		}
	}
	return nil
}

// logTail is the end of a component's log.
func (n *Node) logTail(name string) string {
	content, err := os.ReadFile(n.layout.log(name))
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}
