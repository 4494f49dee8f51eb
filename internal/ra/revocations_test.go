package ra

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/revocation"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

func TestWhySourcesAreSilent(t *testing.T) {
	t.Parallel()
	called := func(err error) error {
		return fmt.Errorf("call: %w", &url.Error{Op: "Get", URL: "http://crl.example.com", Err: err})
	}
	for want, err := range map[raconfig.AwayReason]error{
		raconfig.AwayStatus:       fmt.Errorf("http://crl.example.com: %w", &revocation.StatusError{Status: 404}),
		raconfig.AwayStale:        revocation.ErrStale,
		raconfig.AwayNameUnknown:  called(&net.DNSError{Name: "crl.example.com", IsNotFound: true}),
		raconfig.AwayTimeout:      called(context.DeadlineExceeded),
		raconfig.AwayUnreachable:  called(errors.New("connection refused")),
		raconfig.AwayUnverifiable: errors.New("it is not the issuer's"),
	} {
		if got, _ := whySilent(&revocation.SourceError{Err: err}); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
