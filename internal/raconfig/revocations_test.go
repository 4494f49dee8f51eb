package raconfig

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

var revokedAt = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

func revocation(serial string) Revocation {
	return Revocation{Serial: serial, Time: revokedAt, Reason: KeyCompromise}
}

func serialsOf(r *Revocations) string {
	var all []string
	for _, one := range r.Revoked {
		all = append(all, one.Serial)
	}
	return strings.Join(all, " ")
}

func with(t *testing.T, r *Revocations, now time.Time, more ...Revocation) *Revocations {
	t.Helper()
	next, _, err := r.With(now, more...)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestRevocationsAreSortedAndUnique(t *testing.T) {
	t.Parallel()
	empty := NewRevocations(revokedAt)
	list := with(t, empty, revokedAt, revocation("ff"), revocation("100"), revocation("1"), revocation("ff"))
	if got := serialsOf(list); got != "1 ff 100" {
		t.Errorf("serial numbers %s", got)
	}
	if len(empty.Revoked) != 0 {
		t.Error("the list before was changed")
	}
	for serial, want := range map[int64]bool{1: true, 255: true, 256: true, 2: false, 0x1000: false} {
		if found := list.Find(big.NewInt(serial)) != nil; found != want {
			t.Errorf("%d: found %v, want %v", serial, found, want)
		}
	}
}

func TestRevokingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	list := with(t, NewRevocations(revokedAt), revokedAt, revocation("ff"))
	again := revocation("ff")
	again.Reason, again.Time = Superseded, revokedAt.Add(time.Hour)
	next, changed, err := list.With(revokedAt.Add(time.Hour), again)
	if err != nil || changed || next != list {
		t.Errorf("changed %v (%v), want the same list", changed, err)
	}
}

func TestUpdatedGrowsWithEachChange(t *testing.T) {
	t.Parallel()
	list := NewRevocations(revokedAt)
	for i, now := range []time.Time{revokedAt, revokedAt, revokedAt.Add(-time.Hour), revokedAt.Add(time.Hour)} {
		next := with(t, list, now, revocation(fmt.Sprintf("%x", i+1)))
		if !next.Updated.After(list.Updated) {
			t.Errorf("change %d: updated %v after %v", i, next.Updated, list.Updated)
		}
		list = next
	}
	if want := revokedAt.Add(time.Hour); !list.Updated.Equal(want) {
		t.Errorf("updated %v, want %v", list.Updated, want)
	}
}

func TestRevocationsWithoutWhatHasEnded(t *testing.T) {
	t.Parallel()
	ended, valid := revocation("1"), revocation("2")
	ended.Expires, valid.Expires = revokedAt.Add(time.Hour), revokedAt.Add(3*time.Hour)
	list := with(t, NewRevocations(revokedAt), revokedAt, ended, valid, revocation("3"))
	if same := list.Without(revokedAt, revokedAt.Add(time.Hour)); same != list {
		t.Error("another list, though nothing has ended")
	}
	next := list.Without(revokedAt, revokedAt.Add(2*time.Hour))
	if got := serialsOf(next); got != "2 3" || !next.Updated.After(list.Updated) {
		t.Errorf("serial numbers %s, updated %v after %v", got, next.Updated, list.Updated)
	}
}

func TestRevocationsComeBackAsTheyWent(t *testing.T) {
	t.Parallel()
	ending := revocation("abc")
	ending.Expires = revokedAt.Add(time.Hour + 7*time.Millisecond)
	for _, list := range []*Revocations{
		NewRevocations(revokedAt.Add(time.Millisecond)),
		with(t, NewRevocations(revokedAt), revokedAt.In(time.FixedZone("", 3600)), ending, revocation("1")),
	} {
		out, err := EncodeRevocations(list)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeRevocations(out)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !back.Updated.Equal(list.Updated) || !slices.Equal(back.Revoked, list.Revoked) {
			t.Errorf("%+v came back as %+v", list, back)
		}
	}
}

