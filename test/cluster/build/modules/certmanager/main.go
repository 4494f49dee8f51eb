// Command certmanager holds cert-manager's controller, webhook and cainjector
// in one binary, put together from cert-manager's own packages. It takes the
// flags with which cert-manager's Helm chart starts them.
//
// The module's path begins with cert-manager's, so that its internal packages
// can be imported.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/logs/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	logf "github.com/cert-manager/cert-manager/pkg/logs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	root := &cobra.Command{Use: "certmanager", SilenceUsage: true}
	root.AddCommand(controllerCommand(), webhookCommand(), cainjectorCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}

// program is what the three commands have in common: log flags, a kubeconfig
// and a function that runs until its context ends.
func program(name string, flags func(*pflag.FlagSet), run func(context.Context) error) *cobra.Command {
	logging := v1.NewLoggingConfiguration()
	command := &cobra.Command{
		Use:  name,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := logf.ValidateAndApply(logging); err != nil {
				return fmt.Errorf("log flags: %w", err)
			}
			ctx := logf.NewContext(cmd.Context(), logf.Log, name)
			ctrl.SetLogger(logf.Log)
			return run(ctx)
		},
	}
	logf.AddFlags(logging, command.Flags())
	flags(command.Flags())
	return command
}

// restConfig is the pod's own configuration when kubeconfig is empty.
func restConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("client configuration: %w", err)
	}
	return config, nil
}
