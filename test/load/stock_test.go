package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/stock"
)

// stockDevice is a client of somebody else under a supervisor: when it gives up without
// a certificate, it is started again with the same key.
type stockDevice struct {
	client stock.Client
	dir    string
	tally  *tally
	logf   func(format string, args ...any)
}

// stockTries is how often a supervisor starts it; an outage of a server takes seconds.
const stockTries = 20

func (s *stockDevice) enrol(ctx context.Context, name string, held *holdings) error {
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	var last error
	for range stockTries {
		got, err := s.client.Enrol(ctx, s.dir, stock.Request{
			URL: "http://" + host + "/scep", CommonName: name, Organization: organization,
			Challenge: challenge, PollInterval: time.Second,
		})
		if err == nil {
			s.served(name, got, held)
			return nil
		}
		var gaveUp *stock.ClientError
		if !errors.As(err, &gaveUp) {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.tally.met("stock client gave up")
		s.logf("%s gave up: %v", name, gaveUp)
		// A program may fall over with its certificate saved: certmonger, started again,
		// would renew that.
		if got, err := stock.ReadIdentity(s.dir); err == nil {
			s.served(name, got, held)
			return nil
		}
		last = err
		if err := errors.Join(s.forget(), pause(ctx, retryPause)); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s is lost: %w", name, last)
}

func (s *stockDevice) served(name string, got *stock.Identity, held *holdings) {
	s.tally.answered(scep.StatusSuccess)
	held.add(name, got.Certificate)
}

// forget removes what a client has noted about its first try, but not its key.
func (s *stockDevice) forget() error { return os.RemoveAll(filepath.Join(s.dir, "certmonger")) }
