package family

import (
	"net/http"
	"regexp"
	"strings"
)

// row is a rule by which a family is known. All that it says has to be so.
type row struct {
	family Family
	// agent is in the User-Agent, in lower case; "": the row is for requests without one.
	agent string
	// shape has to hold; nil: any.
	shape func(Shape) bool
	// source of the row: who saw it where.
	source string
}

// Row is a row of the table, for documentation.
type Row struct {
	Family Family
	// KnownBy says what the row looks at.
	KnownBy string
	// Source says who saw it where.
	Source string
}

// Table has the rows in the order in which they are tried.
func Table() []Row {
	out := make([]Row, len(rows))
	for i, r := range rows {
		out[i] = Row{r.family, "User-Agent has `" + r.agent + "`, in any letter case", r.source}
		if r.agent == "" {
			out[i].KnownBy = "no User-Agent; the request's shape"
		}
	}
	return out
}

func (r *row) fits(agent string, s Shape) bool {
	if r.agent == "" && agent != "" || !strings.Contains(agent, r.agent) {
		return false
	}
	return r.shape == nil || r.shape(s)
}

// rows in the order in which they are tried: what a client says of itself, then the
// shape of requests without a User-Agent, the telling before the vague.
var rows = []row{
	{Scepter, "scepter", nil, "this project's client"},
	{Windows, "ndes client", nil, "Microsoft's troubleshooting pages for NDES quote IIS logs with Mozilla/4.0 (compatible; Win32; NDES client)"},
	{Cisco, "cisco", nil, "IOS debug logs (micromdm/scep#211): Mozilla/4.0 (compatible; MSIE 5.0; Cisco PKI)"},
	{Apple, "cfnetwork/", nil, "server logs (micromdm/scep#155, Microsoft's pages for Intune): mdmclient/863 CFNetwork/760.9 Darwin/15.6.0, profiled/1.0 CFNetwork/975.0.3 Darwin/18.2.0"},
	{Apple, "darwin/", nil, "as the row before: the system's part of the same header"},
	{ChromeOS, "cros", nil, "the token of every User-Agent of ChromeOS"},
	{MikroTik, "mikrotik", nil, "RouterOS names itself so in its own HTTP requests; not seen with SCEP"},
	{MikroTik, "routeros", nil, "as the row before"}, //nolint:misspell // a name
	{Juniper, "juniper", nil, "inferred from the maker's name; not seen"},
	{Juniper, "junos", nil, "inferred from the system's name; not seen"},
	{Juniper, "netscreen", nil, "inferred from the system's name; not seen"},
	{AndroidJscep, "dalvik/", nil, "the default of java.net.HttpURLConnection on Android, which jscep sends with"},
	{AndroidJscep, "java/", nil, "the default of java.net.HttpURLConnection, which jscep sends with"},
	{StrongSwan, "strongswan", nil, "inferred from the project's name; version 5.9.8 sends no User-Agent"},
	{Certmonger, "certmonger", nil, "inferred from the project's name; version 0.79.17 sends no User-Agent"},
	{SSCEP, "sscep", nil, "inferred from the project's name; known versions send no User-Agent"},
	{Scepclient, "go-http-client/", nil, "seen of micromdm scepclient 2.1.0"},
	{Scepclient, "scepclient", nil, "inferred from the project's name"},
	{OpenSSL, "curl/", nil, "seen of curl 7.88"},
	{OpenSSL, "wget", nil, "the default of GNU Wget and BusyBox"},
	{OpenSSL, "openssl", nil, "inferred from the project's name"},

	{Windows, "", asksFor("default"), "Microsoft's troubleshooting pages for NDES quote message=default; fleetdm/fleet#53703"},
	{MikroTik, "", asksFor("DummyCAIdentity"), "RouterOS manual: default of ca-identity"},
	{Certmonger, "", both(asksFor("0"), fromCurl), "seen of certmonger 0.79.17"},
	{SSCEP, "", asksFor("CAIdentifier"), "sscep's source: default of option -i (certnanny/sscep#160)"},
	{Apple, "", asksFor("SCEP Authority"), "IIS logs on Microsoft's pages for Intune on iOS"},
	{AndroidJscep, "", asksFor("ca"), "Company Portal logs on Microsoft's pages: org.jscep sends message=ca"},
	{MikroTik, "", transaction(`^[0-9a-f]{64}$`), "RouterOS debug log: the transaction is 64 lower-case hexadecimal digits"},
	{Cisco, "", algorithms("DES-CBC", "MD5"), "old IOS: DES-CBC and MD5 (smallstep/certificates#2100)"},
	{Cisco, "", both(oldHTTP, underPath("/cgi-bin/")), "IOS sends HTTP/1.0 to its default path /cgi-bin/pkiclient.exe"},
	{SSCEP, "", oldHTTP, "sscep 0.6.1's log: HTTP/1.0 without headers (packetfence#6213)"},
	{Windows, "", underPath("/certsrv/mscep/mscep.dll/pkiclient.exe"), "Microsoft's troubleshooting pages for NDES: Windows appends /pkiclient.exe"},
	{Certmonger, "", both(fromCurl, operation(http.MethodGet, "PKIOperation")), "seen of certmonger 0.79.17, which sends all by GET, through libcurl"},
	{StrongSwan, "", both(fromCurl, untyped), "seen of strongSwan 5.9.8: libcurl, and no Content-Type"},
}

// asksFor wants the value of the parameter "message" of GetCACaps and GetCACert.
func asksFor(message string) func(Shape) bool {
	return func(s Shape) bool { return s.Message == message }
}

// operation wants an HTTP method and the operation of a query.
func operation(method, name string) func(Shape) bool {
	return func(s Shape) bool { return s.Method == method && strings.EqualFold(s.Operation, name) }
}

// transaction wants a form of the transactionID.
func transaction(form string) func(Shape) bool {
	pattern := regexp.MustCompile(form)
	return func(s Shape) bool { return pattern.MatchString(s.TransactionID) }
}

// underPath wants the beginning of the path, in any letter case.
func underPath(prefix string) func(Shape) bool {
	return func(s Shape) bool {
		return len(s.Path) >= len(prefix) && strings.EqualFold(s.Path[:len(prefix)], prefix)
	}
}

// algorithms wants those of the message.
func algorithms(cipher, digest string) func(Shape) bool {
	return func(s Shape) bool { return s.Cipher == cipher && s.Digest == digest }
}

func oldHTTP(s Shape) bool { return s.HTTP10 }

// fromCurl is what libcurl adds when a program says nothing about headers.
func fromCurl(s Shape) bool { return s.Accept == "*/*" }

func untyped(s Shape) bool { return s.ContentType == "" }

func both(a, b func(Shape) bool) func(Shape) bool {
	return func(s Shape) bool { return a(s) && b(s) }
}
