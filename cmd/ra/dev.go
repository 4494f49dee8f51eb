package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra"
	"github.com/scepter-pki/scepter/internal/ra/dev"
)

// devOptions are the flags of "ra dev".
type devOptions struct {
	listen, admin string
	dir           string
	challenge     string
	allowAnyone   bool
	template      string
	legacy        []string
	issueDelay    time.Duration
	logLevel      string
}

func newDevCommand() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Try SCEP out: an RA with a CA of its own in a directory, without a cluster",
		Long: `A registration authority with a CA of its own, for trying things out and for
conformance tests; the CA's key lies in a file, so not for production. It works on
requests as in a pod, but issues by itself. The second start in a directory goes on
with the CA and the RA certificates of the first.`,
		Example: `  ra dev --listen 127.0.0.1:8080 --challenge secret --dir ra-dev`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "directory of the CA and the RA's files; made on first use")
	f.StringVar(&o.challenge, "challenge", "", "password that devices have to bring")
	f.BoolVar(&o.allowAnyone, "allow-anyone", false, "let devices in without a challenge")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address for devices, over HTTP")
	f.StringVar(&o.admin, "admin-listen", "127.0.0.1:8081", "address for /healthz, /status and /metrics")
	f.StringVar(&o.template, "template", "", "file with a CertificateTemplate; left out: client certificates for any subject")
	f.StringSliceVar(&o.legacy, "legacy", nil, "weak algorithms to accept: "+strings.Join(legacyNames(), ", "))
	f.DurationVar(&o.issueDelay, "issue-delay", 0, "how long a request is answered PENDING, from the first on")
	f.StringVar(&o.logLevel, "log-level", "info", "of the records on standard error: debug, info, warn or error")
	return cmd
}

// legacyAlgorithms are the values of --legacy.
var legacyAlgorithms = []v1alpha1.LegacyAlgorithm{v1alpha1.SHA1, v1alpha1.TripleDES, v1alpha1.MD5, v1alpha1.SingleDES}

func legacyNames() []string {
	names := make([]string, len(legacyAlgorithms))
	for i, a := range legacyAlgorithms {
		names[i] = string(a)
	}
	return names
}

// run prints for a person on out, and the records of a pod on log.
func (o *devOptions) run(ctx context.Context, out, log io.Writer) error {
	settings, err := o.settings()
	if err != nil {
		return err
	}
	logger, _, err := newLogger(log, o.logLevel)
	if err != nil {
		return err
	}
	home, err := dev.Open(settings)
	if err != nil {
		return fmt.Errorf("flag --dir: %w", err)
	}
	defer func() { _ = home.Close() }() // the process ends
	server, err := ra.New(ra.Options{
		Dirs:    home.Dirs,
		Issuer:  home.Issuer(o.issueDelay),
		Pod:     hostname(),
		Version: version(),
		Logger:  logger,
	})
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	listeners, err := (&serveOptions{listen: o.listen, admin: o.admin}).listeners(ctx)
	if err != nil {
		return err
	}
	go greet(ctx, server, newGreeting(o, home.CA, listeners), out)
	return server.Run(ctx, listeners)
}

// greet prints once a device would be served.
func greet(ctx context.Context, server *ra.Server, g *greeting, out io.Writer) {
	select {
	case <-server.Ready():
		_ = g.write(out) // a reader who has gone does not stop the server
	case <-ctx.Done():
	}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

var (
	errNoDir       = errors.New("flag --dir: say where the CA and the RA's files are to be, or are")
	errNoChallenge = errors.New("flag --challenge: give a password, or let everybody in with --allow-anyone")
	errBoth        = errors.New("flag --allow-anyone: with it there is no --challenge")
	errChallenge   = errors.New("flag --challenge: a password has no control characters")
	errDelay       = errors.New("flag --issue-delay: it cannot be negative")
)

// settings checks the flags.
func (o *devOptions) settings() (dev.Options, error) {
	switch {
	case o.dir == "":
		return dev.Options{}, errNoDir
	case o.challenge == "" && !o.allowAnyone:
		return dev.Options{}, errNoChallenge
	case o.challenge != "" && o.allowAnyone:
		return dev.Options{}, errBoth
	case strings.ContainsFunc(o.challenge, unicode.IsControl):
		return dev.Options{}, errChallenge
	case o.issueDelay < 0:
		return dev.Options{}, errDelay
	}
	legacy, err := parseLegacy(o.legacy)
	if err != nil {
		return dev.Options{}, err
	}
	template := dev.DefaultTemplate()
	if o.template != "" {
		if template, err = dev.ReadTemplate(o.template); err != nil {
			return dev.Options{}, fmt.Errorf("flag --template: %w", err)
		}
	}
	return dev.Options{Dir: o.dir, Challenge: o.challenge, Template: template, Legacy: legacy, Now: time.Now}, nil
}

func parseLegacy(names []string) ([]v1alpha1.LegacyAlgorithm, error) {
	var out []v1alpha1.LegacyAlgorithm
	for _, name := range names {
		same := func(a v1alpha1.LegacyAlgorithm) bool { return strings.EqualFold(string(a), strings.TrimSpace(name)) }
		i := slices.IndexFunc(legacyAlgorithms, same)
		if i < 0 {
			return nil, fmt.Errorf("flag --legacy: %q is none of %s", name, strings.Join(legacyNames(), ", "))
		}
		out = append(out, legacyAlgorithms[i])
	}
	return out, nil
}
