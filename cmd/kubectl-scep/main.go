// Command kubectl-scep is a plugin for kubectl: "kubectl scep challenge corp" mints
// a one-time challenge of the ScepEndpoint corp, "kubectl scep revoke corp 4f2a009c"
// revokes a certificate that it has issued, "kubectl scep rotate corp-ra" has the
// certificates of the RACredential corp-ra issued anew, "kubectl scep triage corp
// --subject d1.example.com" tells why a device has no certificate.
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
	root.AddCommand(newChallengeCommand(&access), newRevokeCommand(&access), newRotateCommand(&access), newTriageCommand(&access))
	return root
}
