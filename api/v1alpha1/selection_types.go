package v1alpha1

// TemplateKeyUsage says for which key usages of a request an entry of an endpoint's
// templates is, as Microsoft's NDES sorts them: by digital signature and key
// encipherment (RFC 5280, section 4.2.1.3), whatever else is asked for.
// +kubebuilder:validation:Enum=Signature;Encryption;GeneralPurpose
type TemplateKeyUsage string

// The values of TemplateKeyUsage.
const (
	// KeyUsageSignature is digital signature without key encipherment.
	KeyUsageSignature TemplateKeyUsage = "Signature"
	// KeyUsageEncryption is key encipherment without digital signature.
	KeyUsageEncryption TemplateKeyUsage = "Encryption"
	// KeyUsageGeneralPurpose is both.
	KeyUsageGeneralPurpose TemplateKeyUsage = "GeneralPurpose"
)

// CertificateContext says to whom certificates belong.
// +kubebuilder:validation:Enum=User;Device
type CertificateContext string

// The values of CertificateContext.
const (
	ContextUser   CertificateContext = "User"
	ContextDevice CertificateContext = "Device"
)

// RenewalKey says which key a renewal may be for.
// +kubebuilder:validation:Enum=Any;New;Same
type RenewalKey string

// The values of RenewalKey.
const (
	// RenewalKeyAny is the key of the certificate that is renewed, or another.
	RenewalKeyAny RenewalKey = "Any"
	// RenewalKeyNew is another key than that of the certificate that is renewed.
	RenewalKeyNew RenewalKey = "New"
	// RenewalKeySame is the key of the certificate that is renewed.
	RenewalKeySame RenewalKey = "Same"
)

// RenewalRevoked says what becomes of renewals by certificates that are revoked.
// +kubebuilder:validation:Enum=Ignore;Refuse
type RenewalRevoked string

// The values of RenewalRevoked.
const (
	// RevokedIgnore does not ask whether a certificate is revoked.
	RevokedIgnore RenewalRevoked = "Ignore"
	// RevokedRefuse asks the revocation list or the OCSP responder that the
	// certificate names, and lets nothing through that neither vouches for.
	RevokedRefuse RenewalRevoked = "Refuse"
)

// MicrosoftTemplate is how requests of Windows devices name a template.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) || has(self.oid)",message="microsoft needs name, oid or both: nothing could name the template otherwise"
type MicrosoftTemplate struct {
	// Name in the extension "certificate template name" (1.3.6.1.4.1.311.20.2). Case does not matter.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name,omitempty"`

	// Object identifier in the extension "certificate template information"
	// (1.3.6.1.4.1.311.21.7), whatever version it names.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[0-2](\.(0|[1-9][0-9]*))+$`
	OID string `json:"oid,omitempty"`

	// Further names and object identifiers, for example of templates that this one replaces.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Aliases []string `json:"aliases,omitempty"`
}
