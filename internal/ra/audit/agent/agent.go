// Package agent says which program a User-Agent names: one of a few that are known, with
// the first number of its version, so that they can be counted without keeping what
// strangers or devices write there. The strings themselves are in the audit records alone.
package agent

import "strings"

// Agent is a program that sends requests.
type Agent struct {
	// Product is one of Products.
	Product string
	// Major is the first number of its version; "": none is said, or one that is none.
	Major string
}

// The products beside those that are known by name.
const (
	// None is of requests without a User-Agent.
	None = "None"
	// Other is of those that name nothing that is known.
	Other = "Other"
)

// known are what tells a product, in lower case, and its name; the telling before the vague.
var known = []struct{ token, product string }{
	{"ndes client", "NDES client"},
	{"cisco pki", "Cisco PKI"},
	{"darwin/", "Darwin"},
	{"cfnetwork/", "CFNetwork"},
	{"cros", "CrOS"},
	{"dalvik/", "Dalvik"},
	{"java/", "Java"},
	{"okhttp/", "okhttp"},
	{"apache-httpclient/", "Apache-HttpClient"},
	{"scepclient", "scepclient"},
	{"sscep", "sscep"},
	{"certmonger", "certmonger"},
	{"strongswan", "strongSwan"},
	{"scepter", "scepter"},
	{"go-http-client/", "Go-http-client"},
	{"python-requests/", "python-requests"},
	{"winhttp", "WinHTTP"},
	{"powershell/", "PowerShell"},
	{"curl/", "curl"},
	{"wget/", "Wget"},
	{"routeros", "RouterOS"}, //nolint:misspell // a name
	{"junos", "Junos"},
	{"firefox/", "Firefox"},
	{"chrome/", "Chrome"},
	{"safari/", "Safari"},
	{"mozilla/", "Mozilla"},
}

// Products are all names that Of gives.
func Products() []string {
	out := []string{None, Other}
	for _, k := range known {
		out = append(out, k.product)
	}
	return out
}

// maxMajor bounds the digits of a version's first number: years have four.
const maxMajor = 4

// Of says which program a User-Agent names.
func Of(userAgent string) Agent {
	text := strings.ToLower(userAgent)
	if strings.TrimSpace(text) == "" {
		return Agent{Product: None}
	}
	for _, k := range known {
		if _, after, found := strings.Cut(text, k.token); found {
			return Agent{k.product, major(after)}
		}
	}
	return Agent{Product: Other}
}

// major is the number that a text begins with, behind a slash or a blank.
func major(text string) string {
	text = strings.TrimLeft(text, "/ ")
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	if end > maxMajor {
		return ""
	}
	return text[:end]
}

// String is the product, and behind a slash the number, if there is one.
func (a Agent) String() string {
	if a.Major == "" {
		return a.Product
	}
	return a.Product + "/" + a.Major
}
