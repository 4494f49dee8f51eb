package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Recording says what becomes of audit records beside the servers' log, and of traces.
type Recording struct {
	// Where audit records are sent to. Left out: they are in the servers' log, and for
	// a while on each server's disk.
	// +optional
	Sink *RecordingSink `json:"sink,omitempty"`

	// Send traces of enrolments to a collector of OpenTelemetry. Left out: there are none.
	// +optional
	Tracing *Tracing `json:"tracing,omitempty"`
}

// SinkFailurePolicy says what happens while the sink takes no records.
// +kubebuilder:validation:Enum=Continue;Refuse
type SinkFailurePolicy string

// The values of SinkFailurePolicy.
const (
	// SinkFailureContinue enrols on; records that found no room are counted.
	SinkFailureContinue SinkFailurePolicy = "Continue"
	// SinkFailureRefuse orders no certificate before the sink has accepted the record
	// of the order: devices are told to come again, and nothing is consumed.
	SinkFailureRefuse SinkFailurePolicy = "Refuse"
)

// RecordingSink is a service that audit records are sent to.
//
// +kubebuilder:validation:XValidation:rule="has(self.otlp) != has(self.webhook)",message="set either otlp or webhook, not both"
type RecordingSink struct {
	// A collector of OpenTelemetry: log records by OTLP over HTTP.
	// +optional
	OTLP *OTLPSink `json:"otlp,omitempty"`

	// A service that takes records as JSON.
	// +optional
	Webhook *WebhookSink `json:"webhook,omitempty"`

	// What happens while the sink takes no records: Continue, or Refuse, by which nothing
	// is issued without its record.
	// +optional
	// +kubebuilder:default=Continue
	OnSinkFailure SinkFailurePolicy `json:"onSinkFailure,omitempty"`

	// CA certificates that the sink's certificate chains to, in PEM. Left out: the
	// public ones that come with the servers' image.
	// +optional
	CABundleRef *ConfigMapKeyReference `json:"caBundleRef,omitempty"`

	// How long the sink may take for a batch of records.
	// +optional
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('30s')",message="timeout must be between 1s and 30s: with Refuse a device waits behind it"
	Timeout metav1.Duration `json:"timeout,omitempty"`
}

// OTLPSink is a collector of OpenTelemetry.
//
// +kubebuilder:validation:XValidation:rule="!has(self.secretRef) || self.url.startsWith('https://')",message="a token is sent over https only",fieldPath=".url"
type OTLPSink struct {
	// URL of the collector's logs receiver, such as
	// http://collector.monitoring.svc:4318/v1/logs. Plain http sends records in clear:
	// it is for collectors in the same cluster.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s/@?#]+(/[^\s?#]*)?$`
	URL string `json:"url"`

	// A Secret with the key bearer-token, which is sent as Authorization. It needs the
	// label scepter.dev/challenge-credentials: "true", and an https URL.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
}

// WebhookSink is a service that takes records as JSON.
type WebhookSink struct {
	// Where to POST batches of records to: https only. Logs and conditions show its host and port, and nothing else of it.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://[^\s/@?#]+(/[^\s#]*)?(\?[^\s#]*)?$`
	URL string `json:"url"`

	// A Secret with the key signing-secret, in base64: each batch is signed with
	// HMAC-SHA256 in the header X-Scepter-Signature. It needs the label
	// scepter.dev/challenge-credentials: "true".
	// +required
	SecretRef LocalReference `json:"secretRef"`
}

// Tracing sends traces of enrolments to a collector of OpenTelemetry, by OTLP over HTTP.
type Tracing struct {
	// URL of the collector's traces receiver, such as
	// http://collector.monitoring.svc:4318/v1/traces.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s/@?#]+(/[^\s?#]*)?$`
	Endpoint string `json:"endpoint"`

	// Which part of the enrolments is traced, between "0" and "1".
	// +optional
	// +kubebuilder:default="0.01"
	// +kubebuilder:validation:MaxLength=10
	// +kubebuilder:validation:Pattern=`^(0(\.[0-9]+)?|1(\.0+)?)$`
	Ratio string `json:"ratio,omitempty"`

	// CA certificates that the collector's certificate chains to, in PEM. Left out: the
	// public ones that come with the servers' image.
	// +optional
	CABundleRef *ConfigMapKeyReference `json:"caBundleRef,omitempty"`
}
