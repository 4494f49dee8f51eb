package cms

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

const nesting = 32

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ in, want string }{
		"DER stays":                 {"30 03 02 01 05", "30 03 02 01 05"},
		"empty indefinite sequence": {"30 80 00 00", "30 00"},
		"nested indefinite":         {"30 80 31 80 05 00 00 00 00 00", "30 04 31 02 05 00"},
		"indefinite in definite":    {"30 06 a0 80 05 00 00 00", "30 04 a0 02 05 00"},
		"long length of a short":    {"04 84 00 00 00 01 aa", "04 01 aa"},
		"string in pieces":          {"24 80 04 02 01 02 04 01 03 00 00", "04 03 01 02 03"},
		"pieces in pieces":          {"24 80 24 04 04 02 01 02 24 80 04 01 03 00 00 00 00", "04 03 01 02 03"},
		"no pieces":                 {"24 80 00 00", "04 00"},
		"UTF8String in pieces":      {"2c 06 0c 01 61 0c 01 62", "0c 02 61 62"},
		"implicit string stays":     {"a0 80 04 01 01 04 01 02 00 00", "a0 06 04 01 01 04 01 02"},
		"high tag number":           {"bf 8f 01 80 05 00 00 00", "bf 8f 01 02 05 00"},
		"primitive sequence stays":  {"30 02 10 00", "30 02 10 00"},
		"contents left alone":       {"04 04 30 80 00 00", "04 04 30 80 00 00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Normalize(unhex(t, test.in), nesting)
			if err != nil || !bytes.Equal(got, unhex(t, test.want)) {
				t.Errorf("got %x, %v; want %s", got, err, test.want)
			}
		})
	}
}

func TestNormalizeRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"nothing":                       "",
		"tag only":                      "30",
		"cut in the tag":                "bf 8f",
		"endless tag":                   "bf 80 80 80 80 80 80 80 80 01 00",
		"cut in the length":             "30 82 01",
		"huge length":                   "04 89 01 00 00 00 00 00 00 00 00",
		"length beyond 32 bits":         "04 85 01 00 00 00 00",
		"contents missing":              "04 02 00",
		"child longer than its parent":  "30 02 04 05 01 02 03 04 05",
		"no end of contents":            "30 80 05 00",
		"half an end of contents":       "30 80 05 00 00",
		"end of contents by itself":     "00 00",
		"end of contents in a definite": "30 02 00 00",
		"indefinite primitive":          "04 80 00 00",
		"constructed integer":           "22 03 02 01 05",
		"constructed bit string":        "23 04 03 02 00 01",
		"foreign piece":                 "24 80 02 01 05 00 00",
		"context piece":                 "24 80 84 01 05 00 00",
		"something follows":             "05 00 05 00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Normalize(unhex(t, in), nesting)
			if !errors.Is(err, ErrEncoding) {
				t.Errorf("got %x, %v", got, err)
			}
		})
	}
}

func nested(depth int) []byte {
	return append(bytes.Repeat([]byte{0x30, 0x80}, depth), make([]byte, 2*depth)...)
}

func TestNormalizeNesting(t *testing.T) {
	t.Parallel()
	if _, err := Normalize(nested(nesting), nesting); err != nil {
		t.Errorf("%d levels: %v", nesting, err)
	}
	for _, depth := range []int{nesting + 1, 100_000} {
		if _, err := Normalize(nested(depth), nesting); !errors.Is(err, ErrEncoding) {
			t.Errorf("%d levels: %v", depth, err)
		}
	}
}

// worst is a string in pieces of one byte under as many indefinite levels as
// are allowed, of about size bytes.
func worst(size int) []byte {
	const levels = nesting - 1
	b := append(bytes.Repeat([]byte{0x30, 0x80}, levels), 0x24, 0x80)
	b = append(b, bytes.Repeat([]byte{0x04, 0x01, 0xaa}, size/3)...)
	return append(b, make([]byte, 2*levels+2)...)
}

func BenchmarkNormalize(b *testing.B) {
	in := worst(256 << 10)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := Normalize(in, nesting); err != nil {
			b.Fatal(err)
		}
	}
}
