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

// installGatewayAPI installs the standard channel's resource definitions, from
// their module.
func installGatewayAPI(ctx context.Context, env Env) error {
	module, err := build.ModuleDir(ctx, env.Root, "sigs.k8s.io/gateway-api")
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(module, "config", "crd", "standard", "gateway.networking.k8s.io_*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no resource definitions in %s", module)
	}
	slices.Sort(files)
	var all bytes.Buffer
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(&all, "---\n%s\n", content)
	}
	if err := env.Cluster.Apply(ctx, all.Bytes()); err != nil {
		return err
	}
	_, err = env.Cluster.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=30s", "crd/gateways.gateway.networking.k8s.io")
	return err
}

func installTraefik(ctx context.Context, env Env) error {
	if err := loadProgram(ctx, env, "traefik", map[string][]string{"traefik": nil}); err != nil {
		return err
	}
	return applyManifest(ctx, env, "traefik.yaml", reference("traefik"))
}
