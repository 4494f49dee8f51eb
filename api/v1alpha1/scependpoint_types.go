package v1alpha1

import (
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ScepEndpoint is a SCEP service (RFC 8894): registration-authority servers, the
// routes to them, their RA certificates, and the rules by which devices get
// certificates from an issuer.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.server.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:path=scependpoints,shortName=scep,categories=scepter
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.urls[0]`
// +kubebuilder:printcolumn:name="Replicas",type=string,JSONPath=`.status.replicas`
// +kubebuilder:printcolumn:name="RA expires",type=string,JSONPath=`.status.raCredential.notAfter`
// +kubebuilder:printcolumn:name="CA expires",type=string,JSONPath=`.status.ca[?(@.role=="Issuing")].notAfter`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Max URL",type=integer,JSONPath=`.status.probes.maxURLBytes`,priority=1
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuance.issuerRef.name`,priority=1
// +kubebuilder:printcolumn:name="Last issued",type=date,JSONPath=`.status.lastIssuedAt`,priority=1
// +kubebuilder:printcolumn:name="Canary",type=string,JSONPath=`.status.probes.canary.result`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be a DNS-1035 label of at most 40 characters (lower-case letters, digits and '-', a letter first): the objects made from it add suffixes"
type ScepEndpoint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is wanted.
	// +required
	Spec ScepEndpointSpec `json:"spec"`

	// What there is.
	// +optional
	Status ScepEndpointStatus `json:"status,omitempty"`
}

// ScepEndpointList is a list of ScepEndpoints.
//
// +kubebuilder:object:root=true
type ScepEndpointList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ScepEndpoint `json:"items"`
}

// ScepEndpointSpec is what is wanted of an endpoint.
//
// +kubebuilder:validation:XValidation:rule="self.issuance.mode != 'CertificateRequest' || self.challenges.all(c, c.type != 'Static' || (has(c.static) && c.static.acknowledgeStoredChallenge))",message="a static challenge stays readable in stored CertificateRequests: set static.acknowledgeStoredChallenge to true if that is acceptable",fieldPath=".challenges"
// +kubebuilder:validation:XValidation:rule="self.templates.filter(t, has(t.default) && t.default).size() == 1 || self.templates.size() == 1",message="mark exactly one template with default: true"
// +kubebuilder:validation:XValidation:rule="self.templates.all(t, !has(t.keyUsage) || self.templates.exists_one(o, has(o.keyUsage) && o.keyUsage == t.keyUsage))",message="two entries have the same keyUsage: a request could match either",fieldPath=".templates"
// +kubebuilder:validation:XValidation:rule="self.challenges.all(c, !has(c.oneTime) || !has(c.oneTime.ndes) || !has(c.oneTime.ndes.template) || self.templates.exists(t, t.name == c.oneTime.ndes.template))",message="oneTime.ndes.template must be the name of an entry of templates",fieldPath=".challenges"
type ScepEndpointSpec struct {
	// How certificates are issued.
	// +required
	Issuance Issuance `json:"issuance"`

	// The RACredential to sign and decrypt with. Left out: one is made, named after
	// the endpoint with the suffix "-ra", from the issuer of issuance.
	// +optional
	RACredentialRef *LocalReference `json:"raCredentialRef,omitempty"`

	// What the issuer does not tell of its CA: the rest of the chain, and the CA that
	// is going to follow.
	// +optional
	CA *EndpointCA `json:"ca,omitempty"`

	// The kinds of certificate on offer.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Templates []EndpointTemplate `json:"templates"`

	// Proofs that let a device in; any one of them suffices.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Challenges []Challenge `json:"challenges"`

	// How devices reach the endpoint.
	// +optional
	// +kubebuilder:default={}
	Exposure Exposure `json:"exposure,omitempty"`

	// Algorithms beyond AES and SHA-2 that old devices need.
	// +optional
	// +kubebuilder:default={}
	Compatibility Compatibility `json:"compatibility,omitempty"`

	// The servers.
	// +optional
	// +kubebuilder:default={}
	Server Server `json:"server,omitempty"`

	// How much the servers and signers log.
	// +optional
	// +kubebuilder:default={}
	Logging Logging `json:"logging,omitempty"`

	// What becomes of audit records and traces.
	// +optional
	Recording *Recording `json:"recording,omitempty"`

	// How the endpoint's URLs are tried.
	// +optional
	// +kubebuilder:default={}
	Probes Probes `json:"probes,omitempty"`

	// How the endpoint's traffic is compared with its own past.
	// +optional
	// +kubebuilder:default={}
	Funnel Funnel `json:"funnel,omitempty"`

	// Whether the operator leaves this endpoint as it is: it puts nothing back, replaces no
	// server and has no certificate of the endpoint's own RACredential issued out of turn.
	// Servers go on serving.
	// +optional
	// +kubebuilder:default=false
	Suspend bool `json:"suspend,omitempty"`
}

