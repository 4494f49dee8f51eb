package probemark

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var (
	now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	key = NewKey([]byte("0123456789abcdef0123456789abcdef"))
	// other is another endpoint's.
	other = NewKey([]byte("fedcba9876543210fedcba9876543210"))
)

func TestKnows(t *testing.T) {
	mark := key.Mark(now, [16]byte{1})
	cases := []struct {
		name string
		key  Key
		mark string
		at   time.Time
		want bool
	}{
		{"at once", key, mark, now, true},
		{"in a field with spaces", key, " " + mark + " ", now, true},
		{"later, within the hour", key, mark, now.Add(maxAge), true},
		{"by a clock that is behind", key, mark, now.Add(-maxAge), true},
		{"too late", key, mark, now.Add(maxAge + time.Second), false},
		{"by another endpoint", other, mark, now, false},
		{"by a server without a key", nil, mark, now, false},
		{"made without a key", nil, Key(nil).Mark(now, [16]byte{1}), now, false},
		{"nothing", key, "", now, false},
		{"not base64", key, strings.Repeat("?", len(mark)), now, false},
		{"cut", key, mark[:len(mark)-2], now, false},
		{"in two lines", key, mark[:8] + "\n" + mark[8:], now, false},
		{"for another time", key, "AQ" + mark[2:], now, false},
		{"a receipt", key, key.Sign(mark, Receipt{}), now, false},
	}
	for _, c := range cases {
		if got := c.key.Knows(c.mark, c.at); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestReceipt(t *testing.T) {
	mark := key.Mark(now, [16]byte{1})
	want := Receipt{TargetBytes: 65534, Target: SumOf([]byte("target")), Body: SumOf(nil), Answer: SumOf([]byte("answer"))}
	receipt := key.Sign(mark, want)
	got, err := key.Verify(mark, receipt)
	if err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	if again := key.Mark(now, [16]byte{2}); again == mark {
		t.Error("two nonces make one mark")
	}
}

func TestVerifyRefuses(t *testing.T) {
	mark := key.Mark(now, [16]byte{1})
	receipt := key.Sign(mark, Receipt{TargetBytes: 7})
	cases := []struct {
		name          string
		key           Key
		mark, receipt string
	}{
		{"another probe's", key, key.Mark(now, [16]byte{2}), receipt},
		{"another endpoint's", other, mark, receipt},
		{"nothing", key, mark, ""},
		{"the mark sent back", key, mark, mark},
		{"cut", key, mark, receipt[:len(receipt)-2]},
		{"changed", key, mark, "AQ" + receipt[2:]},
	}
	for _, c := range cases {
		if _, err := c.key.Verify(c.mark, c.receipt); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	mark := key.Mark(now, [16]byte{1})
	f.Add(mark)
	f.Add(key.Sign(mark, Receipt{}))
	f.Add(mark[:8] + "\n" + mark[8:])
	f.Fuzz(func(t *testing.T, text string) {
		if key.Knows(text, now) && strings.TrimSpace(text) != mark {
			t.Errorf("%q is known", text)
		}
		if r, err := key.Verify(mark, text); err == nil && r != (Receipt{}) {
			t.Errorf("%q is a receipt", text)
		}
	})
}
