package scep_test

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// noon is when these tests happen.
var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func atNoon(change func(*scep.Settings)) scep.Settings {
	s := scep.Settings{Now: func() time.Time { return noon }}
	change(&s)
	return s
}

// Certificates of devices with wrong clocks pass unless a tolerance is set, and
// then within it.
func TestClockTolerance(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	day := 24 * time.Hour
	for name, test := range map[string]struct {
		from, to  time.Duration // of the certificate, from noon
		tolerance time.Duration
		accepted  bool
	}{
		"valid":                  {-day, day, time.Hour, true},
		"expired, not looked at": {-2 * day, -day, 0, true},
		"early, not looked at":   {day, 2 * day, 0, true},
		"expired, tolerated":     {-2 * day, -day, day, true},
		"expired, too long ago":  {-2 * day, -day, day - time.Second, false},
		"early, tolerated":       {day, 2 * day, day, true},
		"too early":              {day, 2 * day, day - time.Second, false},
	} {
		m := b.message(t)
		m.Signer = sceptest.SelfSigned(t, &x509.Certificate{NotBefore: noon.Add(test.from), NotAfter: noon.Add(test.to)}, m.SignerKey)
		settings := atNoon(func(s *scep.Settings) { s.ClockTolerance = test.tolerance })
		wantAccepted(t, name, m, b, settings, test.accepted, scep.BadRequest,
			"the certificate that signed the message is not valid now: check the clock")
	}
}

func wantAccepted(t *testing.T, name string, m sceptest.Message, b bench, s scep.Settings, accepted bool, info scep.FailInfo, text string) {
	t.Helper()
	_, err := scep.Open(m.Bytes(t), b.id, s)
	var refused *scep.MessageError
	switch {
	case accepted && err != nil:
		t.Errorf("%s: %v", name, err)
	case !accepted && (!errors.As(err, &refused) || refused.FailInfo != info || refused.Text != text):
		t.Errorf("%s: got %v", name, err)
	}
}

// badTime is for those who ask for it.
func TestBadTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, test := range map[string]struct {
		signed   time.Time // zero: not said
		limit    time.Duration
		accepted bool
	}{
		"not looked at":  {noon.AddDate(-50, 0, 0), 0, true},
		"not said":       {time.Time{}, time.Minute, true},
		"exact":          {noon, time.Minute, true},
		"slow":           {noon.Add(-time.Minute), time.Minute, true},
		"fast":           {noon.Add(time.Minute), time.Minute, true},
		"too slow":       {noon.Add(-time.Hour), time.Minute, false},
		"too fast":       {noon.Add(time.Hour), time.Minute, false},
		"a century late": {noon.AddDate(100, 0, 0), time.Minute, false},
	} {
		m := b.message(t)
		if !test.signed.IsZero() {
			m.Extra = []cms.Attribute{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}, Value: derTime(t, test.signed)}}
		}
		settings := atNoon(func(s *scep.Settings) { s.MaxSigningTimeSkew = test.limit })
		wantAccepted(t, name, m, b, settings, test.accepted, scep.BadTime,
			"signingTime is too far from the present: check the clock")
	}
}

func derTime(t *testing.T, at time.Time) []byte {
	t.Helper()
	der, err := asn1.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
