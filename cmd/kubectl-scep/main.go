// Command kubectl-scep is a plugin for kubectl: "kubectl scep challenge corp" mints
// a one-time challenge of the ScepEndpoint corp.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubectl scep:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var access access
	root := &cobra.Command{
		Use:           "kubectl-scep",
		Short:         "Work with ScepEndpoints",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl scep"},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	access.addFlags(root.PersistentFlags())
	root.AddCommand(newChallengeCommand(&access))
	return root
}