// IssuanceMode says how certificates are issued.
// +kubebuilder:validation:Enum=CertificateRequest;Direct
type IssuanceMode string

// The issuance modes.
const (
	// IssuanceCertificateRequest makes a cert-manager CertificateRequest for each enrolment.
	IssuanceCertificateRequest IssuanceMode = "CertificateRequest"
	// IssuanceDirect issues with the key of the issuer's CA, in signers of the endpoint's
	// own, and writes nothing down for an enrolment.
	IssuanceDirect IssuanceMode = "Direct"
)

// TrialMode says whether an issuer is tried with the templates.
// +kubebuilder:validation:Enum=Disabled;OnChange
type TrialMode string

// The values of TrialMode.
const (
	// TrialDisabled tries nothing: what the issuer does not issue shows when a device asks for it.
	TrialDisabled TrialMode = "Disabled"
	// TrialOnChange tries each template when it or the issuer changes.
	TrialOnChange TrialMode = "OnChange"
)

// Issuance says how certificates are issued.
//
// +kubebuilder:validation:XValidation:rule="self.mode != 'Direct' || !has(self.trial) || self.trial == 'Disabled'",message="trial goes with mode CertificateRequest only: signers issue whatever their templates allow",fieldPath=".trial"
// +kubebuilder:validation:XValidation:rule="self.mode == 'Direct' || !has(self.direct)",message="the field direct goes with mode Direct only",fieldPath=".direct"
type Issuance struct {
	// How certificates are issued: by a cert-manager CertificateRequest for each
	// enrolment, or Direct, by signers that hold the key of the issuer's CA, for fleets
	// that outgrow what an API server should hold.
	// +optional
	// +kubebuilder:default=CertificateRequest
	Mode IssuanceMode `json:"mode,omitempty"`

	// The issuer of the devices' certificates. In mode Direct: an Issuer of type CA.
	// +required
	IssuerRef IssuerReference `json:"issuerRef"`

	// The signers of mode Direct. Left out in that mode: two, with good defaults.
	// +optional
	Direct *DirectIssuance `json:"direct,omitempty"`

	// How long a device's request waits for the issuer before it is answered PENDING
	// and the device polls (RFC 8894, section 2.5).
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('60s')",message="wait must be between 1s and 60s: devices give up on an unanswered request"
	Wait metav1.Duration `json:"wait,omitempty"`

	// How long a request may stay PENDING. One that the issuer has not answered by then
	// has failed: the device is told so, and may begin a new one.
	// +optional
	// +kubebuilder:default="168h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="pendingDeadline must be between 1m and 720h (30 days): the record of the request is kept for as long"
	PendingDeadline metav1.Duration `json:"pendingDeadline,omitempty"`

	// Whether the issuer is tried with each template by a throw-away request, when either
	// changes. OnChange: one certificate is issued for each template and change, valid for
	// an hour, for a key that nobody keeps; an issuer may cost money, or want a person
	// to approve. See status.trials. It goes with mode CertificateRequest.
	// +optional
	// +kubebuilder:default=Disabled
	Trial TrialMode `json:"trial,omitempty"`

	// How long after it was issued a device is expected to collect a certificate that it
	// was told to come again for. One that is not collected by then is counted in
	// status.uncollected; the device gets it all the same whenever it comes.
	// +optional
	// +kubebuilder:default="1h0m0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('720h')",message="collectWithin must be between 10s and 720h"
	CollectWithin *metav1.Duration `json:"collectWithin,omitempty"`
}

// EndpointTemplate puts a CertificateTemplate on offer.
type EndpointTemplate struct {
	// Name of this entry within the endpoint.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// The CertificateTemplate.
	// +required
	TemplateRef LocalReference `json:"templateRef"`

	// Whether this entry serves requests that match no other. A single entry is the default in any case.
	// +optional
	Default bool `json:"default,omitempty"`

	// Serve requests for this key usage, if neither their path nor a Microsoft
	// template's name selects an entry, as Microsoft's NDES does: Signature (digital
	// signature without key encipherment), Encryption (the other way round) or GeneralPurpose (both).
	// +optional
	KeyUsage TemplateKeyUsage `json:"keyUsage,omitempty"`
}

