package raconfig

import "github.com/scepter-pki/scepter/api/v1alpha1"

// Directories beside those of challenges, whose names have no dot, with the files of
// the sink and of tracing.
const (
	SinkDir    = "recording.sink"
	TracingDir = "recording.tracing"
)

// Recording says where records and traces are sent.
type Recording struct {
	// Sink is nil where records stay with the server.
	Sink *Sink `json:"sink,omitempty"`
	// Tracing is nil where there are no traces.
	Tracing *Tracing `json:"tracing,omitempty"`
}

// SinkKind is a protocol by which records are sent.
type SinkKind string

// The kinds of sink.
const (
	SinkOTLP    SinkKind = "OTLP"
	SinkWebhook SinkKind = "Webhook"
)

// Sink is where records are sent.
type Sink struct {
	Kind SinkKind `json:"kind"`
	URL  string   `json:"url"`
	// Token is true where BearerTokenFile is sent along, by OTLP.
	Token bool `json:"token,omitempty"`
	// CABundle is true where CABundleFile replaces the public CAs.
	CABundle       bool                       `json:"caBundle,omitempty"`
	TimeoutSeconds int32                      `json:"timeoutSeconds"`
	OnFailure      v1alpha1.SinkFailurePolicy `json:"onFailure"`
	// Withheld is true where its Secret must not be sent anywhere: the sink is not used.
	Withheld bool `json:"withheld,omitempty"`
}

// Tracing is where traces are sent.
type Tracing struct {
	URL string `json:"url"`
	// Ratio of the enrolments that are traced, a number from 0 to 1.
	Ratio    string `json:"ratio"`
	CABundle bool   `json:"caBundle,omitempty"`
}
