package probe

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// Bounds of what is kept of an answer: whoever stands in a server's place chooses it.
const (
	maxKeywords     = 24
	maxKeyword      = 40 // bytes
	maxCertificates = 8
)

// readable is what is to be said of answers; nil where there are no certificates in them that
// a device could use.
func readable(got Known) *raconfig.ProbeAnswer {
	ca, err := scep.ParseCACertificates(got.CACertificates)
	if err != nil {
		return nil
	}
	out := &raconfig.ProbeAnswer{Capabilities: keywords(got.Capabilities)}
	for _, c := range ca.All[:min(len(ca.All), maxCertificates)] {
		out.Certificates = append(out.Certificates, raconfig.ProbeCertificate{
			Role: roleOf(c, ca), Subject: printable(pkifacts.SubjectOf(c)), Fingerprint: raconfig.Fingerprint(c), NotAfter: c.NotAfter.UTC().Truncate(time.Second),
		})
	}
	return out
}

// roleOf is what devices take a certificate for.
func roleOf(c *x509.Certificate, among *scep.CACertificates) v1alpha1.CACertificateRole {
	if i := slices.IndexFunc(among.Chain, c.Equal); i >= 0 {
		return pkifacts.RoleInChain(i, c)
	}
	if !c.IsCA {
		return v1alpha1.CARoleRA
	}
	return pkifacts.RoleInChain(len(among.Chain), c) // above nothing that devices use
}

// keywords are the lines of GetCACaps; nil if it is something else, a page for one.
func keywords(body []byte) []string {
	var out []string
	for line := range strings.Lines(string(body)) {
		word := strings.TrimSpace(line)
		if len(word) > maxKeyword || strings.ContainsAny(word, " <>{}") {
			return nil
		}
		if word != "" && len(out) < maxKeywords {
			out = append(out, bounded(word))
		}
	}
	return out
}

// printable keeps what is so of a name, which is already short.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
}