// ChallengeType says what kind of proof a device brings.
// +kubebuilder:validation:Enum=Static;OneTime;Webhook;Intune;Anyone
type ChallengeType string

// The challenge types.
const (
	// ChallengeStatic is one password for all devices, from a Secret.
	ChallengeStatic ChallengeType = "Static"
	// ChallengeOneTime is a password for one device, once, minted on demand.
	ChallengeOneTime ChallengeType = "OneTime"
	// ChallengeWebhook asks a service.
	ChallengeWebhook ChallengeType = "Webhook"
	// ChallengeIntune asks Microsoft Intune.
	ChallengeIntune ChallengeType = "Intune"
	// ChallengeAnyone lets in every device, without any proof. The condition
	// OpenToAnyone says so.
	ChallengeAnyone ChallengeType = "Anyone"
)

// Challenge is a way for a device to prove that it may enrol.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'Static' || has(self.static)",message="type Static needs the field static with a secretRef",fieldPath=".static"
// +kubebuilder:validation:XValidation:rule="self.type == 'OneTime' || !has(self.oneTime)",message="the field oneTime goes with type OneTime only",fieldPath=".oneTime"
// +kubebuilder:validation:XValidation:rule="(self.type == 'Webhook') == has(self.webhook)",message="type Webhook needs the field webhook, and it goes with no other type",fieldPath=".webhook"
// +kubebuilder:validation:XValidation:rule="(self.type == 'Intune') == has(self.intune)",message="type Intune needs the field intune, and it goes with no other type",fieldPath=".intune"
type Challenge struct {
	// Name of this entry within the endpoint; audit records and metrics carry it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// Kind of proof.
	// +required
	Type ChallengeType `json:"type"`

	// A password shared by all devices.
	// +optional
	Static *StaticChallenge `json:"static,omitempty"`

	// A password for one device, once. Left out with type OneTime: good for an hour.
	// +optional
	OneTime *OneTimeChallenge `json:"oneTime,omitempty"`

	// A service that decides.
	// +optional
	Webhook *WebhookChallenge `json:"webhook,omitempty"`

	// Microsoft Intune decides.
	// +optional
	Intune *IntuneChallenge `json:"intune,omitempty"`
}

// StaticChallenge is a password shared by all devices.
type StaticChallenge struct {
	// The Secret's key that holds the password. One line per password; a second
	// line is valid beside the first, for a change without an outage.
	// +required
	SecretRef SecretKeyReference `json:"secretRef"`

	// Acknowledges that the password stays readable in the stored CertificateRequests
	// to whoever may read those.
	// +optional
	AcknowledgeStoredChallenge bool `json:"acknowledgeStoredChallenge,omitempty"`
}

// Exposure says how devices reach an endpoint.
//
// +kubebuilder:validation:XValidation:rule="!has(self.ingress) && !has(self.gateway) || has(self.hosts) && self.hosts.size() > 0",message="an Ingress or Gateway route needs at least one entry in hosts",fieldPath=".hosts"
type Exposure struct {
	// Host names of the endpoint. A host belongs to the endpoint whole: every path is routed to it.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Hosts []Host `json:"hosts,omitempty"`

	// Expose by an Ingress.
	// +optional
	Ingress *IngressExposure `json:"ingress,omitempty"`

	// Expose by Gateway API routes.
	// +optional
	Gateway *GatewayExposure `json:"gateway,omitempty"`

	// Expose by a Service that devices reach without a proxy: by itself, or as a
	// bypass beside an Ingress or a Gateway with limits.
	// +optional
	Service *ServiceExposure `json:"service,omitempty"`

	// Serve the minting of one-time challenges to management systems. Left out: only
	// "kubectl scep challenge" mints them.
	// +optional
	Admin *AdminExposure `json:"admin,omitempty"`

	// Addresses, in CIDR notation, of proxies whose X-Forwarded-For is believed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a range in CIDR notation such as 10.0.0.0/8 or fd00::/8"
	TrustedProxies []string `json:"trustedProxies,omitempty"`
}

// PlainHTTP says whether plain HTTP is served.
// +kubebuilder:validation:Enum=Enabled;Disabled
type PlainHTTP string

