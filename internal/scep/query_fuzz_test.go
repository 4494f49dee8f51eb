package scep

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"testing"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
)

// FuzzDecodeMessage: whatever is decoded is no longer than what was sent, and
// every message gets through, however a client writes it.
func FuzzDecodeMessage(f *testing.F) {
	for _, seed := range []string{"AAAA", "%41AAA", "%2541", "-_ +/", "AA%0AAA==", "%", "%%%", "%252B%25252F"} {
		f.Add(seed, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw string, message []byte) {
		if got, err := decodeMessage(raw); err == nil && len(got) > len(raw) {
			t.Errorf("%d characters became %d bytes", len(raw), len(got))
		}
		if len(message) == 0 {
			return
		}
		standard := base64.StdEncoding.EncodeToString(message)
		urlSafe := base64.RawURLEncoding.EncodeToString(message)
		for name, written := range map[string]string{
			"escaped":       url.QueryEscape(standard),
			"escaped twice": url.QueryEscape(url.QueryEscape(standard)),
			"wrapped":       url.QueryEscape(wrapped(standard)),
			"bare":          standard,
			"URL-safe":      urlSafe,
			"unpadded":      base64.RawStdEncoding.EncodeToString(message),
			"plus lost":     string(bytes.ReplaceAll([]byte(standard), []byte("+"), []byte("%20"))),
		} {
			if got, err := decodeMessage(written); err != nil || !bytes.Equal(got, message) {
				t.Errorf("%s: %x came back as %x, %v", name, message, got, err)
			}
		}
	})
}

// FuzzParameter: a value is a part of the query, and no parameter is made up.
func FuzzParameter(f *testing.F) {
	for _, seed := range []string{"operation=GetCACaps", "a=1&OPERATION=x&message=a+b==", "&&=&operation", "operation=%zz&operation=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		value, found := QueryParameter(query, "operation")
		if !bytes.Contains([]byte(query), []byte(value)) || !found && value != "" {
			t.Errorf("%q: %q, %v", query, value, found)
		}
		if again, _ := QueryParameter("x=y&Operation="+value+"&operation=no", "operation"); again != value {
			t.Errorf("%q comes back as %q", value, again)
		}
	})
}

// FuzzDirectoryString: a challenge is text, in UTF-8, of a length in keeping with
// what was sent.
func FuzzDirectoryString(f *testing.F) {
	for _, seed := range []string{"\x13\x03abc", "\x0c\x02\xc3\xa9", "\x1e\x04\x00a\x00b", "\x1c\x04\x00\x01\xf6\x00", "\x14\x01\xe9", "\x1e\x02\xd8\x00", "\x0c\x01\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		text, err := readDirectoryString(cryptobyte.String(der))
		if err != nil {
			return
		}
		if !utf8.ValidString(text) || len(text) > 4*len(der) {
			t.Errorf("%x became %q", der, text)
		}
		if again, err := readDirectoryString(directoryString(text)); err != nil || again != text {
			t.Errorf("%q came back as %q, %v", text, again, err)
		}
	})
}
