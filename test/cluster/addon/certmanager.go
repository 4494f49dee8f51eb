package addon

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/scepter-pki/scepter/test/cluster/build"
)

const certManagerNamespace = "cert-manager"

var certManager = Addon{
	Name:     "cert-manager",
	Programs: []string{"certmanager", "helm"},
	install:  installCertManager,
	deployments: []string{
		certManagerNamespace + "/cert-manager",
		certManagerNamespace + "/cert-manager-webhook",
		certManagerNamespace + "/cert-manager-cainjector",
	},
	serving: certManagerServing,
}

// installCertManager installs cert-manager's own Helm chart, from its module,
// with images of our build.
func installCertManager(ctx context.Context, env Env) error {
	module, err := build.ModuleDir(ctx, filepath.Join(env.Root, "test", "cluster", "build", "modules", "certmanager"),
		"github.com/cert-manager/cert-manager")
	if err != nil {
		return err
	}
	err = loadProgram(ctx, env, "certmanager", map[string][]string{
		"cert-manager-controller": {"controller"},
		"cert-manager-webhook":    {"webhook"},
		"cert-manager-cainjector": {"cainjector"},
	})
	if err != nil {
		return err
	}
	chart := filepath.Join(module, "deploy", "charts", "cert-manager")
	args := []string{
		"upgrade", "--install", "cert-manager", chart,
		"--namespace", certManagerNamespace, "--create-namespace",
		"--set", "crds.enabled=true",
		"--set", "startupapicheck.enabled=false",
	}
	for values, name := range map[string]string{
		"image": "controller", "webhook.image": "webhook", "cainjector.image": "cainjector",
	} {
		args = append(args,
			"--set", values+".repository=scepter.local/cert-manager-"+name,
			"--set", values+".tag=test",
			"--set", values+".pullPolicy=Never",
		)
	}
	_, err = env.Cluster.Helm(ctx, args...)
	return err
}

// certManagerProbe is refused until the webhook answers and the API server
// trusts it.
const certManagerProbe = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: probe, namespace: default}
spec: {selfSigned: {}}
`

// certManagerServing waits until the webhook admits an object.
func certManagerServing(ctx context.Context, env Env) error {
	const limit = 60 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := env.Cluster.DryRun(ctx, []byte(certManagerProbe))
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("its webhook did not admit an Issuer within %s: %w", limit, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