// The values of PlainHTTP.
const (
	PlainHTTPEnabled  PlainHTTP = "Enabled"
	PlainHTTPDisabled PlainHTTP = "Disabled"
)

// Host is a host name of an endpoint.
//
// +kubebuilder:validation:XValidation:rule="self.http == 'Enabled' || has(self.tls)",message="with http Disabled a host needs tls: nothing would be served otherwise",fieldPath=".tls"
type Host struct {
	// The DNS name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name"`

	// Whether plain HTTP is served. SCEP messages are signed and encrypted by
	// themselves, and many devices know nothing else (RFC 8894, section 7.10).
	// +optional
	// +kubebuilder:default=Enabled
	HTTP PlainHTTP `json:"http,omitempty"`

	// Serve HTTPS too.
	// +optional
	TLS *HostTLS `json:"tls,omitempty"`
}

// HostTLS says where a host's TLS certificate comes from.
//
// +kubebuilder:validation:XValidation:rule="has(self.issuerRef) != has(self.secretName)",message="set either issuerRef (a certificate is issued) or secretName (a Secret of yours), not both"
type HostTLS struct {
	// Issuer of the TLS certificate.
	// +optional
	IssuerRef *IssuerReference `json:"issuerRef,omitempty"`

	// Secret of type kubernetes.io/tls with a certificate of yours.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`
}

// IngressExposure exposes an endpoint by an Ingress.
type IngressExposure struct {
	// Name of the IngressClass. Left out: the cluster's default class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ClassName *string `json:"className,omitempty"`
}

// GatewayMode says who ends TLS.
// +kubebuilder:validation:Enum=HTTP;TLSPassthrough
type GatewayMode string

// The gateway modes.
const (
	// GatewayHTTP routes HTTP; the Gateway ends TLS.
	GatewayHTTP GatewayMode = "HTTP"
	// GatewayTLSPassthrough routes TLS by name; the servers end it.
	GatewayTLSPassthrough GatewayMode = "TLSPassthrough"
)

// GatewayExposure exposes an endpoint by Gateway API routes.
type GatewayExposure struct {
	// The Gateways, and listeners in them, to attach to. A Gateway that lacks listeners for
	// the hosts, and takes ListenerSets from here (its spec.allowedListeners), is brought them.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	ParentRefs []GatewayParentReference `json:"parentRefs"`

	// HTTP (an HTTPRoute; TLS ends at the Gateway) or TLSPassthrough (a TLSRoute; TLS ends at the servers).
	// +optional
	// +kubebuilder:default=HTTP
	Mode GatewayMode `json:"mode,omitempty"`
}

// GatewayParentReference names a Gateway, or one of its listeners.
type GatewayParentReference struct {
	// Name of the Gateway.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Namespace of the Gateway. Left out: the endpoint's own.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// Name of a listener. Left out: all that fit.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SectionName string `json:"sectionName,omitempty"`
}

// LegacyAlgorithm is an algorithm that RFC 8894 tolerates (3DES and SHA-1) or
// forbids (DES and MD5), section 2.9.
// +kubebuilder:validation:Enum="3DES";"SHA-1";"DES";"MD5"
type LegacyAlgorithm string

// The legacy algorithms.
const (
	TripleDES LegacyAlgorithm = "3DES"
	SHA1      LegacyAlgorithm = "SHA-1"
	// SingleDES is read, for clients that know nothing else, but never announced and
	// never written: replies are encrypted with AES-128.
	SingleDES LegacyAlgorithm = "DES"
	// MD5 likewise: replies are signed with SHA-1 if that is allowed, else with SHA-256.
	MD5 LegacyAlgorithm = "MD5"
)

// CAChain says which CA certificates GetCACert shows after the RA's.
// +kubebuilder:validation:Enum=Full;Issuer
type CAChain string

// The values of CAChain.
const (
	// CAChainFull is the issuing CA and everything above it, up to the root.
	CAChainFull CAChain = "Full"
	// CAChainIssuer is the issuing CA alone.
	CAChainIssuer CAChain = "Issuer"
)

// ReplyChain says which CA certificates come with an issued certificate.
// +kubebuilder:validation:Enum=Omit;Include
type ReplyChain string

// The values of ReplyChain.
const (
	// ReplyChainOmit sends the issued certificate alone.
	ReplyChainOmit ReplyChain = "Omit"
	// ReplyChainInclude sends the CA certificates of GetCACert after it.
	ReplyChainInclude ReplyChain = "Include"
)

