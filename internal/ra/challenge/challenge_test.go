package challenge

import (
	"context"
	"errors"
	"testing"
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
		if got, err := s.Verify(t.Context(), Attempt{Password: password}); got != want || err != nil {
			t.Errorf("%q: %v (%v), want %v", password, got, err, want)
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
	if ok, _ := s.Verify(t.Context(), Attempt{Password: "same"}); !ok {
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

func (f fixed) Verify(context.Context, Attempt) (bool, error) { return f.ok, f.err }

func TestList(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for name, tc := range map[string]struct {
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
	} {
		if got, err := tc.list.Verify(t.Context(), Attempt{}); got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: %q (%v), want %q (%v)", name, got, err, tc.want, tc.err)
		}
	}
}
