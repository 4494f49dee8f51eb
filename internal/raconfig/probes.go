package raconfig

import (
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// ProberParameter is the parameter of StatusPath by which the operator tells a server
// the name of the pod that probes the endpoint's URLs. It is in no file, so that
// another prober costs no write; a server that was not told does not probe.
const ProberParameter = "prober"

// NoCanariesParameter is the parameter of StatusPath by which the operator tells the
// prober to send no canaries, whatever its file says, until it is not told so any
// more: while an endpoint is suspended its file is not written.
const NoCanariesParameter = "nocanaries"

// AnewParameter is the parameter of StatusPath by which the operator tells the prober to try
// everything now, what is rarely tried included: when its value is another than before.
const AnewParameter = "anew"

// ProbeSizes are the lengths of request targets (path and query) that are tried, in
// bytes. The last is what Microsoft's NDES takes.
var ProbeSizes = []int{4 << 10, 8 << 10, 12 << 10, 16 << 10, 24 << 10, 32 << 10, 48 << 10, 65534}

// Probes says what the prober tries, and how often.
type Probes struct {
	// URLs that devices use.
	URLs []string `json:"urls"`
	// Admin is the URL of the page of challenges, where there is one.
	Admin string `json:"admin,omitempty"`
	// IntervalSeconds is between two exchanges with each URL, about.
	IntervalSeconds int64 `json:"intervalSeconds"`
	// URLIntervalSeconds is between two trials of long URLs and of what else changes rarely.
	URLIntervalSeconds int64 `json:"urlIntervalSeconds"`
	// Canary is nil where none is sent.
	Canary *Canary `json:"canary,omitempty"`
}

// Canary says how the prober tries what devices do, to the end.
type Canary struct {
	Level v1alpha1.CanaryLevel `json:"level"`
	// IntervalSeconds is between two canaries by each URL, about.
	IntervalSeconds int64 `json:"intervalSeconds"`
	// IssueIntervalSeconds is between two certificates that are issued to canaries; 0: none is.
	IssueIntervalSeconds int64 `json:"issueIntervalSeconds,omitempty"`
}

// ProbeReport is what the prober found: facts, which the operator judges.
type ProbeReport struct {
	Vantage v1alpha1.ProbeVantage `json:"vantage"`
	// Server is what the prober's own server answers, asked without anything between.
	Server ProbeResult `json:"server"`
	// URLs in the order of Probes.URLs.
	URLs []ProbeResult `json:"urls"`
	// Admin is what came of asking for the page of challenges without saying who asks; nil
	// where there is none, and before it was asked for.
	Admin *ProbeResult `json:"admin,omitempty"`
	// Issued is what became of the last canary that was to get a certificate; nil before
	// it, and where there is none.
	Issued *IssuedCanary `json:"issued,omitempty"`
}

// IssuedCanary is what became of a canary that was to get a certificate.
type IssuedCanary struct {
	// URL that it was sent by; "": to the prober's own server.
	URL string `json:"url,omitempty"`
	CanaryResult
}

// ProbeResult is what came of trying one URL.
type ProbeResult struct {
	URL string `json:"url"`
	// At is when it was tried last.
	At time.Time `json:"at"`
	// Addresses that the name resolved to, sorted, at most eight.
	Addresses []string `json:"addresses,omitempty"`
	// Failure is why GetCACaps or GetCACert got no good answer; nil: both did.
	Failure *ProbeFailure `json:"failure,omitempty"`
	// Answer is what it answered last that could be read: not of now where there is a Failure.
	Answer *ProbeAnswer `json:"answer,omitempty"`
	// Proved is true where a server of this endpoint signed for its answer. Without
	// that, answers were compared with the prober's own server's.
	Proved bool `json:"proved,omitempty"`
	// TLS is what the handshake showed.
	TLS *ProbeTLS `json:"tls,omitempty"`
	// ClockSkewSeconds is how far the header field Date is ahead of the prober's clock.
	ClockSkewSeconds int64 `json:"clockSkewSeconds,omitempty"`
	// Shape is what came of the rarer trials; nil before them.
	Shape *ProbeShape `json:"shape,omitempty"`
	// Canary is what became of the last one that counts; nil before it, and where there
	// is none.
	Canary *CanaryResult `json:"canary,omitempty"`
}

// ProbeAnswer is what GetCACaps and GetCACert got, bounded.
type ProbeAnswer struct {
	// Capabilities are the keywords of GetCACaps, in their order.
	Capabilities []string `json:"capabilities,omitempty"`
	// Certificates are those of GetCACert, in their order.
	Certificates []ProbeCertificate `json:"certificates"`
}

// ProbeCertificate is a certificate that GetCACert got.
type ProbeCertificate struct {
	// Role is what devices take it for: RA, Issuing, Intermediate or Root.
	Role    v1alpha1.CACertificateRole `json:"role"`
	Subject string                     `json:"subject"`
	// Fingerprint is its SHA-256 in hexadecimal digits.
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"notAfter"`
}

// Issues says whether certificates are issued to canaries.
func (p *Probes) Issues() bool {
	return p != nil && p.Canary != nil && p.Canary.IssueIntervalSeconds > 0
}

// CanaryResult is what became of a canary.
type CanaryResult struct {
	Level v1alpha1.CanaryLevel `json:"level"`
	// At is when it was sent.
	At time.Time `json:"at"`
	// Failure is nil if it came to its end.
	Failure *CanaryFailure `json:"failure,omitempty"`
}

// CanaryFailure is where a canary ended, and why.
type CanaryFailure struct {
	Step v1alpha1.CanaryStep `json:"step"`
	// Proved is true where a server of this endpoint signed for the answer.
	Proved bool         `json:"proved,omitempty"`
	Cause  ProbeFailure `json:"cause"`
}

// ProbeShape is which shapes of requests pass; a failure is nil where they do.
type ProbeShape struct {
	At time.Time `json:"at"`
	// MaxTargetBytes is the largest of ProbeSizes that passed; 0: none.
	MaxTargetBytes int `json:"maxTargetBytes"`
	// Target is why the next larger one did not.
	Target *ProbeFailure `json:"target,omitempty"`
	// Query: whether a query arrives byte for byte, plus signs and escapes above all.
	Query *ProbeFailure `json:"query,omitempty"`
	// Path: whether the historical paths pass.
	Path *ProbeFailure `json:"path,omitempty"`
	// Post: whether a POST of 16 KiB does.
	Post *ProbeFailure `json:"post,omitempty"`
	// PostPath: whether POST leads to the servers by the historical paths too.
	PostPath *ProbeFailure `json:"postPath,omitempty"`
	// HTTP10: whether HTTP/1.0 does, which some routers speak.
	HTTP10 *ProbeFailure `json:"http10,omitempty"`
}

// ProbeTLS is what a TLS handshake showed.
type ProbeTLS struct {
	// Fingerprint is the SHA-256 of the server's certificate in hexadecimal digits.
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"notAfter"`
	// Chain is true where each certificate shown is signed by the next one.
	Chain bool `json:"chain"`
}

// FailureKind says what came in place of a good answer.
type FailureKind string

// The kinds of failure.
const (
	// FailureNameUnknown: the name does not exist, or has no address.
	FailureNameUnknown FailureKind = "NameUnknown"
	// FailureResolver: no resolver answers for the name.
	FailureResolver FailureKind = "ResolverFailed"
	// FailureAddress: the name leads to an address that no device can reach (loopback, link-local, multicast).
	FailureAddress FailureKind = "AddressUnusable"
	// FailureRefused: nothing listens.
	FailureRefused FailureKind = "Refused"
	// FailureUnreachable: there is no way to the address.
	FailureUnreachable FailureKind = "Unreachable"
	// FailureTimeout: no answer in time.
	FailureTimeout FailureKind = "Timeout"
	// FailureReset: the connection was cut.
	FailureReset FailureKind = "Reset"
	// FailureClosed: the connection ended before the answer did.
	FailureClosed FailureKind = "Closed"
	// FailureTLS: no handshake.
	FailureTLS FailureKind = "TLSFailed"
	// FailureTLSName: the certificate is for another name.
	FailureTLSName FailureKind = "TLSName"
	// FailureTLSExpired: the certificate has ended.
	FailureTLSExpired FailureKind = "TLSExpired"
	// FailureTLSNotYetValid: the certificate has not begun.
	FailureTLSNotYetValid FailureKind = "TLSNotYetValid"
	// FailureTLSUntrusted: the certificate is of no CA that the servers trust.
	FailureTLSUntrusted FailureKind = "TLSUntrusted"
	// FailureNotHTTP: the answer is not HTTP, or too large.
	FailureNotHTTP FailureKind = "NotHTTP"
	// FailureStatus: an HTTP status that is not 200.
	FailureStatus FailureKind = "Status"
	// FailureRedirect: a redirect, which SCEP clients do not follow.
	FailureRedirect FailureKind = "Redirect"
	// FailureForeign: a good status, but the answer is not that of this endpoint.
	FailureForeign FailureKind = "Foreign"
	// FailureAltered: the request or the answer was changed on the way.
	FailureAltered FailureKind = "Altered"
	// FailureUnfit: the servers' own answer is one that no device can use, or a refusal.
	FailureUnfit FailureKind = "Unfit"
)

// ProbeFailure is what came in place of a good answer.
type ProbeFailure struct {
	Kind FailureKind `json:"kind"`
	// Status is the HTTP status, if one came.
	Status int `json:"status,omitempty"`
	// Server is the header field of that name: whoever answered says so itself.
	Server string `json:"server,omitempty"`
	// Software is what answered, where it shows; "" where it does not.
	Software Software `json:"software,omitempty"`
	// Detail for a person: a redirect's Location, a certificate's names, a path. Bounded.
	Detail string `json:"detail,omitempty"`
	// Bytes is the length of the request target that failed, where that matters.
	Bytes int `json:"bytes,omitempty"`
}

// Software is a web server, proxy or load balancer that is known by its answers.
type Software string

// The software that is known.
const (
	SoftwareNginx      Software = "nginx"
	SoftwareHAProxy    Software = "haproxy"
	SoftwareApache     Software = "apache"
	SoftwareCaddy      Software = "caddy"
	SoftwareEnvoy      Software = "envoy"
	SoftwareIIS        Software = "iis"
	SoftwareALB        Software = "aws-alb"
	SoftwareAppGateway Software = "azure-application-gateway"
	SoftwareCloudflare Software = "cloudflare"
)
