package stock

import (
	"context"
	"slices"

	"github.com/scepter-pki/scepter/test/debian"
)

// Install installs Packages, and more of them, where they are missing. It needs root
// for that.
func Install(ctx context.Context, more ...string) error {
	missing := debian.Missing(ctx, slices.Concat(Packages, more)...)
	if len(missing) == 0 {
		return nil
	}
	return debian.Install(ctx, missing...)
}
