package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CertificateSource says where certificates come from. They are in PEM, in any order;
// roots and intermediates are told apart by their signatures.
//
// +kubebuilder:validation:XValidation:rule="[has(self.configMapRef), has(self.secretRef), has(self.pem)].filter(s, s).size() == 1",message="set exactly one of configMapRef, secretRef and pem"
type CertificateSource struct {
	// A key of a ConfigMap.
	// +optional
	ConfigMapRef *ConfigMapKeyReference `json:"configMapRef,omitempty"`

	// A key of a Secret, such as tls.crt of the Secret of a CA. Its private key is not read.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`

	// The certificates themselves.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	PEM string `json:"pem,omitempty"`
}

// FormerCAs says what the certificates of CAs are worth that an endpoint issued with before.
// +kubebuilder:validation:Enum=Accept;Refuse
type FormerCAs string

// The values of FormerCAs.
const (
	// FormerCAsAccept lets a certificate of a former CA authenticate its renewal until
	// that CA ends.
	FormerCAsAccept FormerCAs = "Accept"
	// FormerCAsRefuse does not: devices with such a certificate need a challenge again.
	FormerCAsRefuse FormerCAs = "Refuse"
)

// EndpointCA says of the CA behind an endpoint what its issuer does not tell.
type EndpointCA struct {
	// CA certificates that the issuer does not give: what is above the issuing CA, or
	// that CA itself. GetCACert shows those that belong to the RA certificates' chain.
	// Renewals signed by a certificate of any of them are accepted.
	// +optional
	Chain *CertificateSource `json:"chain,omitempty"`

	// The CA that is going to follow, and what is above it. Devices that ask with
	// GetNextCACert (RFC 8894, section 4.7) get it, signed by the RA that they trust now.
	// To be taken away once that CA issues.
	// +optional
	Next *CertificateSource `json:"next,omitempty"`

	// Whether a certificate of a CA that this endpoint issued with before authenticates
	// its renewal: Accept (until that CA ends) or Refuse (its key is known to somebody else).
	// +optional
	// +kubebuilder:default=Accept
	Former FormerCAs `json:"former,omitempty"`
}

// CertificateFingerprints are hashes over a certificate's DER, in lower-case
// hexadecimal. Profiles and devices name certificates by one of them; only SHA-256
// tells two certificates apart that somebody wants to look alike.
type CertificateFingerprints struct {
	// SHA-256.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	SHA256 string `json:"sha256"`

	// SHA-1, which Windows and Intune call the thumbprint.
	// +optional
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}$`
	SHA1 string `json:"sha1,omitempty"`

	// MD5, which NDES shows and old devices ask for.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{32}$`
	MD5 string `json:"md5,omitempty"`
}

// CACertificateRole says what a certificate is for, among those that devices are asked to trust.
// +kubebuilder:validation:Enum=RA;Issuing;Intermediate;Root;Next;Former
type CACertificateRole string

// The roles.
const (
	// CARoleRA signs the answers, or is encrypted to.
	CARoleRA CACertificateRole = "RA"
	// CARoleIssuing issued the RA certificates.
	CARoleIssuing CACertificateRole = "Issuing"
	// CARoleIntermediate is between the issuing CA and the root.
	CARoleIntermediate CACertificateRole = "Intermediate"
	// CARoleRoot is signed by itself. An issuing CA that is signed by itself is Issuing.
	CARoleRoot CACertificateRole = "Root"
	// CARoleNext is announced by spec.ca.next.
	CARoleNext CACertificateRole = "Next"
	// CARoleFormer issued before: its certificates still authenticate their renewal.
	CARoleFormer CACertificateRole = "Former"
)

// CACertificateStatus is one certificate that devices are asked to trust.
type CACertificateStatus struct {
	// Subject, in the form of RFC 2253, cut where it is very long.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Subject string `json:"subject,omitempty"`

	// What it is for.
	// +required
	Role CACertificateRole `json:"role"`

	// Its fingerprints ("thumbprints").
	// +required
	Fingerprints CertificateFingerprints `json:"fingerprints"`

	// Begin of its validity.
	// +required
	NotBefore metav1.Time `json:"notBefore"`

	// End of its validity.
	// +required
	NotAfter metav1.Time `json:"notAfter"`
}

// IssuingCAStatus is the CA certificate with which the issuer really issues.
type IssuingCAStatus struct {
	// SHA-256 of the certificate in lower-case hexadecimal.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	Fingerprint string `json:"fingerprint"`

	// Subject, in the form of RFC 2253, cut where it is very long.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Subject string `json:"subject,omitempty"`

	// Since when this has been seen.
	// +required
	Since metav1.Time `json:"since"`
}
