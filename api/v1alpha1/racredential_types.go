package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RACredential is a certificate, or a pair of them, with which a registration
// authority signs replies and opens requests, or with which it identifies itself
// to a policy service. cert-manager issues and renews it, or it is brought from
// outside; the operator checks each generation, keeps the earlier ones for as long as devices may still use them,
// and switches over only when every replica holds the next.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=racredentials,shortName=racred,categories=scepter
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Purpose",type=string,JSONPath=`.spec.purpose`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.notAfter`
// +kubebuilder:printcolumn:name="Renews",type=string,JSONPath=`.status.renewalTime`
// +kubebuilder:printcolumn:name="Step",type=string,JSONPath=`.status.step`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be a DNS-1035 label of at most 40 characters (lower-case letters, digits and '-', a letter first): the objects made from it add suffixes"
type RACredential struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is wanted.
	// +required
	Spec RACredentialSpec `json:"spec"`

	// What there is.
	// +optional
	Status RACredentialStatus `json:"status,omitempty"`
}

// RACredentialList is a list of RACredentials.
//
// +kubebuilder:object:root=true
type RACredentialList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RACredential `json:"items"`
}

// CredentialPurpose says what a credential is for.
// +kubebuilder:validation:Enum=RA;PolicyModule
type CredentialPurpose string

// The purposes of a credential.
const (
	// PurposeRA signs CertReps and opens requests (RFC 8894, section 2.1.2).
	PurposeRA CredentialPurpose = "RA"
	// PurposePolicyModule authenticates the RA as a TLS client to a policy service.
	PurposePolicyModule CredentialPurpose = "PolicyModule"
)

// CredentialLayout says how many certificates make up an RA credential.
// +kubebuilder:validation:Enum=Pair;Combined
type CredentialLayout string

// The layouts of an RA credential.
const (
	// LayoutPair has one certificate for signing and one for encryption, as NDES does.
	LayoutPair CredentialLayout = "Pair"
	// LayoutCombined has one certificate for both.
	LayoutCombined CredentialLayout = "Combined"
)

// RACredentialSpec is what is wanted of a credential.
//
// +kubebuilder:validation:XValidation:rule="self.purpose == 'RA' || !has(self.layout)",message="layout belongs to purpose RA: leave it out for PolicyModule",fieldPath=".layout"
// +kubebuilder:validation:XValidation:rule="self.purpose != 'RA' || self.key.algorithm == 'RSA'",message="purpose RA needs key.algorithm RSA: devices encrypt their requests to this key",fieldPath=".key.algorithm"
// +kubebuilder:validation:XValidation:rule="duration(self.renewBefore) >= duration(self.overlap)",message="renewBefore must be at least the overlap: the next certificate must be there before the overlap begins",fieldPath=".renewBefore"
// +kubebuilder:validation:XValidation:rule="duration(self.renewBefore) < duration(self.duration)",message="renewBefore must be shorter than duration",fieldPath=".renewBefore"
// +kubebuilder:validation:XValidation:rule="has(self.issuerRef) != has(self.external)",message="set either issuerRef (certificates are issued and renewed) or external (Secrets of yours), not both"
// +kubebuilder:validation:XValidation:rule="!has(self.external) || !has(self.layout)",message="with external the roles of its Secrets are the layout: leave layout out",fieldPath=".layout"
// +kubebuilder:validation:XValidation:rule="!has(self.external) || self.external.secretRefs.all(r, !has(r.role) || (r.role == 'Client') == (self.purpose == 'PolicyModule'))",message="role Client belongs to purpose PolicyModule, every other role to purpose RA",fieldPath=".external"
// +kubebuilder:validation:XValidation:rule="self.purpose == 'PolicyModule' || !has(self.acceptWithin)",message="acceptWithin belongs to purpose PolicyModule",fieldPath=".acceptWithin"
// +kubebuilder:validation:XValidation:rule="self.purpose == oldSelf.purpose",message="purpose cannot be changed: make another RACredential",fieldPath=".purpose"
type RACredentialSpec struct {
	// What the credential is for: RA, or PolicyModule (client authentication to a policy service).
	// +optional
	// +kubebuilder:default=RA
	Purpose CredentialPurpose `json:"purpose,omitempty"`

	// For purpose RA: Pair (a signing and an encryption certificate) or Combined. Left out: Pair.
	// +optional
	Layout CredentialLayout `json:"layout,omitempty"`

	// The issuer that issues the certificates. Devices expect the CA that also issues theirs.
	// +optional
	IssuerRef *IssuerReference `json:"issuerRef,omitempty"`

	// Certificates from outside, in place of issuerRef. They are checked like issued
	// ones, and not renewed: replace what is in the Secrets, and it is rolled out.
	// +optional
	External *ExternalCredential `json:"external,omitempty"`

	// Common name of the certificates. Left out: made from the name of this object.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	CommonName string `json:"commonName,omitempty"`

	// The private key, made anew for each generation.
	// +optional
	// +kubebuilder:default={algorithm: RSA, size: 2048}
	Key CredentialKey `json:"key,omitempty"`

	// How long each certificate is valid.
	// +optional
	// +kubebuilder:default="2160h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h')",message="duration must be at least 1h: cert-manager issues nothing shorter"
	Duration metav1.Duration `json:"duration,omitempty"`

	// How long before its end a certificate is renewed; at least the overlap.
	// +optional
	// +kubebuilder:default="720h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('5m')",message="renewBefore must be at least 5m"
	RenewBefore metav1.Duration `json:"renewBefore,omitempty"`

	// How long the previous certificate still opens requests after a switch. Devices
	// may send a request days after they fetched the RA certificate.
	// +optional
	// +kubebuilder:default="168h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="overlap must not be negative"
	Overlap metav1.Duration `json:"overlap,omitempty"`

	// How long a switch to the next generation waits for servers that do not load it,
	// before it goes on without them; never longer than until the present one ends.
	// +optional
	// +kubebuilder:default="30m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s')",message="loadTimeout must be at least 10s: servers need a moment to load what is new"
	LoadTimeout metav1.Duration `json:"loadTimeout,omitempty"`

	// For purpose PolicyModule: how long the services may take to accept the next
	// certificate before a condition says what to register where. It does so when half
	// of the time to the end of the present certificate has passed at the latest. Left
	// out: 168h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="acceptWithin must not be negative"
	AcceptWithin *metav1.Duration `json:"acceptWithin,omitempty"`
}

