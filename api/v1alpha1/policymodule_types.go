package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClientProbe says how the servers ask a service, ahead of a switch, whether it accepts
// a client certificate.
// +kubebuilder:validation:Enum=Head;Post;None
type ClientProbe string

// The ways to ask.
const (
	// ClientProbeHead sends a HEAD request, which changes nothing (RFC 9110, section 9.2.1).
	ClientProbeHead ClientProbe = "Head"
	// ClientProbePost sends an empty JSON object by POST, for services that look at the
	// certificate only then.
	ClientProbePost ClientProbe = "Post"
	// ClientProbeNone asks nothing: the next certificate is shown as soon as it is loaded.
	ClientProbeNone ClientProbe = "None"
)

// ClientAnswer is how a service took a client certificate.
// +kubebuilder:validation:Enum=Accepted;Refused;Unreachable;Unclear
type ClientAnswer string

// The answers.
const (
	// ClientAccepted: the service let the certificate pass.
	ClientAccepted ClientAnswer = "Accepted"
	// ClientRefused: the service refused it, in the TLS handshake or by HTTP 401 or 403.
	ClientRefused ClientAnswer = "Refused"
	// ClientUnreachable: the service was not reached, so nothing is known.
	ClientUnreachable ClientAnswer = "Unreachable"
	// ClientUnclear: the service answers the same with any certificate and without one.
	ClientUnclear ClientAnswer = "Unclear"
)

// ClientAnswerReason says what an answer was told by.
// +kubebuilder:validation:Enum=TLS;Unauthenticated;Forbidden;NoDifference;Network;ServerCertificate;NotAsked
type ClientAnswerReason string

// The reasons.
const (
	// ClientReasonTLS: the service ended the TLS handshake with an alert about the certificate.
	ClientReasonTLS ClientAnswerReason = "TLS"
	// ClientReasonUnauthenticated: the service answered HTTP 401: it does not know who calls.
	ClientReasonUnauthenticated ClientAnswerReason = "Unauthenticated"
	// ClientReasonForbidden: the service answered HTTP 403: it knows who calls, and does not let him.
	ClientReasonForbidden ClientAnswerReason = "Forbidden"
	// ClientReasonNoDifference: the service answers the same without a certificate.
	ClientReasonNoDifference ClientAnswerReason = "NoDifference"
	// ClientReasonNetwork: no connection, or no answer in time.
	ClientReasonNetwork ClientAnswerReason = "Network"
	// ClientReasonServerCertificate: the service's own certificate is not trusted.
	ClientReasonServerCertificate ClientAnswerReason = "ServerCertificate"
	// ClientReasonNotAsked: clientProbe is None.
	ClientReasonNotAsked ClientAnswerReason = "NotAsked"
)

// ClientStep says how far the next generation of a client credential has come at an endpoint.
// +kubebuilder:validation:Enum=Idle;Loading;Probing;NotAccepted
type ClientStep string

// The steps.
const (
	// ClientIdle: the newest generation is shown.
	ClientIdle ClientStep = "Idle"
	// ClientLoading: not every server holds the next generation yet.
	ClientLoading ClientStep = "Loading"
	// ClientProbing: the services are asked whether they accept the next generation.
	ClientProbing ClientStep = "Probing"
	// ClientNotAccepted: they have not accepted it within spec.acceptWithin of the RACredential.
	ClientNotAccepted ClientStep = "NotAccepted"
)

// ClientCredentialStatus describes an RACredential with which an endpoint's servers call webhooks.
type ClientCredentialStatus struct {
	// Name of the RACredential.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// ID of the generation that the servers show.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ActiveGeneration string `json:"activeGeneration,omitempty"`

	// When the active generation ends.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// ID of the newest generation that is not shown yet, if any.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	NextGeneration string `json:"nextGeneration,omitempty"`

	// How far the next generation has come.
	// +optional
	Step ClientStep `json:"step,omitempty"`

	// How many ready servers hold the next generation, as in "2/3".
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Held string `json:"held,omitempty"`

	// When the active generation became so.
	// +optional
	SwitchedAt *metav1.Time `json:"switchedAt,omitempty"`

	// What the services say, by the challenges that they judge.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Services []ClientServiceStatus `json:"services,omitempty"`
}

// ClientServiceStatus is how a service takes the client certificates. Its URL is not shown.
type ClientServiceStatus struct {
	// Name of the challenge.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Challenge string `json:"challenge"`

	// True for the service that is told how enrolments end.
	// +optional
	Notification bool `json:"notification,omitempty"`

	// How it takes the active generation. Left out: it has not been asked yet.
	// +optional
	Active *ClientServiceAnswer `json:"active,omitempty"`

	// How it takes the next generation.
	// +optional
	Next *ClientServiceAnswer `json:"next,omitempty"`
}

// ClientServiceAnswer is how a service took a client certificate, and what that was told by.
type ClientServiceAnswer struct {
	// How it took the certificate.
	// +required
	Answer ClientAnswer `json:"answer"`

	// What that was told by; left out for Accepted.
	// +optional
	Reason ClientAnswerReason `json:"reason,omitempty"`

	// HTTP status of the answer, if there was one.
	// +optional
	HTTPStatus int32 `json:"httpStatus,omitempty"`
}
