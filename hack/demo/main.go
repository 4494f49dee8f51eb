// Command demo shows the whole of Scepter on a cluster: from nothing to devices
// that hold certificates, a rollover under way while they enrol, and a healed tier.
//
// Usage: go run ./hack/demo [up|down]
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := "up"
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "up":
		return up(ctx)
	case "down":
		return down(ctx)
	default:
		return fmt.Errorf("no command %q: say up or down", command)
	}
}