// ExternalCredential names certificates and keys that come from outside.
type ExternalCredential struct {
	// Secrets in the same namespace: one for signing and one for encryption, or a single
	// one. They are read again at each look, so new content takes effect within a minute.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:rule="self.size() == 1 ? (!has(self[0].role) || self[0].role in ['Combined', 'Client']) : (self.exists_one(r, has(r.role) && r.role == 'Signing') && self.exists_one(r, has(r.role) && r.role == 'Encryption'))",message="name two Secrets of the roles Signing and Encryption, or one: Combined, Client, or without a role if it is the keyring of another cluster"
	SecretRefs []ExternalSecret `json:"secretRefs"`
}

// ExternalSecret is a Secret with a certificate and its key.
type ExternalSecret struct {
	// Name of the Secret. It holds tls.crt (PEM: the certificate and the chain behind it,
	// in any order), tls.key (PEM, not encrypted) and, if the chain is not in tls.crt,
	// ca.crt; or all that the keyring of an RACredential of another cluster holds.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// What the certificate does. Left out: the Secret is a keyring, which says it itself.
	// +optional
	Role CredentialRole `json:"role,omitempty"`
}

// CredentialKey describes a private key.
//
// +kubebuilder:validation:XValidation:rule="self.algorithm == 'RSA' ? self.size in [2048, 3072, 4096] : self.size in [256, 384, 521]",message="size must be 2048, 3072 or 4096 for RSA and 256, 384 or 521 for ECDSA",fieldPath=".size"
type CredentialKey struct {
	// Algorithm of the key.
	// +optional
	// +kubebuilder:default=RSA
	Algorithm KeyAlgorithm `json:"algorithm,omitempty"`

	// Size of the key in bits.
	// +optional
	// +kubebuilder:default=2048
	Size int32 `json:"size,omitempty"`
}

// CredentialRole says what a certificate within a credential does.
// +kubebuilder:validation:Enum=Signing;Encryption;Combined;Client
type CredentialRole string

// The roles of a certificate within a credential.
const (
	RoleSigning    CredentialRole = "Signing"
	RoleEncryption CredentialRole = "Encryption"
	RoleCombined   CredentialRole = "Combined"
	RoleClient     CredentialRole = "Client"
)
