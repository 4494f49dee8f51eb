package outbound

import (
	"regexp"
	"strings"
	"unicode"
)

const (
	// maxText bounds what is kept of a service's text, in bytes.
	maxText = 256
	omitted = "(omitted)"
)

// encoded are runs that can only be data: a challenge, a token, a CSR.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/=_.-]{41,}`)

// Text makes what a service said fit for a log line: bounded, printable, and
// without the secrets that it may quote, which are named, or look like data.
func Text(said string, secrets ...string) string {
	said = printable(said)
	for _, secret := range secrets {
		if secret = printable(secret); secret != "" {
			said = strings.ReplaceAll(said, secret, omitted)
		}
	}
	said = encoded.ReplaceAllString(said, omitted)
	return strings.ToValidUTF8(said[:min(len(said), maxText)], "")
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}
