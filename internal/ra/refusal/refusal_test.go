package refusal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/scepter-pki/scepter/internal/scep"
)

func TestTextIsBounded(t *testing.T) {
	t.Parallel()
	e := New(Malformed, "%s", strings.Repeat("ü", 200))
	if len(e.Text) > maxText || !utf8.ValidString(e.Text) || !strings.HasSuffix(e.Text, ellipsis) {
		t.Errorf("text of %d bytes: %q", len(e.Text), e.Text)
	}
	if short := New(Malformed, "short"); short.Text != "short" {
		t.Errorf("text %q", short.Text)
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                  `"plain"`,
		"line\nbreak\x1b[31m":    `"line\nbreak\x1b[31m"`,
		strings.Repeat("x", 100): `"` + strings.Repeat("x", maxQuoted) + `…"`,
	} {
		if got := Quote(in); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestErrorIsForTheLogOnly(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	e := New(KeyNotAllowed, "too small").Because(cause)
	if e.Text != "too small" || !errors.Is(e, cause) || e.Error() != "KeyNotAllowed: too small: cause" {
		t.Errorf("text %q, error %v", e.Text, e)
	}
	if found, ok := As(fmt.Errorf("wrapped: %w", e)); !ok || found != e {
		t.Error("not found in a wrapped error")
	}
}

func TestFailInfo(t *testing.T) {
	t.Parallel()
	for reason, want := range map[Reason]scep.FailInfo{
		KeyNotAllowed: scep.BadAlg, TransactionUnknown: scep.BadCertID, ChallengeWrong: scep.BadRequest, RuleNotMet: scep.BadRequest,
	} {
		if got := New(reason, "text").FailInfo(); got != want {
			t.Errorf("%s: %v, want %v", reason, got, want)
		}
	}
}
