package addon

import "context"

func installCoreDNS(ctx context.Context, env Env) error {
	if err := loadProgram(ctx, env, "coredns", map[string][]string{"coredns": nil}); err != nil {
		return err
	}
	return applyManifest(ctx, env, "coredns.yaml", reference("coredns"))
}
