package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ProbeMode says whether an endpoint's URLs are tried.
// +kubebuilder:validation:Enum=Enabled;Disabled
type ProbeMode string

// The values of ProbeMode.
const (
	ProbesEnabled  ProbeMode = "Enabled"
	ProbesDisabled ProbeMode = "Disabled"
)

// Probes says how an endpoint's URLs are tried. One of its servers asks them what a
// device would ask; nothing is issued by it.
type Probes struct {
	// Whether the URLs, and what the servers depend on, are tried. Disabled where the endpoint's servers cannot reach
	// their own URLs although devices can.
	// +optional
	// +kubebuilder:default=Enabled
	Mode ProbeMode `json:"mode,omitempty"`

	// How often capabilities and CA certificates are asked for, and services that the
	// servers depend on are looked for, about.
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('1h')",message="interval must be between 10s and 1h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// How often URLs of up to 65,534 bytes, POST, HTTP/1.0 and the historical paths are
	// tried, about. They are tried as well whenever a URL comes into being or works again.
	// +optional
	// +kubebuilder:default="1h0m0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('5m') && duration(self) <= duration('24h')",message="urlInterval must be between 5m and 24h"
	URLInterval *metav1.Duration `json:"urlInterval,omitempty"`

	// The canary: an exchange like a device's, to the end.
	// +optional
	// +kubebuilder:default={}
	Canary Canary `json:"canary,omitempty"`
}

// CanaryLevel says how far canaries go.
// +kubebuilder:validation:Enum=Disabled;Protocol;Full
type CanaryLevel string

// The levels of canaries.
const (
	// CanaryDisabled sends none.
	CanaryDisabled CanaryLevel = "Disabled"
	// CanaryProtocol goes through the whole exchange, up to an answer that the RA signs.
	// Nothing is issued, written or counted.
	CanaryProtocol CanaryLevel = "Protocol"
	// CanaryFull does that too, and more rarely has a certificate issued: for a fixed name,
	// for an hour, and good for no authentication.
	CanaryFull CanaryLevel = "Full"
)

// Canary says how an exchange like a device's is tried, by every URL that passes the
// other probes.
type Canary struct {
	// Protocol: the servers open a request, have the template judge it, and sign an
	// answer that says that it was a dry run; nothing is issued. Full: besides, every issueInterval
	// one of the servers has the issuer make a certificate for the name "Scepter canary": for an
	// hour, where the issuer heeds that, and without client authentication. The issuer may want
	// money for it. Disabled: no request is sent.
	// +optional
	// +kubebuilder:default=Protocol
	Level CanaryLevel `json:"level,omitempty"`

	// How often it is tried, about; left out: every 5m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="canary.interval must be between 1m and 24h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// With level Full, how often a certificate is issued, about, for the whole endpoint; left
	// out: every 6h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('15m') && duration(self) <= duration('168h')",message="canary.issueInterval must be between 15m and 168h"
	IssueInterval *metav1.Duration `json:"issueInterval,omitempty"`
}

// CanaryStep is a part of a canary's exchange.
// +kubebuilder:validation:Enum=Probes;GetCACaps;GetCACert;PKIOperation;Reply;Answer;Issuance
type CanaryStep string

// The steps of a canary, in their order.
const (
	// CanaryProbes: a URL does not even pass the other probes.
	CanaryProbes CanaryStep = "Probes"
	// CanaryGetCACaps asks for the capabilities.
	CanaryGetCACaps CanaryStep = "GetCACaps"
	// CanaryGetCACert asks for the certificates of RA and CA, and has to find them valid
	// and of one chain.
	CanaryGetCACert CanaryStep = "GetCACert"
	// CanaryPKIOperation sends the request.
	CanaryPKIOperation CanaryStep = "PKIOperation"
	// CanaryReply reads what comes back: it has to be signed by the RA's certificate, and
	// to be for this request.
	CanaryReply CanaryStep = "Reply"
	// CanaryAnswer is what the servers decided.
	CanaryAnswer CanaryStep = "Answer"
	// CanaryIssuance has the issuer make a certificate, which has to be the one asked for;
	// with level Full.
	CanaryIssuance CanaryStep = "Issuance"
)

// CanaryOutcome is what became of the canaries.
// +kubebuilder:validation:Enum=Passed;Failed
type CanaryOutcome string

// The values of CanaryOutcome.
const (
	CanaryPassed CanaryOutcome = "Passed"
	CanaryFailed CanaryOutcome = "Failed"
)

// ProbeVantage says from where URLs were tried.
// +kubebuilder:validation:Enum=Cluster
type ProbeVantage string

// VantageCluster is a pod in the cluster: what is outside of it, such as a cloud's
// load balancer, may not have been on the way.
const VantageCluster ProbeVantage = "Cluster"

