package onetime

import (
	"encoding/base32"
	"strings"
)

// alphabet of 32 digits and letters, without I, L, O and U: none that people take
// for another, and none that a form field, a URL, XML or a shell would change.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

var encoding = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// forgiving maps what people type to what is meant.
var forgiving = strings.NewReplacer("O", "0", "I", "1", "L", "1")

func encodeText(raw []byte) string { return encoding.EncodeToString(raw) }

func decodeText(text string) ([]byte, error) {
	// Base 32 of Go skips line ends, which no challenge has.
	if len(text) > maxText || strings.ContainsAny(text, "\r\n") {
		return nil, errForm
	}
	text = forgiving.Replace(strings.ToUpper(text))
	raw, err := encoding.DecodeString(text)
	if err != nil || encodeText(raw) != text {
		return nil, errForm
	}
	return raw, nil
}

// maxText is the longest challengePassword there can be (RFC 2985, appendix A), in characters.
const maxText = 255
