// Package family says which kind of client sent a request, by the shape of what it
// sent. It is for the funnel, for audit records and for rules: a good guess, and
// nothing that proves anything.
package family

import (
	"slices"
	"strings"
)

// Family is a kind of client. The values are API: rules and metrics carry them.
type Family string

// The families.
const (
	// Apple is iOS, iPadOS, tvOS and macOS.
	Apple Family = "Apple"
	// Windows is the SCEP client of Windows, and with it Intune's for Windows.
	Windows Family = "Windows"
	// AndroidJscep is the Java library jscep, which most agents on Android use.
	AndroidJscep Family = "AndroidJscep"
	// ChromeOS is a client that calls itself so; Google's connector is AndroidJscep.
	ChromeOS Family = "ChromeOS"
	// Cisco is Cisco's IOS and what descends from it.
	Cisco Family = "Cisco"
	// Juniper is ScreenOS and Junos.
	Juniper Family = "Juniper"
	// MikroTik is RouterOS.
	MikroTik Family = "MikroTik"
	// StrongSwan is "pki --scep" and older tools of that project.
	StrongSwan Family = "strongSwan"
	// Certmonger is the daemon certmonger.
	Certmonger Family = "certmonger"
	// SSCEP is the command sscep.
	SSCEP Family = "sscep"
	// Scepclient is micromdm's scepclient, and other programs in Go that do not say what they are.
	Scepclient Family = "scepclient"
	// OpenSSL is a script around "openssl cms" and curl or wget.
	OpenSSL Family = "openssl"
	// Scepter is this project's own client.
	Scepter Family = "Scepter"
	// Other is everything else.
	Other Family = "Other"
)

// All families, in the order of the alphabet.
func All() []Family {
	return []Family{
		AndroidJscep, Apple, Certmonger, ChromeOS, Cisco, Juniper, MikroTik,
		OpenSSL, Other, Scepclient, Scepter, SSCEP, StrongSwan, Windows,
	}
}

// Known says whether a name is that of a family.
func Known(name string) bool { return slices.Contains(All(), Family(name)) }

// Shape is what a request looks like, beside its User-Agent. Everything may be empty.
type Shape struct {
	// Method and Path of the HTTP request.
	Method, Path string
	// Operation as in the query, such as "GetCACert".
	Operation string
	// Message is the parameter "message" of GetCACaps or GetCACert, unescaped. That of
	// a PKIOperation does not belong here.
	Message string
	// HTTP10 is true of a request in HTTP/1.0.
	HTTP10 bool
	// Accept and ContentType are the headers.
	Accept, ContentType string

	// Of the pkiMessage, once it is open.
	TransactionID, Cipher, Digest string
}

// Of guesses the family: by the first row of the table that fits.
func Of(userAgent string, s Shape) Family {
	agent := strings.ToLower(userAgent)
	for i := range rows {
		if rows[i].fits(agent, s) {
			return rows[i].family
		}
	}
	return Other
}
