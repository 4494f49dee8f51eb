package v1alpha1

import (
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CertificateTemplate says which certificate requests are granted and what the
// certificates look like. Everything that is not allowed here is refused before
// a CertificateRequest exists.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=certificatetemplates,shortName=scept,categories=scepter
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Validity",type=string,JSONPath=`.spec.validity`
// +kubebuilder:printcolumn:name="Used by",type=integer,JSONPath=`.status.usedBy`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name must be at most 63 characters: use a shorter name"
type CertificateTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is granted.
	// +required
	Spec CertificateTemplateSpec `json:"spec"`

	// What the operator found.
	// +optional
	Status CertificateTemplateStatus `json:"status,omitempty"`
}

// CertificateTemplateList is a list of CertificateTemplates.
//
// +kubebuilder:object:root=true
type CertificateTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CertificateTemplate `json:"items"`
}

// CertificateTemplateSpec is the policy for one kind of certificate.
//
// +kubebuilder:validation:XValidation:rule="!has(self.renewal) || !has(self.renewal.window) || duration(self.renewal.window) < duration(self.validity)",message="renewal.window must be shorter than validity: a certificate could otherwise be renewed as soon as it is issued",fieldPath=".renewal.window"
type CertificateTemplateSpec struct {
	// Public keys that are accepted; a request must match one entry.
	// Left out: RSA of 2048 bits or more, and ECDSA P-256 and P-384.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Keys []KeyRequirement `json:"keys,omitempty"`

	// Digests that the signature of a request may use. Left out: SHA-256, SHA-384 and SHA-512.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	SignatureDigests []SignatureDigest `json:"signatureDigests,omitempty"`

	// Key usages and extended key usages, in cert-manager's words. A request that
	// names none gets all that fit its key; a request that names some gets those,
	// if each is listed here. With issuance mode Direct that holds for key usages and
	// for extended key usages, each by itself.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Enum="digital signature";"content commitment";"key encipherment";"data encipherment";"key agreement";"client auth";"server auth";"email protection";"code signing";"ipsec end system";"ipsec tunnel";"ipsec user"
	Usages []certmanagerv1.KeyUsage `json:"usages"`

	// Further extended key usages, by object identifier. With issuance mode Direct a
	// request that names no extended key usage gets them all; with CertificateRequest
	// it gets none, so it has to name them by itself.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=3
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[0-2](\.(0|[1-9][0-9]{0,8}))+$`
	// +kubebuilder:validation:items:XValidation:rule="!self.matches('^1[.]3[.]6[.]1[.]5[.]5[.]7[.]3[.][1-7]$')",message="this extended key usage has a name: list it in usages"
	// +kubebuilder:validation:items:XValidation:rule="self != '1.3.6.1.5.5.7.3.9'",message="OCSP signing is never granted: whoever holds such a certificate can answer for the CA"
	ExtendedKeyUsages []string `json:"extendedKeyUsages,omitempty"`

	// How long the certificates are valid, as a Go duration ("8760h" is a year). No
	// certificate is valid for longer than its CA's.
	// +optional
	// +kubebuilder:default="8760h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h') && duration(self) <= duration('87600h')",message="validity must be between 1h and 87600h (ten years)"
	Validity metav1.Duration `json:"validity,omitempty"`

	// How long before its making a certificate is valid already, for devices whose
	// clocks are slow. It needs issuance mode Direct. Left out: what slow clocks need
	// at least, at most an hour.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="backdate must be between 1m and 720h"
	Backdate *metav1.Duration `json:"backdate,omitempty"`

	// What becomes of requests that name a Windows security identifier (SID), be it by the
	// extension 1.3.6.1.4.1.311.25.2 or by a URI "tag:microsoft.com,2022-09-14:sid:…".
	// Such URIs are allowed names if a prefix of sans.uri spells that out.
	// +optional
	// +kubebuilder:default=Refuse
	MicrosoftSID MicrosoftSID `json:"microsoftSID,omitempty"`

	// Subject attributes that a request may and must name.
	// +optional
	Subject *SubjectPolicy `json:"subject,omitempty"`

	// Subject alternative names that a request may name. A type that is left out is refused.
	// +optional
	SANs *SANPolicy `json:"sans,omitempty"`

	// Rules in the Common Expression Language (CEL); each must hold.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(r, !has(r.name) || self.exists_one(o, has(o.name) && o.name == r.name))",message="two rules have the same name: a challenge names one"
	Rules []Rule `json:"rules,omitempty"`

	// How certificates of this template are renewed.
	// +optional
	// +kubebuilder:default={}
	Renewal RenewalPolicy `json:"renewal,omitempty"`

	// How many valid certificates one subject may have by this template at a time, as
	// far as their CertificateRequests are kept. A renewal takes the place of the
	// certificate that signs it, and a certificate for the same key that of the one
	// before. Requests that come at the same moment may exceed the number. Left out: any number.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxPerSubject *int32 `json:"maxPerSubject,omitempty"`

	// Whether the certificates belong to users or devices. It changes nothing but the audit records, which say it.
	// +optional
	Context CertificateContext `json:"context,omitempty"`

	// How requests of Windows devices name this template. An endpoint then serves
	// such a request by this template.
	// +optional
	Microsoft *MicrosoftTemplate `json:"microsoft,omitempty"`
}

// KeyRequirement accepts one family of public keys.
//
// +kubebuilder:validation:XValidation:rule="self.algorithm == 'RSA' || !has(self.minSize)",message="minSize belongs to RSA: for ECDSA list curves instead",fieldPath=".minSize"
// +kubebuilder:validation:XValidation:rule="self.algorithm == 'ECDSA' || !has(self.curves)",message="curves belong to ECDSA: for RSA set minSize instead",fieldPath=".curves"
type KeyRequirement struct {
	// Algorithm of the key.
	// +required
	Algorithm KeyAlgorithm `json:"algorithm"`

	// Smallest RSA modulus in bits. Left out: 2048.
	// +optional
	// +kubebuilder:validation:Minimum=2048
	// +kubebuilder:validation:Maximum=8192
	MinSize int32 `json:"minSize,omitempty"`

	// Elliptic curves. Left out: P-256 and P-384.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Curves []Curve `json:"curves,omitempty"`

	// Usages for these keys, instead of spec.usages. Where several entries accept a
	// key, the first of them counts.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Enum="digital signature";"content commitment";"key encipherment";"data encipherment";"key agreement";"client auth";"server auth";"email protection";"code signing";"ipsec end system";"ipsec tunnel";"ipsec user"
	Usages []certmanagerv1.KeyUsage `json:"usages,omitempty"`
}

// Curve is the name of an elliptic curve (FIPS 186-4).
// +kubebuilder:validation:Enum=P-256;P-384;P-521
type Curve string

// The elliptic curves.
const (
	P256 Curve = "P-256"
	P384 Curve = "P-384"
	P521 Curve = "P-521"
)

// SubjectAttribute is the name of a subject attribute (RFC 5280, section 4.1.2.4).
// +kubebuilder:validation:Enum=commonName;organization;organizationalUnit;country;province;locality;streetAddress;postalCode;serialNumber;domainComponent;userID;emailAddress
type SubjectAttribute string

// The subject attributes.
const (
	CommonName         SubjectAttribute = "commonName"
	Organization       SubjectAttribute = "organization"
	OrganizationalUnit SubjectAttribute = "organizationalUnit"
	Country            SubjectAttribute = "country"
	Province           SubjectAttribute = "province"
	Locality           SubjectAttribute = "locality"
	StreetAddress      SubjectAttribute = "streetAddress"
	PostalCode         SubjectAttribute = "postalCode"
	SerialNumber       SubjectAttribute = "serialNumber"
	DomainComponent    SubjectAttribute = "domainComponent"
	UserID             SubjectAttribute = "userID"
	EmailAddress       SubjectAttribute = "emailAddress"
)

// SubjectPolicy says which subject attributes a request may and must name.
//
// +kubebuilder:validation:XValidation:rule="!has(self.required) || !has(self.allowed) || self.required.all(a, a in self.allowed)",message="each required attribute must be allowed too: add it to allowed",fieldPath=".required"
// +kubebuilder:validation:XValidation:rule="!has(self.attributes) || !has(self.allowed) || self.attributes.all(a, a.name in self.allowed)",message="each attribute whose values are limited must be allowed too: add it to allowed",fieldPath=".attributes"
type SubjectPolicy struct {
	// Attributes that must be there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=12
	Required []SubjectAttribute `json:"required,omitempty"`

	// Attributes that may be there. Left out: the required ones, those under attributes, and commonName.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=12
	Allowed []SubjectAttribute `json:"allowed,omitempty"`

	// Values that attributes may have. Those of an attribute that is not listed are not limited.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=12
	Attributes []AttributeValues `json:"attributes,omitempty"`
}

// SANPolicy says which subject alternative names (RFC 5280, section 4.2.1.6) a request may name.
type SANPolicy struct {
	// DNS names.
	// +optional
	DNS *DNSNamePolicy `json:"dns,omitempty"`
	// E-mail addresses (rfc822Name).
	// +optional
	Email *EmailPolicy `json:"email,omitempty"`
	// URIs.
	// +optional
	URI *URIPolicy `json:"uri,omitempty"`
	// IP addresses.
	// +optional
	IP *IPPolicy `json:"ip,omitempty"`
	// User principal names (otherName 1.3.6.1.4.1.311.20.2.3).
	// +optional
	UPN *UPNPolicy `json:"upn,omitempty"`
	// Names of other types (otherName), by object identifier.
	// +optional
	// +listType=map
	// +listMapKey=oid
	// +kubebuilder:validation:MaxItems=16
	OtherNames []OtherName `json:"otherNames,omitempty"`
	// Directory names, by the same rules as a subject.
	// +optional
	DirectoryName *SubjectPolicy `json:"directoryName,omitempty"`
	// Registered IDs.
	// +optional
	RegisteredID *RegisteredIDPolicy `json:"registeredID,omitempty"`
}

// DNSNamePolicy allows DNS names.
type DNSNamePolicy struct {
	// A name is allowed if it equals a suffix or ends with "." and the suffix.
	// Wildcard names are refused.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	AllowedSuffixes []string `json:"allowedSuffixes"`
}

// EmailPolicy allows e-mail addresses.
type EmailPolicy struct {
	// Domains behind the "@" that are allowed, exactly.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	AllowedDomains []string `json:"allowedDomains"`
}

// URIPolicy allows URIs.
type URIPolicy struct {
	// Prefixes that are allowed, with the scheme, for example "spiffe://example.com/".
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	AllowedPrefixes []string `json:"allowedPrefixes"`
}

// IPPolicy allows IP addresses.
type IPPolicy struct {
	// Ranges in CIDR notation that are allowed.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a range in CIDR notation such as 10.0.0.0/8 or fd00::/8"
	AllowedCIDRs []string `json:"allowedCIDRs"`
}

// UPNPolicy allows user principal names.
type UPNPolicy struct {
	// Suffixes behind the "@" that are allowed, exactly.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	AllowedSuffixes []string `json:"allowedSuffixes"`
}

// Rule is a condition on a request in the Common Expression Language.
type Rule struct {
	// Name of the rule. A rule with a name holds only for requests whose one-time
	// challenge names it; a rule without one holds for every request.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// CEL expression that must be true. Variables: csr, with csr.subject.<attribute>
	// (commonName and serialNumber are strings, the others lists of strings),
	// csr.dnsNames, csr.emailAddresses, csr.uris, csr.ipAddresses, csr.upns,
	// csr.registeredIDs (lists of strings), csr.otherNames (a list of oid and value),
	// csr.directoryNames (a list of what csr.subject is), csr.usages (names),
	// csr.extendedKeyUsages (object identifiers), csr.keyAlgorithm ("RSA", "ECDSA"),
	// csr.keySize (bits) and csr.signatureDigest; challenge, with challenge.name (the
	// endpoint's entry; empty for a renewal by certificate) and challenge.data (what a
	// webhook said, a map); client, with client.address, client.userAgent, client.family,
	// client.path and client.tls.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Expression string `json:"expression"`

	// What the device is told when the expression is false. Plain text, no secrets.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Message string `json:"message"`
}

// RenewalPolicy says how certificates of a template are renewed. A renewal
// without a challenge password is accepted only if the signing certificate is of
// this template's making (RFC 8894, section 2.4).
type RenewalPolicy struct {
	// Whether a certificate of this template may authenticate its own renewal.
	// +optional
	// +kubebuilder:default=true
	Allowed *bool `json:"allowed,omitempty"`

	// How long before its end a certificate may be renewed. Left out: at any time.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="renewal.window must be at least 1m"
	Window *metav1.Duration `json:"window,omitempty"`

	// Whether a renewal may, or must, be for the key of the certificate that is
	// renewed (Same), or for another (New).
	// +optional
	// +kubebuilder:default=Any
	Key RenewalKey `json:"key,omitempty"`

	// How long after its end a certificate may still authenticate its renewal. Left out: not at all.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('8760h')",message="renewal.afterExpiry must be between 1m and 8760h"
	AfterExpiry *metav1.Duration `json:"afterExpiry,omitempty"`

	// Whether a certificate that is revoked may authenticate its renewal. With Refuse,
	// the revocation list or the OCSP responder that the certificate names is asked;
	// where neither can be had, devices are told to try again later.
	// +optional
	// +kubebuilder:default=Ignore
	Revoked RenewalRevoked `json:"revoked,omitempty"`

	// How long after its end (nextUpdate) a revocation list or an OCSP response still
	// counts, where nothing newer can be had. What it revokes stays refused. Left out: not at all.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="renewal.staleRevocation must be between 1m and 720h"
	StaleRevocation *metav1.Duration `json:"staleRevocation,omitempty"`
}

// CertificateTemplateStatus is what the operator found.
type CertificateTemplateStatus struct {
	// Generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready, and Reconciling or Stalled while they are true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=12
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Number of ScepEndpoints that use this template.
	// +optional
	UsedBy int32 `json:"usedBy,omitempty"`

	// Value of the annotation scepter.dev/reconcile-requested-at that was handled last.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}
