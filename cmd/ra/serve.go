package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/scepter-pki/scepter/internal/probe"
	"github.com/scepter-pki/scepter/internal/ra"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// serveOptions are the flags of "ra serve".
type serveOptions struct {
	dirs                     reload.Dirs
	listen, tlsListen, admin string
	mint, localMint          string
	kubeconfig               string
	drain                    time.Duration
	logLevel                 string
	auditDir                 string
}

// defaultDrain of signers is as long as connections need to move on.
const defaultDrain = 5 * time.Second

func newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve one ScepEndpoint from the files that the operator mounts",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.dirs.Config, "config-dir", raconfig.ConfigDir, "directory with "+raconfig.ConfigFile)
	f.StringVar(&o.dirs.Keyrings, "keyrings-dir", raconfig.KeyringsDir, "directory with one directory for each earlier RA credential, with its keyring")
	f.StringVar(&o.dirs.Keyring, "keyring-dir", raconfig.KeyringDir, "directory with the RA credential's keyring")
	f.StringVar(&o.dirs.Challenges, "challenges-dir", raconfig.ChallengesDir, "directory with a directory for each static challenge")
	f.StringVar(&o.dirs.State, "state-dir", raconfig.StateDir, "directory with the endpoint's key")
	f.StringVar(&o.dirs.TLS, "tls-dir", raconfig.TLSDir, "directory with tls.crt and tls.key, where the servers end TLS")
	f.StringVar(&o.dirs.AdminTLS, "admin-tls-dir", raconfig.AdminTLSDir, "directory with tls.crt and tls.key, where challenges are minted over HTTPS")
	f.StringVar(&o.dirs.AdminBasic, "admin-basic-dir", raconfig.AdminBasicDir, "directory with the username and password that may mint challenges")
	f.StringVar(&o.dirs.AdminClients, "admin-clients-dir", raconfig.AdminClientsDir, "directory with "+raconfig.CABundleFile+", below which client certificates may mint challenges")
	f.StringVar(&o.dirs.Clients, "clients-dir", raconfig.ClientsDir, "directory with a directory for each client credential of webhooks")
	f.StringVar(&o.dirs.Signer, "signer-dir", raconfig.SignerDir, "directory with tls.crt and tls.key to reach the signers with, and their "+raconfig.PeersFile+", where the endpoint issues directly")
	f.StringVar(&o.listen, "listen", port(raconfig.DevicePort), "address for devices, over HTTP")
	f.StringVar(&o.tlsListen, "tls-listen", port(raconfig.DeviceTLSPort), "address for devices, over HTTPS; answers only while the configuration says so; empty: none")
	f.StringVar(&o.admin, "admin-listen", port(raconfig.AdminPort), "address for /livez, /readyz, /status and /metrics")
	f.StringVar(&o.mint, "mint-listen", port(raconfig.MintPort), "address where challenges are minted, over HTTPS; answers only while the configuration says so; empty: none")
	f.StringVar(&o.localMint, "local-mint-listen", net.JoinHostPort("127.0.0.1", strconv.Itoa(raconfig.LocalMintPort)), "loopback address where challenges are minted for port-forwards; empty: none")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "file with the API server's address and credentials; empty: those of the pod")
	f.DurationVar(&o.drain, "drain", -time.Second, "how long to go on serving after SIGTERM, not ready; negative: as the configuration says")
	f.StringVar(&o.auditDir, "audit-dir", raconfig.AuditDir, "directory to keep the newest audit records in; empty: they are not kept")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error, until the configuration names another")
	return cmd
}

func port(n int) string { return ":" + strconv.Itoa(n) }

func (o *serveOptions) run(ctx context.Context, out io.Writer) error {
	logger, level, err := newLogger(out, o.logLevel)
	if err != nil {
		return err
	}
	klog.SetSlogLogger(logger) // what the Kubernetes libraries log
	cluster, err := clientConfig(o.kubeconfig)
	if err != nil {
		return err
	}
	listeners, err := o.listeners(ctx)
	if err != nil {
		return err
	}
	prober, err := probe.NewRunner(ownAddress(listeners.Device), probe.Prober{Now: clock})
	if err != nil {
		return fmt.Errorf("prepare probes: %w", err)
	}
	server, err := ra.New(ra.Options{
		Dirs:    o.dirs,
		Cluster: cluster,
		Pod:     os.Getenv("POD_NAME"),
		Version: version(),
		Logger:  logger,
		Now:     clock,
		Drain:   o.drain,

		LogLevel: level,

		AuditDir: o.auditDir,
		Prober:   prober,
	})
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	logger.Info("serving", "version", version(), "listen", listeners.Device.Addr().String(), "adminListen", listeners.Admin.Addr().String())
	return server.Run(ctx, listeners) // it names the listener or the step
}

// ownAddress is where a listener is reached from this host.
func ownAddress(l net.Listener) string {
	host, number, err := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", number)
	}
	return l.Addr().String()
}

// newLogger makes a logger whose level can be changed.
func newLogger(out io.Writer, level string) (*slog.Logger, *slog.LevelVar, error) {
	l := &slog.LevelVar{}
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("flag --log-level: %w", err)
	}
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: l})), l, nil
}

func clientConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("find the API server (in a pod, or by --kubeconfig): %w", err)
	}
	config.UserAgent = "scepter-ra/" + version()
	return config, nil
}

// listeners opens every address before anything is served.
func (o *serveOptions) listeners(ctx context.Context) (l ra.Listeners, err error) {
	if l.Admin, err = listen(ctx, o.admin); err != nil {
		return l, err
	}
	if l.Device, err = listen(ctx, o.listen); err != nil {
		return l, err
	}
	for _, optional := range []struct {
		address string
		into    *net.Listener
	}{{o.tlsListen, &l.TLS}, {o.mint, &l.Mint}, {o.localMint, &l.LocalMint}} {
		if optional.address == "" {
			continue
		}
		if *optional.into, err = listen(ctx, optional.address); err != nil {
			return l, err
		}
	}
	return l, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}
