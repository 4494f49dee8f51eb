package addon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/scepter-pki/scepter/test/cluster/build"
)

// alpha are the kinds that Traefik 3.6 asks for in v1alpha2: the experimental channel
// serves that version, the standard one does not any more.
var alpha = []string{"tcproutes", "tlsroutes"}

// installGatewayAPI installs the standard channel's resource definitions, from
// their module, and those of the experimental one for what is served only there.
func installGatewayAPI(ctx context.Context, env Env) error {
	module, err := build.ModuleDir(ctx, env.Root, "sigs.k8s.io/gateway-api")
	if err != nil {
		return err
	}
	crds := filepath.Join(module, "config", "crd")
	files, err := filepath.Glob(filepath.Join(crds, "standard", gatewayFile("*")))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no resource definitions in %s", module)
	}
	slices.Sort(files)
	var all bytes.Buffer
	for _, file := range files {
		for _, kind := range alpha {
			if filepath.Base(file) == gatewayFile(kind) {
				file = filepath.Join(crds, "experimental", gatewayFile(kind))
			}
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(&all, "---\n%s\n", content)
	}
	if err := env.Cluster.Apply(ctx, all.Bytes()); err != nil {
		return err
	}
	_, err = env.Cluster.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=30s",
		"crd/gateways.gateway.networking.k8s.io", "crd/tcproutes.gateway.networking.k8s.io", "crd/tlsroutes.gateway.networking.k8s.io")
	return err
}

func gatewayFile(kind string) string { return "gateway.networking.k8s.io_" + kind + ".yaml" }

func installTraefik(ctx context.Context, env Env) error {
	if err := loadProgram(ctx, env, "traefik", map[string][]string{"traefik": nil}); err != nil {
		return err
	}
	return applyManifest(ctx, env, "traefik.yaml", reference("traefik"))
}
