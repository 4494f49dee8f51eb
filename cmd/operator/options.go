package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"github.com/scepter-pki/scepter/internal/render"
)

// options are what the flags and the environment say.
type options struct {
	program                 render.Program
	metricsAddress          string
	healthAddress           string
	leaderElection          bool
	leaderElectionNamespace string
	namespaces              []string
	logLevel                slog.Level
}

func parse(args []string, getenv func(string) string, output io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.program.Image, "ra-image", "", "image of the registration-authority servers (required)")
	flags.Func("ra-image-pull-policy", "when that image is pulled: Always, IfNotPresent or Never", func(s string) error {
		o.program.PullPolicy = corev1.PullPolicy(s)
		return checkPullPolicy(o.program.PullPolicy)
	})
	flags.StringVar(&o.program.ClusterRole, "ra-cluster-role", "scepter-ra", "ClusterRole that is bound to the servers in their namespaces")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", `address of /metrics; "0" turns it off`)
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", `address of /healthz and /readyz; "0" turns it off`)
	flags.BoolVar(&o.leaderElection, "leader-elect", false, "elect a leader, so that several operators can run side by side")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", getenv("POD_NAMESPACE"), "namespace of the leader's Lease; POD_NAMESPACE if left out")
	flags.Func("namespaces", "namespaces to work in, separated by commas; all if left out", func(s string) error {
		o.namespaces = splitNames(s)
		return nil
	})
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "least level that is logged: debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return nil, err //nolint:wrapcheck // the flag package has said it all
	}
	return o, o.check(flags.Args())
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.program.Image == "":
		return errors.New("--ra-image is required: name the image of the registration-authority servers")
	case o.program.ClusterRole == "":
		return errors.New("--ra-cluster-role must not be empty")
	}
	return nil
}

func checkPullPolicy(p corev1.PullPolicy) error {
	switch p {
	case "", corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
		return nil
	}
	return errors.New("must be Always, IfNotPresent or Never")
}

func splitNames(s string) []string {
	var names []string
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// newLogger logs JSON lines.
func newLogger(to io.Writer, level slog.Level) logr.Logger {
	return logr.FromSlogHandler(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level}))
}

// version is what the Go toolchain stamped into the program.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
