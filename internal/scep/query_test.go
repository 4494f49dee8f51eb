package scep

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

// wrapped breaks base64 into lines as openssl and strongSwan do.
func wrapped(s string) string {
	var lines []string
	for len(s) > 64 {
		lines, s = append(lines, s[:64]), s[64:]
	}
	return strings.Join(append(lines, s), "\n") + "\n"
}

func TestDecodeMessage(t *testing.T) {
	t.Parallel()
	// Bytes of which the base64 has every kind of character, and padding.
	message := bytes.Repeat([]byte{0xfb, 0xef, 0xff, 0x3e, 0x00}, 20)
	standard := base64.StdEncoding.EncodeToString(message)
	if !strings.ContainsAny(standard, "+") || !strings.Contains(standard, "/") || !strings.HasSuffix(standard, "=") {
		t.Fatalf("the example %s is too plain", standard)
	}
	urlSafe := base64.URLEncoding.EncodeToString(message)
	onlyPadding := strings.ReplaceAll(standard, "=", "%3D")
	for name, raw := range map[string]string{
		"not escaped":        standard,
		"escaped":            url.QueryEscape(standard),
		"escaped, lower":     strings.ReplaceAll(url.QueryEscape(standard), "%2B", "%2b"),
		"padding escaped":    onlyPadding,
		"unpadded":           strings.TrimRight(standard, "="),
		"URL-safe":           urlSafe,
		"URL-safe, unpadded": strings.TrimRight(urlSafe, "="),
		"space for plus":     strings.ReplaceAll(standard, "+", "%20"),
		"lines":              url.QueryEscape(wrapped(standard)),
		"lines, CRLF":        url.QueryEscape(strings.ReplaceAll(wrapped(standard), "\n", "\r\n")),
		"escaped twice":      url.QueryEscape(url.QueryEscape(standard)),
		"escaped thrice":     url.QueryEscape(url.QueryEscape(url.QueryEscape(wrapped(standard)))),
		"half escaped":       url.QueryEscape(standard[:30]) + standard[30:],
	} {
		got, err := decodeMessage(raw)
		if err != nil || !bytes.Equal(got, message) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	for name, raw := range map[string]string{
		"empty":           "",
		"padding only":    "%3D%3D",
		"other character": "AAAA!AAA",
		"bad escape":      "AAAA%zzAA",
		"cut escape":      "AAAA%2",
		"one character":   "A",
		"escaped forever": strings.Repeat("%25", 9) + "2525252525252B",
	} {
		if got, err := decodeMessage(raw); err == nil {
			t.Errorf("%s: decoded to %x", name, got)
		}
	}
}

func TestParameter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query, value string
		found        bool
	}{
		{"operation=GetCACert", "GetCACert", true},
		{"OPERATION=GetCACert", "GetCACert", true},
		{"message=a+b/c==&operation=x", "x", true},
		{"a=1&operation=PKIOperation&message=%zz;x", "PKIOperation", true},
		{"operation", "", true},
		{"operations=x", "", false},
		{"", "", false},
	} {
		value, found := QueryParameter(test.query, "operation")
		if value != test.value || found != test.found {
			t.Errorf("%q: %q, %v", test.query, value, found)
		}
	}
	if raw, _ := QueryParameter("operation=x&message=a+b/c==", "message"); raw != "a+b/c==" {
		t.Errorf("message %q", raw)
	}
}
