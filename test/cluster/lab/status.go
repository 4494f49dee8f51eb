package lab

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/scepter-pki/scepter/test/cluster/node/agent"
)

// WriteStatus writes what runs in the cluster, for a person.
func (c *Cluster) WriteStatus(ctx context.Context, w io.Writer) error {
	if l, ok := c.place.(local); ok {
		if err := writePrograms(ctx, l.Agent(), w); err != nil {
			return err
		}
	}
	pods, err := c.Kubectl(ctx, "get", "pods", "--all-namespaces")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\n%s", pods)
	return err
}

func writePrograms(ctx context.Context, client agent.Client, w io.Writer) error {
	programs, err := client.Programs(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "PROGRAM\tSTATE")
	for _, p := range programs {
		state := "running"
		if !p.Running {
			state = p.Exit
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", p.Name, state)
	}
	return table.Flush() // tells of any failure before
}
