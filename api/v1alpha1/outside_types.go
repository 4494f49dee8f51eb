package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LabelChallengeCredentials has to be "true" on a Secret whose values the servers
// send to a service outside: who may edit an endpoint must not be able to send any
// Secret to a URL of his choice.
const LabelChallengeCredentials = GroupName + "/challenge-credentials"

// ConfigMapKeyReference names one key of a ConfigMap in the same namespace.
type ConfigMapKeyReference struct {
	// Name of the ConfigMap in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key within the ConfigMap's data.
	// +optional
	// +kubebuilder:default=ca.crt
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// WebhookAuthentication says how the servers authenticate towards a webhook.
// +kubebuilder:validation:Enum=Signature;Bearer;Basic;ClientCertificate
type WebhookAuthentication string

// The ways to authenticate, and the keys of the Secret that they need.
const (
	// WebhookSignature signs each request with HMAC-SHA256: the key signing-secret, in base64.
	WebhookSignature WebhookAuthentication = "Signature"
	// WebhookBearer sends a token: the key bearer-token.
	WebhookBearer WebhookAuthentication = "Bearer"
	// WebhookBasic sends a user name and a password: the keys username and password.
	WebhookBasic WebhookAuthentication = "Basic"
	// WebhookClientCertificate shows a certificate in the TLS handshake: the keys tls.crt and tls.key.
	WebhookClientCertificate WebhookAuthentication = "ClientCertificate"
)

// WebhookTarget is a service that speaks step-ca's webhook protocol.
//
// +kubebuilder:validation:XValidation:rule="!('Bearer' in self.authentication && 'Basic' in self.authentication)",message="a request has one Authorization header: choose Bearer or Basic",fieldPath=".authentication"
// +kubebuilder:validation:XValidation:rule="!has(self.clientCertificateRef) || 'ClientCertificate' in self.authentication",message="clientCertificateRef goes with authentication ClientCertificate",fieldPath=".clientCertificateRef"
// +kubebuilder:validation:XValidation:rule="!has(self.clientProbe) || has(self.clientCertificateRef)",message="clientProbe goes with clientCertificateRef",fieldPath=".clientProbe"
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) != (has(self.clientCertificateRef) && self.authentication.all(a, a == 'ClientCertificate'))",message="authentication needs a secretRef, unless all it needs comes from clientCertificateRef",fieldPath=".secretRef"
type WebhookTarget struct {
	// Where to POST to: https only. Logs and conditions show its host and port, and nothing else of it.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://[^\s/@?#]+(/[^\s#]*)?(\?[^\s#]*)?$`
	URL string `json:"url"`

	// Sent as X-Smallstep-Webhook-ID. Left out: the name of the challenge.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[!-~]*$`
	ID string `json:"id,omitempty"`

	// How the servers authenticate.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Authentication []WebhookAuthentication `json:"authentication"`

	// The Secret with what authentication needs: signing-secret, bearer-token,
	// username and password, tls.crt and tls.key. It needs the label
	// scepter.dev/challenge-credentials: "true".
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`

	// The RACredential of purpose PolicyModule that the client certificate comes from,
	// in place of tls.crt and tls.key of the Secret: it renews itself.
	// +optional
	ClientCertificateRef *LocalReference `json:"clientCertificateRef,omitempty"`

	// How the servers ask whether the service accepts the next certificate of
	// clientCertificateRef, before they show it: Head (a HEAD request), Post (an empty
	// JSON object), or None (they do not ask). Left out: Head.
	// +optional
	ClientProbe ClientProbe `json:"clientProbe,omitempty"`
}

// WebhookChallenge asks a service whether a password is good, as step-ca's webhooks
// of kind SCEPCHALLENGE do.
type WebhookChallenge struct {
	WebhookTarget `json:",inline"`

	// CA certificates that the services' certificates chain to, in PEM. Left out: the
	// public ones that come with the servers' image.
	// +optional
	CABundleRef *ConfigMapKeyReference `json:"caBundleRef,omitempty"`

	// How long a question may take, both tries together.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('30s')",message="timeout must be between 1s and 30s: a device waits behind it"
	Timeout metav1.Duration `json:"timeout,omitempty"`

	// A service to be told how enrolments end, as step-ca's webhooks of kind NOTIFYING are.
	// +optional
	Notification *WebhookNotification `json:"notification,omitempty"`
}

// WebhookNotification tells a service how enrolments end.
type WebhookNotification struct {
	WebhookTarget `json:",inline"`

	// Whether a certificate is handed out only once the service has accepted the
	// notification; until then the device is told to poll.
	// +optional
	// +kubebuilder:default=false
	Required bool `json:"required,omitempty"`
}

// IntuneAuthentication says how the servers authenticate towards Microsoft Entra ID.
// +kubebuilder:validation:Enum=ClientSecret;ClientCertificate;WorkloadIdentity
type IntuneAuthentication string

// The ways to authenticate.
const (
	// IntuneClientSecret sends the application's secret: the Secret's key client-secret.
	IntuneClientSecret IntuneAuthentication = "ClientSecret"
	// IntuneClientCertificate signs an assertion: the Secret's keys tls.crt and tls.key.
	IntuneClientCertificate IntuneAuthentication = "ClientCertificate"
	// IntuneWorkloadIdentity sends a token of the servers' service account, which the
	// application trusts as a federated credential: no Secret is needed.
	IntuneWorkloadIdentity IntuneAuthentication = "WorkloadIdentity"
)

// IntuneChallenge asks Microsoft Intune whether it caused a request, and tells it how
// the enrolment ended.
//
// +kubebuilder:validation:XValidation:rule="(self.authentication == 'WorkloadIdentity') != has(self.secretRef)",message="ClientSecret and ClientCertificate need a secretRef; WorkloadIdentity must not have one",fieldPath=".secretRef"
type IntuneChallenge struct {
	// ID of the tenant in Microsoft Entra ID.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-.a-zA-Z0-9]+$`
	TenantID string `json:"tenantID"`

	// ID of the registered application. It needs the permissions scep_challenge_provider
	// of Intune and Application.Read.All of Microsoft Graph.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-a-zA-Z0-9]+$`
	ClientID string `json:"clientID"`

	// How the servers authenticate as the application.
	// +required
	Authentication IntuneAuthentication `json:"authentication"`

	// The Secret with client-secret, or with tls.crt and tls.key. It needs the label
	// scepter.dev/challenge-credentials: "true".
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`

	// Whether a certificate is handed out only once Intune has accepted the success
	// notification; until then the device is told to poll. Microsoft wants it so.
	// +optional
	// +kubebuilder:default=true
	RequireNotification *bool `json:"requireNotification,omitempty"`

	// How long one call of Microsoft's services may take.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('30s')",message="timeout must be between 1s and 30s: a device waits behind it"
	Timeout metav1.Duration `json:"timeout,omitempty"`

	// Where Microsoft's services are. Left out: the global cloud.
	// +optional
	URLs *IntuneURLs `json:"urls,omitempty"`

	// CA certificates that the services' certificates chain to, in PEM, for networks
	// that intercept TLS. Left out: the public ones that come with the servers' image.
	// +optional
	CABundleRef *ConfigMapKeyReference `json:"caBundleRef,omitempty"`
}

// IntuneURLs are where Microsoft's services are. What is left out is the global
// cloud's.
type IntuneURLs struct {
	// Microsoft Entra ID: https://login.microsoftonline.com.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://[^\s/@?#]+/?$`
	Authority string `json:"authority,omitempty"`

	// Microsoft Graph: https://graph.microsoft.com.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://[^\s/@?#]+/?$`
	Graph string `json:"graph,omitempty"`

	// Scope of tokens for Microsoft Graph: https://graph.microsoft.com/.default.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://[^\s]+$`
	GraphScope string `json:"graphScope,omitempty"`

	// Scope of tokens for Intune: https://api.manage.microsoft.com//.default.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://[^\s]+$`
	IntuneScope string `json:"intuneScope,omitempty"`

	// Audience of the service account token with WorkloadIdentity: api://AzureADTokenExchange.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^[!-~]+$`
	TokenAudience string `json:"tokenAudience,omitempty"`
}
