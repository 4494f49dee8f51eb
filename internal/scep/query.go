package scep

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
)

// errMessageParameter says that the message of a GET cannot be decoded.
var errMessageParameter = errors.New("scep: the message parameter is not base64")

// QueryParameter returns the raw value of a query parameter, whose name may have any
// case. A form parser would turn the plus signs of base64 into spaces and refuse
// what it does not like, so this does not use one. Clients add their parameters
// with a question mark even to a URL that has one.
func QueryParameter(rawQuery, name string) (string, bool) {
	isSeparator := func(r rune) bool { return r == '&' || r == '?' }
	for pair := range strings.FieldsFuncSeq(rawQuery, isSeparator) {
		key, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}

// maxEscapes is how often a message may have been percent-escaped: clients do it
// once or never, some proxies and scripts do it again.
const maxEscapes = 3

// decodeMessage decodes the message of a GET as clients write it: base64 in
// either alphabet (RFC 4648, sections 4 and 5), padded or not, with line breaks,
// with spaces where there was a plus, percent-escaped in whole, in part, not at
// all or twice.
func decodeMessage(raw string) ([]byte, error) {
	for range maxEscapes {
		if !strings.Contains(raw, "%") {
			break
		}
		unescaped, err := url.PathUnescape(raw)
		if err != nil {
			return nil, errMessageParameter
		}
		raw = unescaped
	}
	message, err := base64.RawStdEncoding.DecodeString(strings.Map(toStandard, raw))
	if err != nil || len(message) == 0 {
		return nil, errMessageParameter
	}
	return message, nil
}

// alphabet maps what stands in for a character of standard base64; a negative
// value drops it.
var alphabet = map[rune]rune{
	'-': '+', '_': '/', ' ': '+',
	'\r': -1, '\n': -1, '\t': -1, '=': -1,
}

func toStandard(r rune) rune {
	if standard, ok := alphabet[r]; ok {
		return standard
	}
	return r
}
