// Command keeper holds one cluster together.
//
//	keeper keep DIR           owns the cluster: makes its namespaces, and cleans up when it ends
//	keeper init DIR           the first process inside (package agent)
//	keeper exec DIR COMMAND…  runs a command inside
//
// DIR is the cluster's state directory.
package main

import (
	"fmt"
	"os"
)

var commands = map[string]func(dir string, args []string) (exitCode int, err error){
	"keep": keep,
	"init": initialize,
	"exec": execute,
	// become is the second half of exec.
	"become": become,
}

func main() {
	if len(os.Args) < 3 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: keeper keep|init|exec DIR [COMMAND…]")
		os.Exit(2)
	}
	code, err := commands[os.Args[1]](os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "keeper %s: %v\n", os.Args[1], err)
	}
	os.Exit(code)
}
