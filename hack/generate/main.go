// Command generate makes every generated file of the repository from its source:
//
//	api/v1alpha1 types        -> deepcopy, apply configurations, config/crd
//	markers in controllers/   -> config/rbac/role.yaml
//	config/{crd,rbac,admission,prometheus} -> charts/scepter/files
//	config/crd                 -> docs/crds/*-fields.md
//	api/v1alpha1/conditions.go -> docs/conditions.md
//	internal/scep/rfc8894      -> docs/rfc8894.md
//	test/failures              -> docs/failures.md
//	internal/render/route      -> docs/ingress.md
//
// With -check it generates into a temporary copy of the tree and reports what
// differs, so that it works in a tree with uncommitted changes.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// step makes some of the generated files in the tree at root.
type step struct {
	name string
	run  func(root string) error
}

var steps = []step{
	{"deepcopy, apply configurations and CRDs", controllerGen(
		"object", "applyconfiguration", "crd:generateEmbeddedObjectMeta=false",
		"paths=./api/...", "output:crd:dir=config/crd")},
	{"operator role", controllerGen(
		"rbac:roleName=scepter-operator", "paths=./controllers/...", "output:rbac:dir=config/rbac")},
	{"chart files", writeChartFiles},
	{"docs/crds/*-fields.md", writeFields},
	{"docs/conditions.md", writeConditions},
	{"docs/rfc8894.md", writeRequirements},
	{"docs/failures.md", writeFailures},
	{"docs/ingress.md", writeIngress},
}

// generated lists, as globs from the root, the files that the steps make.
var generated = []string{
	"api/v1alpha1/zz_generated.deepcopy.go",
	"api/v1alpha1/applyconfiguration/*.go",
	"api/v1alpha1/applyconfiguration/*/*.go",
	"api/v1alpha1/applyconfiguration/*/*/*.go",
	"config/crd/scepter.dev_*.yaml",
	"config/rbac/role.yaml",
	"charts/scepter/files/*/*.yaml",
	"docs/crds/*-fields.md",
	"docs/conditions.md",
	"docs/rfc8894.md",
	"docs/failures.md",
	"docs/ingress.md",
}

func main() {
	check := flag.Bool("check", false, "report generated files that are not up to date, and change nothing")
	flag.Parse()
	run := generate
	if *check {
		run = verify
	}
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate(root string) error {
	for _, s := range steps {
		if err := s.run(root); err != nil {
			return fmt.Errorf("generate %s: %w", s.name, err)
		}
	}
	return nil
}

// controllerGen runs controller-gen, at the version that hack/tools/go.mod names.
func controllerGen(args ...string) func(string) error {
	return func(root string) error {
		tool := append([]string{"tool", "-modfile=hack/tools/go.mod", "controller-gen"}, args...)
		cmd := exec.Command("go", tool...)
		cmd.Dir = root
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd.Run()
	}
}

// writeFile writes a generated file, and its directory first.
func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
