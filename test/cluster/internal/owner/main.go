// Command owner owns a cluster until it is killed. Tests kill it to see what is
// left.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/scepter-pki/scepter/test/cluster/lab"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: owner NAME")
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := own(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-ctx.Done() // the cluster ends with this process
	return 0
}

// own brings the cluster up and says so by a file in its state directory.
func own(ctx context.Context, name string) error {
	cluster, err := lab.Up(ctx, lab.Options{Name: name, APIOnly: true})
	if err != nil {
		return err
	}
	pki := filepath.Dir(cluster.Kubeconfig())
	return os.WriteFile(filepath.Join(filepath.Dir(pki), "up"), nil, 0o644)
}