// Compatibility allows what old devices need.
type Compatibility struct {
	// Algorithms accepted beside AES and SHA-2: 3DES and SHA-1, which are then also
	// announced, and single DES and MD5, which RFC 8894 forbids and some clients still use.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	LegacyAlgorithms []LegacyAlgorithm `json:"legacyAlgorithms,omitempty"`

	// Which CA certificates GetCACert shows after the RA's: Full (the issuing CA and
	// everything above it, which strongSwan and certmonger need) or Issuer (the
	// issuing CA alone, which Intune's profiles for Windows need).
	// +optional
	// +kubebuilder:default=Full
	CAChain CAChain `json:"caChain,omitempty"`

	// Whether an issued certificate comes alone (Omit; Juniper's devices take nothing
	// else) or with the CA certificates that GetCACert shows (Include; Cisco's VPN
	// Client wants them).
	// +optional
	// +kubebuilder:default=Omit
	ReplyChain ReplyChain `json:"replyChain,omitempty"`
}

// Server describes the servers.
type Server struct {
	// Number of servers.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Replicas *int32 `json:"replicas,omitempty"`

	// How long a server that is to end goes on serving, not ready, while proxies and
	// load balancers take notice.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('300s')",message="drainDelay must be between 0s and 300s: nodes wait for it when they are drained"
	DrainDelay *metav1.Duration `json:"drainDelay,omitempty"`

	// Processor and memory of each server. Left out: requests of 50m and 64Mi, a memory limit of 256Mi.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// Labels of the nodes to run on.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=16
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Taints to tolerate.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// Whether a NetworkPolicy is made for the servers. Generated lets devices in at the
	// servers' ports and the cluster's pods at that of /status and /metrics; and lets the
	// servers out to the cluster's pods, to name servers, and to the ports 80, 443, 6443 and
	// those of the URLs in this spec. Policies add up: one of yours can let more through.
	// +optional
	// +kubebuilder:default=Disabled
	NetworkPolicy NetworkPolicyMode `json:"networkPolicy,omitempty"`

	// The proxy by which the servers call services: those of challenges, revocation lists and
	// OCSP responders, audit sinks and collectors. Left out: they are called directly. The API
	// server, the signers, and names that end in .svc or .cluster.local always are.
	// +optional
	Proxy *OutboundProxy `json:"proxy,omitempty"`
}

// NetworkPolicyMode says whether a NetworkPolicy is made.
//
// +kubebuilder:validation:Enum=Disabled;Generated
type NetworkPolicyMode string

// Values of NetworkPolicyMode.
const (
	NetworkPolicyDisabled  NetworkPolicyMode = "Disabled"
	NetworkPolicyGenerated NetworkPolicyMode = "Generated"
)

