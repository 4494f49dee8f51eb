package policy

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

func TestCheckValidity(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	noon := time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		begin, end, asked time.Duration
		fits              bool
	}{
		"as asked":                {0, 30 * day, 30 * day, true},
		"shorter":                 {0, day, 30 * day, true},
		"begun the day before":    {-day, 30 * day, 30 * day, true},
		"longer":                  {0, 33 * day, 30 * day, false},
		"begun long before":       {-3 * day, 30 * day, 30 * day, false},
		"of an issuer of our own": {0, 3650 * day, 0, true},
	} {
		err := CheckValidity(&x509.Certificate{NotBefore: noon.Add(tc.begin), NotAfter: noon.Add(tc.end)}, tc.asked)
		if got, refused := refusal.As(err); refused == tc.fits || refused && got.Reason != refusal.IssuedMismatch {
			t.Errorf("%s: %v", name, err)
		}
	}
}
