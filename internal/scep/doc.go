// Package scep is RFC 8894, the Simple Certificate Enrolment Protocol: its
// messages, what a server can do, the HTTP side of a registration authority,
// and a client.
//
// It knows no Kubernetes, no policy and no global state. A Backend decides who
// gets a certificate; an Identity, replaced as a whole, holds the RA's keys;
// Settings say which algorithms and messages an endpoint accepts. The way of a
// request:
//
//	HTTP → Open (parse, verify, decrypt) → Backend → Request.Respond → HTTP
//
// What is accepted stands in tables, by which both Open and GetCACaps go:
// digests and ciphers in algorithms.go, messages in content.go. A Client goes the
// other way: it wants to know which CA to trust (PinCA), chooses the RA's
// certificates by key usage (ParseCACertificates), and enrols, renews, polls and
// queries.
//
// The answer to a device whose key cannot decrypt, as an EC key, is encrypted
// with its challenge password (Settings.PasswordRecipient, Reply.Password). That
// is safe with one-time challenges only, and nothing is ever answered in clear.
//
// Three texts never mix: what a device is told (MessageError.Text,
// Reply.FailInfoText), what the log gets (MessageError.Err, Event.Err), and
// what stays secret (keys, challenges, CSRs), which is in neither.
package scep