// ScepEndpointStatus is what there is of an endpoint.
type ScepEndpointStatus struct {
	// Generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready and what it sums up, and Reconciling or Stalled while they are true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=12
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// URLs that devices use.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=24
	URLs []string `json:"urls,omitempty"`

	// Ways by which devices come.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=10
	Exposure []ExposureStatus `json:"exposure,omitempty"`

	// Servers that exist.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// Label selector of the servers' pods, for the scale subresource.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Selector string `json:"selector,omitempty"`

	// The RA credential in use.
	// +optional
	RACredential *EndpointCredentialStatus `json:"raCredential,omitempty"`

	// The CA certificate that the issuer issues with at present.
	// +optional
	IssuingCA *IssuingCAStatus `json:"issuingCA,omitempty"`

	// What devices are asked to trust, with the fingerprints that profiles name: the
	// RA's certificates, the chain above them, and what is announced.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	CA []CACertificateStatus `json:"ca,omitempty"`

	// The RACredentials of purpose PolicyModule with which webhooks are called.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	ClientCredentials []ClientCredentialStatus `json:"clientCredentials,omitempty"`

	// What came of trying the URLs, as devices do; left out before that.
	// +optional
	Probes *EndpointProbes `json:"probes,omitempty"`

	// What is unusual of the endpoint's traffic; left out where nothing is.
	// +optional
	Funnel *EndpointFunnel `json:"funnel,omitempty"`

	// What became of trying the issuer with each template, where issuance.trial asks for it.
	// +optional
	// +listType=map
	// +listMapKey=template
	// +kubebuilder:validation:MaxItems=16
	Trials []TemplateTrial `json:"trials,omitempty"`

	// Certificates that were issued and not collected; left out where there are none.
	// +optional
	Uncollected *UncollectedCertificates `json:"uncollected,omitempty"`

	// The hour in which a certificate was issued last. It is not written more than once an hour.
	// +optional
	LastIssuedAt *metav1.Time `json:"lastIssuedAt,omitempty"`

	// What the servers may ask the issuer for. An admission policy holds them to it.
	// +optional
	Grants *IssuanceGrants `json:"grants,omitempty"`

	// The latest remedy that interrupts servers: their replacement for another reason than
	// this spec.
	// +optional
	Remedy *EndpointRemedy `json:"remedy,omitempty"`

	// Value of the annotation scepter.dev/reconcile-requested-at that was handled last.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// EndpointCredentialStatus describes the RA credential that an endpoint uses.
type EndpointCredentialStatus struct {
	// Name of the RACredential that the active generation belongs to; before there is
	// one, of that which the endpoint refers to.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// ID of the generation that GetCACert shows.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ActiveGeneration string `json:"activeGeneration,omitempty"`

	// When the active generation's first certificate ends.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// ID of the generation that is being rolled out, if any.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	NextGeneration string `json:"nextGeneration,omitempty"`

	// Name of the RACredential that the next generation belongs to, where it is another.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	NextName string `json:"nextName,omitempty"`

	// Since when the next generation is being rolled out.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// How many servers hold the next generation, or else the active one: "2/3". Servers
	// that start or end count too.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Held string `json:"held,omitempty"`

	// Servers that do not hold it, by the names of their pods: the first five.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=5
	// +kubebuilder:validation:items:MaxLength=253
	Missing []string `json:"missing,omitempty"`

	// When the active generation became so.
	// +optional
	SwitchedAt *metav1.Time `json:"switchedAt,omitempty"`

	// Generations that GetCACert showed before, which devices may still use.
	// +optional
	// +listType=map
	// +listMapKey=generation
	// +kubebuilder:validation:MaxItems=8
	Previous []ShownGeneration `json:"previous,omitempty"`
}

// ShownGeneration is a generation that GetCACert showed earlier.
type ShownGeneration struct {
	// Name of the RACredential that it belongs to.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// ID of the generation.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Generation string `json:"generation"`

	// Until when devices may use it: the overlap after the switch, or its own end if that is later.
	// +required
	Until metav1.Time `json:"until"`
}

// IssuanceGrants is the union of what an endpoint's templates allow.
type IssuanceGrants struct {
	// Usages that a CertificateRequest may name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Usages []certmanagerv1.KeyUsage `json:"usages,omitempty"`

	// Longest duration that a CertificateRequest may name.
	// +optional
	MaxDuration *metav1.Duration `json:"maxDuration,omitempty"`
}

// RemedyCause says why servers are replaced.
// +kubebuilder:validation:Enum=Image;ServiceAccount;PodTemplate
type RemedyCause string

// The causes.
const (
	// RemedyImage is another image, of another operator.
	RemedyImage RemedyCause = "Image"
	// RemedyServiceAccount is a service account that was made anew.
	RemedyServiceAccount RemedyCause = "ServiceAccount"
	// RemedyPodTemplate is a pod template that was not as wanted.
	RemedyPodTemplate RemedyCause = "PodTemplate"
)

// RemedyState says how far a remedy is.
// +kubebuilder:validation:Enum=Claimed;Begun;Settled
type RemedyState string

// The states, in their order.
const (
	// RemedyClaimed remedies may begin.
	RemedyClaimed RemedyState = "Claimed"
	// RemedyBegun remedies: servers are being replaced.
	RemedyBegun RemedyState = "Begun"
	// RemedySettled remedies have ended well.
	RemedySettled RemedyState = "Settled"
)

// EndpointRemedy is what is kept of a remedy, so that the next one is not too soon.
type EndpointRemedy struct {
	// Why servers are replaced.
	// +required
	Cause RemedyCause `json:"cause"`

	// How far that is.
	// +required
	State RemedyState `json:"state"`

	// Since when.
	// +required
	Since metav1.Time `json:"since"`

	// How many remedies came one soon after the other, with this one.
	// +required
	// +kubebuilder:validation:Minimum=1
	Attempts int32 `json:"attempts"`

	// When the next may begin.
	// +required
	NotBefore metav1.Time `json:"notBefore"`
}
