package stock

import (
	"context"

	"github.com/scepter-pki/scepter/test/debian"
)

// Install installs the Debian packages if a client is missing. It needs root for that.
func Install(ctx context.Context) error {
	missing := debian.Missing(ctx, Packages...)
	if len(missing) == 0 {
		return nil
	}
	return debian.Install(ctx, missing...)
}