// ProbePassed is the result of a URL by which devices can enrol.
const ProbePassed = "Passed"

// EndpointProbes is what came of trying an endpoint's URLs.
type EndpointProbes struct {
	// Where they were tried from. Cluster: from one of the servers; a load balancer or
	// proxy outside of the cluster may not have been on the way.
	// +required
	Vantage ProbeVantage `json:"vantage"`

	// The longest URL (path and query) that passes on every route, in bytes, of the
	// sizes tried; left out while none has been tried.
	// +optional
	MaxURLBytes int32 `json:"maxURLBytes,omitempty"`

	// The longest URL (path and query) that a device has sent, in bytes, rounded down to
	// one of the sizes that are tried: what passed here passed everything on the way.
	// +optional
	LongestReceivedBytes int32 `json:"longestReceivedBytes,omitempty"`

	// What became of the canaries; left out before the first, and where none is sent.
	// +optional
	Canary *CanaryStatus `json:"canary,omitempty"`

	// What the servers depend on, as one of them found it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=24
	Dependencies []ProbedService `json:"dependencies,omitempty"`

	// Where management systems and people get challenges, asked without saying who asks: a
	// server of the endpoint has to want to know. Left out where there is no exposure.admin
	// with a challenge of type OneTime, and before it was asked.
	// +optional
	Admin *ProbedURL `json:"admin,omitempty"`

	// The URLs tried.
	// +optional
	// +listType=map
	// +listMapKey=url
	// +kubebuilder:validation:MaxItems=16
	URLs []ProbedURL `json:"urls,omitempty"`
}

// CanaryStatus is what became of the canaries sent last.
type CanaryStatus struct {
	// How far they go.
	// +required
	Level CanaryLevel `json:"level"`

	// Passed: all came to their end.
	// +required
	Result CanaryOutcome `json:"result"`

	// Where the first that failed ended.
	// +optional
	Step CanaryStep `json:"step,omitempty"`

	// The URL that it was sent by; left out where it was the server itself.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	URL string `json:"url,omitempty"`

	// Since when it is so.
	// +required
	Since metav1.Time `json:"since"`
}

// ProbedService is what came of trying to reach a service that the servers depend on.
type ProbedService struct {
	// What it is: APIServer, Signer, Challenge, Notification, Revocation, AuditSink or Tracing.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Kind string `json:"kind"`

	// The challenge that it is for.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// Its host and port.
	// +required
	// +kubebuilder:validation:MaxLength=300
	Host string `json:"host"`

	// The proxy on the way, by host and port.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	Proxy string `json:"proxy,omitempty"`

	// Passed, or what came instead; a reason of the condition Enrolling.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Result string `json:"result"`
}

// ProbedURL is what came of trying a URL.
type ProbedURL struct {
	// The URL.
	// +required
	// +kubebuilder:validation:MaxLength=300
	URL string `json:"url"`

	// Passed, or what came instead; a reason of the conditions Exposed and LongURLs.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Result string `json:"result"`

	// What came instead, for people; left out where it passed.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// What a browser shows for GetCACaps and GetCACert there. While the URL does not pass
	// it is what was answered last.
	// +optional
	Answer *ProbedAnswer `json:"answer,omitempty"`

	// Addresses that the name resolves to.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses,omitempty"`

	// The longest URL (path and query) that passes, in bytes, of the sizes tried.
	// +optional
	MaxURLBytes int32 `json:"maxURLBytes,omitempty"`

	// When the TLS certificate that is shown ends.
	// +optional
	TLSNotAfter *metav1.Time `json:"tlsNotAfter,omitempty"`

	// What some devices would miss, though the URL passed: HTTP/1.0, for one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:MaxLength=256
	Warnings []string `json:"warnings,omitempty"`
}

// ProbedAnswer is what GetCACaps and GetCACert got.
type ProbedAnswer struct {
	// The keywords of GetCACaps.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=24
	// +kubebuilder:validation:items:MaxLength=40
	Capabilities []string `json:"capabilities,omitempty"`

	// The certificates of GetCACert, as they came: the first eight.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Certificates []ProbedCertificate `json:"certificates,omitempty"`
}

// ProbedCertificate is a certificate that GetCACert got.
type ProbedCertificate struct {
	// What devices take it for: RA, Issuing, Intermediate or Root.
	// +required
	Role CACertificateRole `json:"role"`

	// Subject, in the form of RFC 2253, cut where it is very long.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Subject string `json:"subject,omitempty"`

	// SHA-256 of the certificate in lower-case hexadecimal.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	SHA256 string `json:"sha256"`

	// End of its validity.
	// +required
	NotAfter metav1.Time `json:"notAfter"`
}
