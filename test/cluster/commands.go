package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scepter-pki/scepter/test/cluster/lab"
)

const defaultName = "dev"

// cli holds the flags that all commands have.
type cli struct{ name string }

func newRootCommand() *cobra.Command {
	c := &cli{}
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "A real Kubernetes on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&c.name, "name", defaultName, "the cluster's name")
	root.AddCommand(
		c.upCommand(), c.downCommand(), c.statusCommand(), c.logsCommand(), c.loadCommand(),
		c.passCommand("kubectl", "Run kubectl against the cluster", (*lab.Cluster).KubectlCommand),
		c.passCommand("helm", "Run Helm against the cluster", (*lab.Cluster).HelmCommand),
		c.passCommand("exec", "Run a command in the cluster's namespaces", execCommand),
		buildCommand(), assetsCommand(),
	)
	return root
}

func (c *cli) upCommand() *cobra.Command {
	o := lab.Options{Detach: true, Log: os.Stderr}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster, or add addons to one that is up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Name = c.name
			cluster, err := lab.Ensure(cmd.Context(), o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Cluster %s is up.\n  export KUBECONFIG=%s\n", c.name, cluster.Kubeconfig())
			return err
		},
	}
	cmd.Flags().BoolVar(&o.APIOnly, "api-only", false, "etcd and API server only, no node")
	cmd.Flags().StringSliceVar(&o.With, "with", nil, "addons: cert-manager, gateway-api, traefik")
	return cmd
}

func (c *cli) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the cluster and remove all traces of it",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return lab.Remove(cmd.Context(), c.name) },
	}
}

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the cluster's programs and pods",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := lab.Attach(c.name)
			if err != nil {
				return err
			}
			return cluster.WriteStatus(cmd.Context(), os.Stdout)
		},
	}
}

func (c *cli) logsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logs COMPONENT",
		Short: "Print the log of a component, such as kubelet or kube-apiserver",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cluster, err := lab.Attach(c.name)
			if err != nil {
				return err
			}
			log, err := cluster.Logs(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = log.Close() }()
			_, err = io.Copy(os.Stdout, log)
			return err
		},
	}
}

func (c *cli) loadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "load TARBALL",
		Short: "Give the cluster the images in a tarball",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := lab.Attach(c.name)
			if err != nil {
				return err
			}
			return cluster.LoadImage(cmd.Context(), args[0])
		},
	}
}

// passCommand hands all its arguments on to another program. A --name before
// them is ours.
func (c *cli) passCommand(name, short string, prepare func(*lab.Cluster, context.Context, ...string) *exec.Cmd) *cobra.Command {
	return &cobra.Command{
		Use:                name + " [--name NAME] ARGUMENT...",
		Short:              short,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			clusterName, args := splitName(c.name, args)
			if len(args) == 0 && name == "exec" {
				return fmt.Errorf("exec: no command")
			}
			cluster, err := lab.Attach(clusterName)
			if err != nil {
				return err
			}
			program := prepare(cluster, cmd.Context(), args...)
			program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
			return asExitStatus(program.Run())
		},
	}
}

func asExitStatus(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exitStatus(exit.ExitCode())
	}
	return err
}

// splitName takes a leading --name and a leading -- from the arguments of
// another program.
func splitName(name string, args []string) (string, []string) {
	if len(args) >= 2 && args[0] == "--name" {
		name, args = args[1], args[2:]
	} else if len(args) >= 1 && strings.HasPrefix(args[0], "--name=") {
		name, args = strings.TrimPrefix(args[0], "--name="), args[1:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	return name, args
}

func execCommand(c *lab.Cluster, ctx context.Context, command ...string) *exec.Cmd {
	return c.Exec(ctx, command...)
}

func buildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build",
		Short: "Build everything that clusters are made of",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return lab.Build(cmd.Context(), os.Stderr) },
	}
}

func assetsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "assets",
		Short: "Print the directory for envtest's KUBEBUILDER_ASSETS",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := lab.EnvtestAssets(cmd.Context(), os.Stderr)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), dir)
			return err
		},
	}
}
