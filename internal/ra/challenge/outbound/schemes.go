package outbound

import (
	"slices"
	"strings"
)

// knownSchemes are the authentication schemes that a service can be told to want (IANA's
// registry, and NTLM). Nothing else of what it sends is repeated.
var knownSchemes = []string{
	"Basic", "Bearer", "Digest", "DPoP", "GNAP", "HOBA", "Mutual", "Negotiate", "NTLM", "OAuth", "PrivateToken",
	"SCRAM-SHA-1", "SCRAM-SHA-256", "vapid",
}

// maxChallenges bounds how much of WWW-Authenticate is read, in fields.
const maxChallenges = 8

// schemes are those that the fields of WWW-Authenticate name (RFC 9110, section 11.6.1),
// each once, in the order of knownSchemes.
func schemes(fields []string) []string {
	var out []string
	for _, field := range fields[:min(len(fields), maxChallenges)] {
		for _, part := range strings.Split(field, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(part), " ")
			out = append(out, named(name)...)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return slices.Index(knownSchemes, a) - slices.Index(knownSchemes, b) })
	return slices.Compact(out)
}

// named is the usual spelling of a scheme; nil if it is none that is known.
func named(scheme string) []string {
	i := slices.IndexFunc(knownSchemes, func(known string) bool { return strings.EqualFold(known, scheme) })
	if i < 0 {
		return nil
	}
	return knownSchemes[i : i+1]
}
