// Command operator runs the controllers of Scepter: it turns ScepEndpoints,
// RACredentials and CertificateTemplates into running registration authorities.
// It talks to the API server, and to its servers' status, and to nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

// run is main with its surroundings as arguments.
func run(ctx context.Context, args []string, getenv func(string) string, log io.Writer) error {
	o, err := parse(args, getenv, log)
	if err != nil {
		return err
	}
	ctrl.SetLogger(newLogger(log, o.logLevel))
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	return serve(ctx, config, o)
}

// serve runs the manager until the context ends.
func serve(ctx context.Context, config *rest.Config, o *options) error {
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}
	ctrl.Log.Info("starting", "version", version(), "raImage", o.program.Image)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}
