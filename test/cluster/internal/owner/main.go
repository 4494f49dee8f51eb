// Command owner owns a cluster until it is killed. Tests kill it to see what is
// left.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/scepter-pki/scepter/test/cluster/lab"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: owner NAME")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := lab.Up(ctx, lab.Options{Name: os.Args[1], APIOnly: true}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, "up")
	<-ctx.Done() // the cluster ends with this process
}