func TestRevocationsHaveRoomForTheirMaximum(t *testing.T) {
	t.Parallel()
	var all []Revocation
	for i := range MaxRevocations {
		one := revocation(fmt.Sprintf("f%039x", i))
		one.Reason, one.Expires = CessationOfOperation, revokedAt
		all = append(all, one)
	}
	full := with(t, NewRevocations(revokedAt), revokedAt, all...)
	if out, err := EncodeRevocations(full); err != nil {
		t.Errorf("%d bytes: %v", len(out), err)
	}
	if _, _, err := full.With(revokedAt, revocation("1")); !errors.Is(err, ErrRevocations) {
		t.Errorf("one more: %v", err)
	}
}

func TestWrongRevocationsAreRefused(t *testing.T) {
	t.Parallel()
	const good = `{"version":"v1","updated":"2030-03-01T12:00:00Z","revoked":[` +
		`{"serial":"1","time":"2030-03-01T12:00:00Z","reason":"keyCompromise"},` +
		`{"serial":"ff","time":"2030-03-01T12:00:00Z","reason":"superseded"}]}`
	if _, err := DecodeRevocations([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"another version":   {`"v1"`, `"v2"`},
		"no version":        {`"version":"v1",`, ``},
		"unknown field":     {`"version"`, `"more":1,"version"`},
		"unsorted":          {`"ff"`, `"0"`},
		"twice":             {`"ff"`, `"1"`},
		"leading zero":      {`"ff"`, `"0ff"`},
		"upper case":        {`"ff"`, `"FF"`},
		"not hexadecimal":   {`"ff"`, `"fg"`},
		"sign":              {`"1"`, `"-1"`},
		"too long":          {`"ff"`, `"` + strings.Repeat("f", 41) + `"`},
		"unknown reason":    {`superseded`, `removeFromCRL`},
		"no reason":         {`,"reason":"superseded"`, ``},
		"no time":           {`"time":"2030-03-01T12:00:00Z","reason":"superseded"`, `"reason":"superseded"`},
		"parts of a second": {`"updated":"2030-03-01T12:00:00Z"`, `"updated":"2030-03-01T12:00:00.5Z"`},
		"something behind":  {`]}`, `]}{}`},
		"cut short":         {`]}`, ``},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if text == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := DecodeRevocations([]byte(text)); !errors.Is(err, ErrRevocations) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeRevocations(make([]byte, MaxRevocationsBytes+1)); !errors.Is(err, ErrRevocations) {
		t.Errorf("too many bytes: %v", err)
	}
}

func TestParseSerial(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ff": "ff", "00FF": "ff", "0xFf": "ff", " 01:0a:ff ": "10aff", "1 2": "12", strings.Repeat("f", 40): strings.Repeat("f", 40),
	} {
		n, err := ParseSerial(text)
		if err != nil || SerialText(n) != want {
			t.Errorf("%q: %v (%v), want %s", text, n, err, want)
		}
	}
	for _, text := range []string{"", "0", "00:00", "-1", "+1", "fg", "0x", "1_0", strings.Repeat("f", 41)} {
		if n, err := ParseSerial(text); err == nil {
			t.Errorf("%q: %v, want an error", text, n)
		}
	}
}

func TestReasonsHaveTheirCodes(t *testing.T) {
	t.Parallel()
	var got []int
	for _, r := range RevocationReasons() {
		got = append(got, r.Code())
	}
	if want := []int{0, 1, 3, 4, 5, 9}; !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v (RFC 5280, section 5.3.1)", got, want)
	}
}

func FuzzRevocations(f *testing.F) {
	f.Add([]byte(`{"version":"v1","updated":"2030-03-01T12:00:00Z","revoked":[]}`))
	f.Add([]byte(`{"version":"v1","updated":"2030-03-01T12:00:00Z","revoked":[{"serial":"ff","time":"2030-03-01T12:00:00Z","reason":"keyCompromise","expires":"2031-03-01T12:00:00+01:00"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		list, err := DecodeRevocations(in)
		if err != nil {
			if !errors.Is(err, ErrRevocations) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		for _, one := range list.Revoked {
			if n, err := ParseSerial(one.Serial); err != nil || list.Find(n) == nil {
				t.Fatalf("%s is not found", one.Serial)
			}
		}
		out, err := EncodeRevocations(list)
		if err != nil {
			return // one that has more bytes as this package writes it
		}
		again, err := DecodeRevocations(out)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if twice, err := EncodeRevocations(again); err != nil || !bytes.Equal(twice, out) {
			t.Fatalf("other bytes (%v): %s, %s", err, out, twice)
		}
	})
}
