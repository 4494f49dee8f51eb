package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/scepter-pki/scepter/test/cluster/internal/progress"
	"github.com/scepter-pki/scepter/test/cluster/node"
)

// EnvtestAssets builds Kubernetes if it is not built yet and returns a directory
// with etcd, kube-apiserver and kubectl, as controller-runtime's envtest wants
// it (KUBEBUILDER_ASSETS). It needs no root. Log may be nil.
func EnvtestAssets(ctx context.Context, log io.Writer) (string, error) {
	cache, root, err := openCache(ctx, progress.New(log))
	if err != nil {
		return "", err
	}
	programs, err := buildTargets(ctx, cache, root, []string{"kube"})
	if err != nil {
		return "", err
	}
	// The cache entry is named by content, so the links never change.
	dir := filepath.Join(filepath.Dir(programs["kube"]), "envtest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("envtest's assets: %w", err)
	}
	if err := node.LinkComponents(programs["kube"], dir); err != nil {
		return "", fmt.Errorf("envtest's assets: %w", err)
	}
	return dir, nil
}

// Build builds everything that clusters are made of.
func Build(ctx context.Context, log io.Writer) error {
	cache, root, err := openCache(ctx, progress.New(log))
	if err != nil {
		return err
	}
	_, err = buildTargets(ctx, cache, root, []string{"kube", "traefik", "certmanager", "helm", "coredns"})
	return err
}
