package v1alpha1

// SignatureDigest is a digest algorithm of a request's signature (RFC 8017, RFC 5758).
// +kubebuilder:validation:Enum=SHA-256;SHA-384;SHA-512;SHA-1
type SignatureDigest string

// The digests.
const (
	DigestSHA256 SignatureDigest = "SHA-256"
	DigestSHA384 SignatureDigest = "SHA-384"
	DigestSHA512 SignatureDigest = "SHA-512"
	// DigestSHA1 is for devices that know nothing else.
	DigestSHA1 SignatureDigest = "SHA-1"
)

// MicrosoftSID says what becomes of a Windows security identifier (SID) in a request.
// Domain controllers map a certificate to the account with the SID in it, so
// whoever names a SID asks to be that account.
// +kubebuilder:validation:Enum=Refuse;Ignore
type MicrosoftSID string

// The values of MicrosoftSID.
const (
	// SIDRefuse refuses the request.
	SIDRefuse MicrosoftSID = "Refuse"
	// SIDIgnore leaves the SID out of the certificate, as far as the issuance mode can.
	SIDIgnore MicrosoftSID = "Ignore"
)

// AttributeValues says which values a subject attribute may have.
//
// +kubebuilder:validation:XValidation:rule="has(self.values) != has(self.pattern)",message="set either values or pattern"
type AttributeValues struct {
	// Name of the attribute.
	// +required
	Name SubjectAttribute `json:"name"`

	// Values that are allowed, exactly.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Values []string `json:"values,omitempty"`

	// Regular expression (RE2 syntax) that the whole value must match.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Pattern string `json:"pattern,omitempty"`
}

// OtherName allows names of a type that an object identifier tells (RFC 5280,
// section 4.2.1.6). Without values and pattern any value is allowed.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.values) && has(self.pattern))",message="set values or pattern, not both"
type OtherName struct {
	// Object identifier of the type.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[0-2](\.(0|[1-9][0-9]{0,8}))+$`
	// +kubebuilder:validation:XValidation:rule="self != '1.3.6.1.4.1.311.20.2.3'",message="this is the user principal name: set sans.upn instead"
	OID string `json:"oid"`

	// Values that are allowed, exactly. A value that is no character string is
	// compared as "#" and its DER encoding in hexadecimal digits, for example
	// "#0403010203"; a string that begins with "#" or "\" is compared with a "\" before it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Values []string `json:"values,omitempty"`

	// Regular expression (RE2 syntax) that the whole value, in that form, must match.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Pattern string `json:"pattern,omitempty"`
}

// RegisteredIDPolicy allows registered IDs.
type RegisteredIDPolicy struct {
	// An object identifier is allowed if it is one of these, or below one of them.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[0-2](\.(0|[1-9][0-9]{0,8}))+$`
	AllowedOIDs []string `json:"allowedOIDs"`
}
