// Package rounds runs what looks at things again and again, each time when it says itself.
package rounds

import (
	"context"
	"time"
)

// shortest is between two rounds, unless something wakes them.
const shortest = time.Second

// Run makes a round at once, and the next when the last one says or when woken, until the
// context ends.
func Run(ctx context.Context, woken <-chan struct{}, now func() time.Time, round func(context.Context) (next time.Time)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-woken:
		case <-timer.C:
		}
		timer.Reset(max(round(ctx).Sub(now()), shortest))
	}
}
