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
	"k8s.io/apimachinery/pkg/types"

	"github.com/scepter-pki/scepter/controllers/ingresslimit"
	"github.com/scepter-pki/scepter/internal/remedy"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// options are what the flags and the environment say.
type options struct {
	program                 render.Program
	metricsAddress          string
	healthAddress           string
	leaderElection          bool
	leaderElectionNamespace string
	namespaces              []string
	ingressLimit            *ingresslimit.Target
	limits                  remedy.Limits
	logLevel                slog.Level
}

func parse(args []string, getenv func(string) string, output io.Writer) (*options, error) {
	o := &options{limits: remedy.Limits{Budget: remedy.DefaultShare, Wave: remedy.DefaultShare}}
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.program.Image, "ra-image", "", "image of the registration-authority servers (required)")
	flags.Func("ra-image-pull-policy", "when that image is pulled: Always, IfNotPresent or Never", func(s string) error {
		o.program.PullPolicy = corev1.PullPolicy(s)
		return checkPullPolicy(o.program.PullPolicy)
	})
	flags.StringVar(&o.program.ClusterRole, "ra-cluster-role", "scepter-ra", "ClusterRole that is bound to the servers in their namespaces")
	flags.StringVar(&o.program.DirectClusterRole, "ra-direct-cluster-role", "scepter-ra-direct", "ClusterRole that is bound in its place for endpoints that issue directly")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", `address of /metrics; "0" turns it off`)
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", `address of /healthz and /readyz; "0" turns it off`)
	flags.BoolVar(&o.leaderElection, "leader-elect", false, "elect a leader, so that several operators can run side by side")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", getenv("POD_NAMESPACE"), "namespace of the leader's Lease; POD_NAMESPACE if left out")
	flags.Func("namespaces", "namespaces to work in, separated by commas; all if left out", func(s string) error {
		o.namespaces = splitNames(s)
		return nil
	})
	flags.Func("ingress-limit", "keep the setting for long URLs in an ingress controller's ConfigMap: <implementation>=<namespace>/<name>", func(s string) (err error) {
		o.ingressLimit, err = parseIngressLimit(s)
		return err
	})
	flags.Var(&o.limits.Budget, "remedy-budget", "endpoints whose servers may be replaced at a time to mend something: a number, or a percentage of all; at least one")
	flags.Var(&o.limits.Wave, "image-wave", "endpoints that get another --ra-image at a time, likewise")
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
	case o.program.DirectClusterRole == "":
		return errors.New("--ra-direct-cluster-role must not be empty")
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

// parseIngressLimit reads <implementation>=<namespace>/<name>.
func parseIngressLimit(s string) (*ingresslimit.Target, error) {
	id, at, _ := strings.Cut(s, "=")
	namespace, name, _ := strings.Cut(at, "/")
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return nil, errors.New("must be <implementation>=<namespace>/<name>")
	}
	implementation, found := route.ByID(id)
	if !found || implementation.Global == nil {
		return nil, fmt.Errorf("%q has no such setting in a ConfigMap", id)
	}
	return &ingresslimit.Target{Implementation: implementation, ConfigMap: types.NamespacedName{Namespace: namespace, Name: name}}, nil
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
