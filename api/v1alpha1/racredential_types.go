package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RACredential is a certificate, or a pair of them, with which a registration
// authority signs replies and opens requests, or with which it identifies itself
// to a policy service. cert-manager issues and renews it; the operator checks each
// generation, keeps the earlier ones for as long as devices may still use them,
// and switches over only when every replica holds the next.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=racredentials,shortName=racred,categories=scepter
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Purpose",type=string,JSONPath=`.spec.purpose`
// +kubebuilder:printcolumn:name="Not after",type=string,JSONPath=`.status.notAfter`
// +kubebuilder:printcolumn:name="Renewal",type=string,JSONPath=`.status.renewalTime`,priority=1
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
	// +required
	IssuerRef IssuerReference `json:"issuerRef"`

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

// RACredentialStatus is what there is of a credential.
type RACredentialStatus struct {
	// Generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready, Issued, KeyringReady, IssuerReady, and Reconciling or Stalled while they are true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=12
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Generations in the keyring, the newest first.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=4
	Generations []CredentialGeneration `json:"generations,omitempty"`

	// Secret that holds the keyring.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	KeyringSecret string `json:"keyringSecret,omitempty"`

	// When the newest generation's first certificate ends.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// When cert-manager is going to renew.
	// +optional
	RenewalTime *metav1.Time `json:"renewalTime,omitempty"`

	// Fingerprints (lower-case hexadecimal SHA-256) of certificates that are never used again.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Distrusted []string `json:"distrusted,omitempty"`

	// Value of the annotation scepter.dev/reconcile-requested-at that was handled last.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// CredentialGeneration is the set of certificates that were, are or will be in use together.
type CredentialGeneration struct {
	// Name of the generation: the first sixteen hexadecimal digits of the SHA-256 over its fingerprints.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`

	// The certificates.
	// +required
	// +listType=map
	// +listMapKey=role
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Certificates []CredentialCertificate `json:"certificates"`

	// When the generation came into the keyring.
	// +required
	AddedAt metav1.Time `json:"addedAt"`
}

// CredentialCertificate describes one certificate of a generation.
type CredentialCertificate struct {
	// What the certificate does.
	// +required
	Role CredentialRole `json:"role"`

	// SHA-256 over the certificate's DER, in lower-case hexadecimal.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint"`

	// Serial number in lower-case hexadecimal.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SerialNumber string `json:"serialNumber,omitempty"`

	// When the certificate begins to be valid.
	// +required
	NotBefore metav1.Time `json:"notBefore"`

	// When the certificate ends.
	// +required
	NotAfter metav1.Time `json:"notAfter"`
}
