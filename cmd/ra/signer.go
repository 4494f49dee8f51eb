package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/scepter-pki/scepter/internal/ra/signer"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// signerOptions are the flags of "ra signer".
type signerOptions struct {
	dirs          signer.Dirs
	listen, admin string
	drain         time.Duration
	logLevel      string
}

func newSignerCommand() *cobra.Command {
	var o signerOptions
	cmd := &cobra.Command{
		Use:   "signer",
		Short: "Issue for the servers of one ScepEndpoint with the key of its CA",
		Long: `Holds the key of a CA and issues certificates for the servers of one ScepEndpoint,
over mutual TLS. It applies the endpoint's templates itself, keeps no record, answers a
repeated request with the same bytes, and makes the revocation list. It has no listener
for devices, and calls nobody.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.dirs.Config, "config-dir", raconfig.ConfigDir, "directory with "+raconfig.ConfigFile)
	f.StringVar(&o.dirs.Signer, "signer-dir", raconfig.SignerDir, "directory with the signer's tls.crt and tls.key, and "+raconfig.PeersFile+" of the servers")
	f.StringVar(&o.dirs.CA, "ca-dir", raconfig.CADir, "directory with tls.crt and tls.key of the CA")
	f.StringVar(&o.dirs.State, "state-dir", raconfig.StateDir, "directory with the endpoint's key")
	f.StringVar(&o.dirs.Revoked, "revoked-dir", raconfig.RevokedDir, "directory with "+raconfig.RevocationsFile)
	f.StringVar(&o.listen, "listen", port(raconfig.SignerPort), "address for the endpoint's servers, over mutual TLS")
	f.StringVar(&o.admin, "admin-listen", port(raconfig.AdminPort), "address for /livez, /readyz, /status and /metrics")
	f.DurationVar(&o.drain, "drain", defaultDrain, "how long to go on serving after SIGTERM, not ready")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error, until the configuration names another")
	return cmd
}

func (o *signerOptions) run(ctx context.Context, out io.Writer) error {
	logger, level, err := newLogger(out, o.logLevel)
	if err != nil {
		return err
	}
	server, err := signer.New(signer.Options{
		Dirs:     o.dirs,
		Pod:      os.Getenv("POD_NAME"),
		Version:  version(),
		Logger:   logger,
		LogLevel: level,
		Drain:    o.drain,
	})
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	var listeners signer.Listeners
	if listeners.Admin, err = listen(ctx, o.admin); err != nil {
		return err
	}
	if listeners.Signer, err = listen(ctx, o.listen); err != nil {
		return err
	}
	logger.Info("signing", "version", version(), "listen", listeners.Signer.Addr().String(), "adminListen", listeners.Admin.Addr().String())
	return server.Run(ctx, listeners) // it names the listener
}
