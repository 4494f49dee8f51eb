package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/scepter-pki/scepter/test/rig"
)

// overlay installs config/default with the rig's images.
const overlay = `
resources: [%[1]s]
images:
- {name: scepter-pki/operator, newName: scepter.local/scepter-operator, newTag: dev}
patches:
- target: {kind: Deployment, name: scepter-operator}
  patch: |
    - {op: replace, path: /spec/template/spec/containers/0/args/%[2]d, value: --ra-image=scepter.local/scepter-ra:dev}
`

// raImageArg is the place of --ra-image among the operator's arguments in config/manager.
const raImageArg = 0

// TestKustomize swaps the Helm release for config/default. The custom resources
// stay meanwhile, and the other operator goes on with them.
func TestKustomize(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	base, err := filepath.Rel(dir, shared.rig.Path("config", "default"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "kustomization.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, overlay, base, raImageArg), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := shared.rig.Uninstall(ctx); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"apply", "--server-side", "--force-conflicts", "-k", dir},
		{"rollout", "status", "deployment/scepter-operator", "-n", rig.SystemNamespace, "--timeout=2m"},
	} {
		if err := shared.rig.Kubectl(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	touch(t)
	mustWait(t, "the operator to handle the endpoint", handled(t))
	mustBeReady(t)
	mustEnrol(t, through("https"), enrolment(t, newName()))
}
