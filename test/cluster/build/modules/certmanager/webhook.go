package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/component-base/logs/api/v1"

	"github.com/cert-manager/cert-manager/internal/webhook"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/webhook/options"
)

// webhookCommand answers the API server's admission reviews. Its flags are
// cert-manager's own set, which brings log flags along.
func webhookCommand() *cobra.Command {
	config, err := options.NewWebhookConfiguration()
	if err != nil {
		fmt.Fprintln(os.Stderr, "webhook defaults:", err)
		os.Exit(1)
	}
	own := pflag.NewFlagSet("webhook", pflag.ContinueOnError)
	config.Logging = *v1.NewLoggingConfiguration()
	options.AddConfigFlags(own, config)

	run := func(ctx context.Context) error {
		server, err := webhook.NewCertManagerWebhookServer(logf.FromContext(ctx), *config)
		if err != nil {
			return fmt.Errorf("webhook: %w", err)
		}
		return server.Run(ctx)
	}
	return program("webhook", func(fs *pflag.FlagSet) { addMissing(fs, own) }, run)
}

// addMissing adds the flags of more that fs does not have yet.
func addMissing(fs, more *pflag.FlagSet) {
	more.VisitAll(func(f *pflag.Flag) {
		if fs.Lookup(f.Name) == nil && (f.Shorthand == "" || fs.ShorthandLookup(f.Shorthand) == nil) {
			fs.AddFlag(f)
		}
	})
}
