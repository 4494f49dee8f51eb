package probemark

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var (
	endpoint  = []byte("0123456789abcdef0123456789abcdef")
	canary    = NewCanaryKey(endpoint)
	neighbour = NewCanaryKey([]byte("fedcba9876543210fedcba9876543210"))
	message   = []byte("a message")
)

func TestOpens(t *testing.T) {
	pass := canary.Pass(now, message)
	cases := []struct {
		name string
		key  CanaryKey
		pass string
		at   time.Time
		want bool
	}{
		{"at once", canary, pass, now, true},
		{"in a field with spaces", canary, " " + pass + " ", now, true},
		{"later, within its time", canary, pass, now.Add(passAge), true},
		{"by a clock that is behind", canary, pass, now.Add(-passAge), true},
		{"too late", canary, pass, now.Add(passAge + time.Second), false},
		{"too early", canary, pass, now.Add(-passAge - time.Second), false},
		{"by another endpoint", neighbour, pass, now, false},
		{"by a server without a key", nil, pass, now, false},
		{"made without a key", nil, CanaryKey(nil).Pass(now, message), now, false},
		{"with the key of probes", CanaryKey(key), pass, now, false},
		{"made with the key of probes", canary, CanaryKey(key).Pass(now, message), now, false},
		{"made with the endpoint's own key", canary, CanaryKey(endpoint).Pass(now, message), now, false},
		{"a probe's mark", canary, key.Mark(now, [16]byte{1}), now, false},
		{"a receipt", canary, canary.Sign(pass, Receipt{}), now, false},
		{"nothing", canary, "", now, false},
		{"not base64", canary, strings.Repeat("?", len(pass)), now, false},
		{"cut", canary, pass[:len(pass)-2], now, false},
		{"in two lines", canary, pass[:8] + "\n" + pass[8:], now, false},
		{"for another time", canary, "AQ" + pass[2:], now, false},
		{"for another message", canary, pass[:16] + "AAAA" + pass[20:], now, false},
	}
	for _, c := range cases {
		about, ok := c.key.Opens(c.pass, c.at)
		if ok != c.want || ok && about != SumOf(message) {
			t.Errorf("%s: %v, %x", c.name, ok, about)
		}
	}
}

// TestPassIsNoMark: what is good for a canary opens nothing else, and the other way round.
func TestPassIsNoMark(t *testing.T) {
	pass := canary.Pass(now, message)
	if key.Knows(pass, now) || Key(canary).Knows(pass, now) {
		t.Error("a pass is taken for a mark")
	}
	if _, err := key.Verify(pass, canary.Sign(pass, Receipt{})); !errors.Is(err, ErrReceipt) {
		t.Errorf("a canary's receipt is taken for a probe's: %v", err)
	}
	if got, err := canary.Verify(pass, canary.Sign(pass, Receipt{TargetBytes: 7})); err != nil || got.TargetBytes != 7 {
		t.Errorf("%+v, %v", got, err)
	}
	keys := NewKeys(endpoint)
	if string(keys.Canary) != string(canary) || string(keys.Probe) != string(key) || string(keys.Canary) == string(keys.Probe) {
		t.Error("the keys are not those of their own labels")
	}
}

func FuzzOpens(f *testing.F) {
	pass := canary.Pass(now, message)
	f.Add(pass)
	f.Add(pass[:8] + "\n" + pass[8:])
	f.Add(key.Mark(now, [16]byte{1}))
	f.Fuzz(func(t *testing.T, text string) {
		about, ok := canary.Opens(text, now)
		if ok && (strings.TrimSpace(text) != pass || about != SumOf(message)) {
			t.Errorf("%q opens for %x", text, about)
		}
	})
}
