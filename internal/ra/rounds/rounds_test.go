package rounds

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestRun: a round at once, others when the last one said, when woken, and never in step
// with a clock that says at once.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began, woken := time.Now(), make(chan struct{})
		var at []time.Duration
		go Run(ctx, woken, time.Now, func(context.Context) time.Time {
			at = append(at, time.Since(began))
			if len(at) == 1 {
				return time.Now().Add(time.Minute)
			}
			return time.Now()
		})
		synctest.Wait()
		<-time.After(30 * time.Second)
		woken <- struct{}{}
		<-time.After(1500 * time.Millisecond)
		cancel()
		synctest.Wait()
		if len(at) != 3 || at[0] != 0 || at[1] != 30*time.Second || at[2] != 31*time.Second {
			t.Errorf("rounds at %v", at)
		}
	})
}
