// Package serving is the life of a process's HTTP servers, the same for registration
// authorities and signers: they start, drain, and come to their end.
package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Start serves a listener in the background. An error that ends it, but for Shutdown's,
// is sent to failed, which needs room for one of each server.
func Start(server *http.Server, listener net.Listener, failed chan<- error) {
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve %s: %w", listener.Addr(), err)
		}
	}()
}

// Drain waits while others take notice that this process ends. It returns early, with
// its error, if a server fails meanwhile.
func Drain(delay time.Duration, failed <-chan error) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return err
	}
}

// Shutdown lets what is being answered come to its end, within the limit.
func Shutdown(ctx context.Context, limit time.Duration, servers []*http.Server) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close()
		}
	}
}
