package progress

import (
	"bytes"
	"errors"
	"regexp"
	"testing"
)

func TestPlainLines(t *testing.T) {
	var out bytes.Buffer
	r := New(&out)
	r.Line("hello")
	r.Step("good")(nil)
	r.Step("bad")(errors.New("no"))
	want := regexp.MustCompile(`^hello\n✓ good \(\S+\)\n✗ bad failed after \S+\n$`)
	if !want.Match(out.Bytes()) {
		t.Errorf("got %q", out.String())
	}
}

func TestTerminalShowsTheStepUnderWay(t *testing.T) {
	var out bytes.Buffer
	r := &Reporter{out: &out, terminal: true}
	done := r.Step("good")
	if got := out.String(); got != "\r\x1b[K… good" {
		t.Errorf("under way: %q", got)
	}
	done(nil)
	if !regexp.MustCompile("good\r\x1b\\[K✓ good \\(\\S+\\)\n$").Match(out.Bytes()) {
		t.Errorf("at the end: %q", out.String())
	}
}

func TestNobodyListens(_ *testing.T) {
	var none *Reporter
	for _, r := range []*Reporter{none, New(nil), {}} {
		r.Line("hello")
		r.Step("step")(nil)
	}
}
