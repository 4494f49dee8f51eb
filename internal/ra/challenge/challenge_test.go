package challenge

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

func TestStatic(t *testing.T) {
	t.Parallel()
	const spaced = " second "
	s, err := NewStatic("mdm", []byte("first\r\n\n"+spaced+"\n\nthird"))
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{
		"first": true, spaced: true, "third": true,
		"": false, "second": false, "First": false, "first\r\n": false, "fir": false, "first\nthird": false,
	} {
		got, err := s.Verify(t.Context(), Attempt{Password: password})
		if (got != nil) != want || err != nil {
			t.Errorf("%q: %v (%v), want %v", password, got, err, want)
		}
		if want && (got.Challenge != "mdm" || got.ID != nil) {
			t.Errorf("admission %+v", got)
		}
	}
	if s.Name() != "mdm" {
		t.Errorf("name %q", s.Name())
	}
}

func TestStaticWithoutPassword(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"", "\n", "\r\n\r\n"} {
		if _, err := NewStatic("mdm", []byte(file)); !errors.Is(err, ErrNoPassword) {
			t.Errorf("%q: error %v, want %v", file, err, ErrNoPassword)
		}
	}
}

// The same password twice in the file is still right.
func TestStaticRepeated(t *testing.T) {
	t.Parallel()
	s, err := NewStatic("mdm", []byte("same\nsame\n"))
	if err != nil {
		t.Fatal(err)
	}
	if admission, _ := s.Verify(t.Context(), Attempt{Password: "same"}); admission == nil {
		t.Error("refused")
	}
}

// fixed answers always the same.
type fixed struct {
	name string
	ok   bool
	err  error
}

func (f fixed) Name() string { return f.name }

func (f fixed) Verify(context.Context, Attempt) (*Admission, error) {
	if !f.ok {
		return nil, f.err
	}
	return &Admission{Challenge: f.name}, f.err
}

// told is a challenge that wants to know how enrolments end.
type told struct{ fixed }

func (told) Succeeded(context.Context, Attempt, *x509.Certificate) error { return nil }

func (told) Failed(context.Context, Attempt, *refusal.Error) error { return nil }

func TestList(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	expired := refusal.New(refusal.ChallengeExpired, "expired")
	wrong := refusal.New(refusal.ChallengeWrong, "wrong")
	for what, tc := range map[string]struct {
		list List
		want string
		err  error
	}{
		"empty":               {nil, "", nil},
		"none":                {List{fixed{name: "a"}, fixed{name: "b"}}, "", nil},
		"second":              {List{fixed{name: "a"}, fixed{name: "b", ok: true}}, "b", nil},
		"first of two":        {List{fixed{name: "a", ok: true}, fixed{name: "b", ok: true}}, "a", nil},
		"one down, one says":  {List{fixed{name: "a", err: down}, fixed{name: "b", ok: true}}, "b", nil},
		"one down, none says": {List{fixed{name: "a", err: down}, fixed{name: "b"}}, "", down},
		"one expired":         {List{fixed{name: "a", err: expired}, fixed{name: "b"}}, "", expired},
		"expired and down":    {List{fixed{name: "a", err: down}, fixed{name: "b", err: expired}}, "", expired},
		"wrong and down":      {List{fixed{name: "a", err: wrong}, fixed{name: "b", err: down}}, "", down},
		"wrong and expired":   {List{fixed{name: "a", err: wrong}, fixed{name: "b", err: expired}}, "", expired},
		"wrong":               {List{fixed{name: "a", err: wrong}, fixed{name: "b"}}, "", wrong},
		"expired, one says":   {List{fixed{name: "a", err: expired}, fixed{name: "b", ok: true}}, "b", nil},
		"yes with an error":   {List{fixed{name: "a", ok: true, err: down}}, "", down},
	} {
		var name string
		got, err := tc.list.Verify(t.Context(), Attempt{}, func(Verifier, error) {})
		if got != nil {
			name = got.Challenge
		}
		if name != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: %q (%v), want %q (%v)", what, name, err, tc.want, tc.err)
		}
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	list := List{fixed{name: "a"}, told{fixed{name: "b"}}}
	if list.Outcome("a") != nil || list.Outcome("c") != nil || list.Outcome("") != nil {
		t.Error("an outcome was found for an entry that wants none")
	}
	if o := list.Outcome("b"); o == nil || o.Name() != "b" {
		t.Errorf("outcome %v, want b", o)
	}
}
