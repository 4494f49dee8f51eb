// Package image checks the Dockerfile: it parses, the linter finds nothing, each
// image is one static program run by nobody in particular, and the build steps work.
//
// It is a module of its own because BuildKit's parser brings many dependencies.
package image

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

const root = "../.."

// programs are the targets; each has a build stage and a final stage.
var programs = []string{"operator", "ra"}

// parse reads the Dockerfile and returns its stages and what the linter says of it.
func parse(t *testing.T) ([]instructions.Stage, []string) {
	t.Helper()
	file, err := os.Open(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	tree, err := parser.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	var warnings []string
	for _, w := range tree.Warnings {
		warnings = append(warnings, w.Short)
	}
	lint := linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, _ []parser.Range) {
			warnings = append(warnings, rule+": "+message)
		},
	})
	stages, _, err := instructions.Parse(tree.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	return stages, warnings
}

func stage(t *testing.T, name string) instructions.Stage {
	t.Helper()
	stages, _ := parse(t)
	i := slices.IndexFunc(stages, func(s instructions.Stage) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("the Dockerfile has no stage %q", name)
	}
	return stages[i]
}

// commands are the instructions of one type in a stage.
func commands[T instructions.Command](s instructions.Stage) []T {
	var found []T
	for _, command := range s.Commands {
		if c, ok := command.(T); ok {
			found = append(found, c)
		}
	}
	return found
}

func TestLint(t *testing.T) {
	if _, warnings := parse(t); len(warnings) > 0 {
		t.Errorf("the linter warns:\n%s", strings.Join(warnings, "\n"))
	}
}

func TestLintFindsSomething(t *testing.T) {
	tree, err := parser.Parse(strings.NewReader("FROM scratch as x\n"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	lint := linter.New(&linter.Config{Warn: func(_, _, _, _ string, _ []parser.Range) { found = true }})
	if _, _, err := instructions.Parse(tree.AST, lint); err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Error("the linter does not mind FROM … as")
	}
}

func TestImagesHoldOneProgramAndRunAsNobody(t *testing.T) {
	for _, program := range programs {
		t.Run(program, func(t *testing.T) {
			s := stage(t, program)
			if s.BaseName != "scratch" {
				t.Errorf("the base is %s, want scratch", s.BaseName)
			}
			users := commands[*instructions.UserCommand](s)
			if len(users) != 1 || users[0].User != "65532:65532" {
				t.Errorf("the user is %v, want 65532:65532", users)
			}
			entries := commands[*instructions.EntrypointCommand](s)
			if len(entries) != 1 || entries[0].PrependShell || !slices.Equal(entries[0].CmdLine, []string{"/" + program}) {
				t.Errorf("the entry point is %v, want [/%s] without a shell", entries, program)
			}
			if runs := commands[*instructions.RunCommand](s); len(runs) > 0 {
				t.Errorf("an image from scratch runs %v", runs)
			}
		})
	}
}

// TestEverythingTheBuildNeedsIsCopied compares the directories the programs are
// made of with those that the stage "source" and .dockerignore let in.
func TestEverythingTheBuildNeedsIsCopied(t *testing.T) {
	var copied []string
	for _, c := range commands[*instructions.CopyCommand](stage(t, "source")) {
		copied = append(copied, c.SourcePaths...)
	}
	ignore, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	needed := []string{"go.mod", "go.sum"}
	for _, dir := range packageDirs(t) {
		needed = append(needed, strings.Split(dir, "/")[0])
	}
	for _, name := range needed {
		if !slices.Contains(copied, name) {
			t.Errorf("the stage source does not copy %s", name)
		}
		if !slices.Contains(strings.Split(string(ignore), "\n"), "!"+name) {
			t.Errorf(".dockerignore does not let %s in", name)
		}
	}
}

// packageDirs lists the directories, from the root, of our packages in the programs.
func packageDirs(t *testing.T) []string {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.ImportPath}}{{end}}{{end}}",
		"./cmd/operator", "./cmd/ra")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for path := range strings.FieldsSeq(string(out)) {
		dirs = append(dirs, strings.TrimPrefix(path, "github.com/scepter-pki/scepter/"))
	}
	return dirs
}

// TestBuildSteps runs each RUN line that builds a program, as its shell would.
func TestBuildSteps(t *testing.T) {
	for _, program := range programs {
		t.Run(program, func(t *testing.T) {
			runs := commands[*instructions.RunCommand](stage(t, "build-"+program))
			if len(runs) != 1 || !runs[0].PrependShell {
				t.Fatalf("want one RUN line for a shell, have %v", runs)
			}
			out := t.TempDir()
			script := strings.ReplaceAll(strings.Join(runs[0].CmdLine, " "), "/out/", out+"/")
			run := exec.Command("sh", "-ec", script)
			run.Dir = root
			run.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH)
			if output, err := run.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			for _, fault := range faults(t, filepath.Join(out, program)) {
				t.Error(fault)
			}
		})
	}
}

// TestEverybodyBuildsAlike compares the flags of the Dockerfile's "go build" with
// those of the Makefile and of the images that the end-to-end tests run.
func TestEverybodyBuildsAlike(t *testing.T) {
	const flags = `-trimpath -ldflags "-s -w"`
	const quoted = `"-trimpath", "-ldflags", "-s -w"`
	for file, build := range map[string]struct{ command, flags string }{
		"Dockerfile":         {"go build ", flags},
		"Makefile":           {"$(GO) build ", flags},
		"test/rig/images.go": {`"go", "build", `, quoted},
	} {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		builds := strings.Count(string(content), build.command)
		if alike := strings.Count(string(content), build.command+build.flags); alike == 0 || alike != builds {
			t.Errorf("%s: %d of %d builds have the flags %s", file, alike, builds, flags)
		}
	}
}

// faults lists what keeps a program from running in an image of its own, and
// from being the same bytes wherever it is built.
func faults(t *testing.T, program string) []string {
	t.Helper()
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for setting, want := range map[string]string{"CGO_ENABLED": "0", "-trimpath": "true", "GOOS": "linux", "GOARCH": runtime.GOARCH} {
		if !slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == setting && s.Value == want }) {
			found = append(found, fmt.Sprintf("it is not built with %s=%s", setting, want))
		}
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		found = append(found, "it needs a dynamic linker, which the image does not have")
	}
	if file.Section(".symtab") != nil {
		found = append(found, "it is not stripped")
	}
	return found
}
