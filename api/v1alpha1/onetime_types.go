package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OneTimeChallenge is a password for one device, once. It is minted on demand, by
// kubectl or over the admin exposure, and nothing is written until it is used.
//
// +kubebuilder:validation:XValidation:rule="!has(self.ndes) || duration(self.validity) <= duration('24h')",message="with ndes the validity must be at most 24h: its 16 digits would be too easy to guess",fieldPath=".validity"
// +kubebuilder:validation:XValidation:rule="!has(self.rekeyWindow) || duration(self.rekeyWindow) <= duration(self.validity)",message="rekeyWindow must not be longer than validity",fieldPath=".rekeyWindow"
type OneTimeChallenge struct {
	// How long a challenge is good after it was minted, at most. Whoever mints one
	// may ask for less.
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="validity must be between 1m and 720h"
	Validity metav1.Duration `json:"validity,omitempty"`

	// How long after its first use a challenge also lets in a request with another key
	// for the same names, for devices that make a new key when they retry. Three keys
	// at most. Left out: never.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="rekeyWindow must not be negative"
	RekeyWindow *metav1.Duration `json:"rekeyWindow,omitempty"`

	// Also mint and accept challenges of 16 hexadecimal digits, and serve the page
	// /certsrv/mscep_admin/ on the admin exposure, as Microsoft's NDES does. These
	// challenges are easier to guess than others.
	// +optional
	NDES *NDESCompatibility `json:"ndes,omitempty"`
}

// NDESEncoding is the encoding of the page /certsrv/mscep_admin/.
// +kubebuilder:validation:Enum=UTF-16LE;UTF-8
type NDESEncoding string

// The encodings.
const (
	// NDESUTF16 is little-endian UTF-16 with a byte order mark, as nearly all readers expect.
	NDESUTF16 NDESEncoding = "UTF-16LE"
	// NDESUTF8 is for readers that do not know UTF-16.
	NDESUTF8 NDESEncoding = "UTF-8"
)

// NDESCompatibility describes the page /certsrv/mscep_admin/.
type NDESCompatibility struct {
	// Encoding of the page.
	// +optional
	// +kubebuilder:default=UTF-16LE
	Encoding NDESEncoding `json:"encoding,omitempty"`

	// Name of the endpoint's template that the page's challenges are for. Left out: the default one.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Template string `json:"template,omitempty"`
}

// AdminExposure serves the minting of one-time challenges to management systems:
// over HTTPS, on a port and a Service of its own. Devices do not reach it.
type AdminExposure struct {
	// DNS name of the Service as management systems know it; the TLS certificate is for it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Host string `json:"host"`

	// Where the TLS certificate comes from.
	// +required
	TLS HostTLS `json:"tls"`

	// Type of the Service named after the endpoint with the suffix "-ra-admin".
	// +optional
	// +kubebuilder:default=ClusterIP
	ServiceType AdminServiceType `json:"serviceType,omitempty"`

	// Secret of type kubernetes.io/basic-auth, whose user may mint challenges. Left
	// out: only bearer tokens of Kubernetes, and client certificates, are accepted.
	// +optional
	BasicAuthRef *LocalReference `json:"basicAuthRef,omitempty"`

	// TLS client certificates that may mint challenges. Left out: none. Callers without
	// one are not turned away: they need a token or a password.
	// +optional
	ClientCertificates *AdminClientCertificates `json:"clientCertificates,omitempty"`
}

// AdminClientCertificates says whose TLS client certificates may mint challenges.
// They must be valid, and for the extended key usage clientAuth.
type AdminClientCertificates struct {
	// CA certificates that a caller's certificate must chain to, in PEM.
	// +required
	CARef ConfigMapKeyReference `json:"caRef"`

	// Names of which a caller's certificate must have one, exactly: a subject attribute
	// such as "commonName=mdm", or an alternative name such as "dns:mdm.example.com" or
	// "uri:spiffe://example.com/mdm". The CA may issue to others, too: to devices, for one.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Names []CallerName `json:"names"`
}

// CallerName is a name in a client certificate.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^(dns|email|uri|ip|upn):.+$') || self.matches('^(commonName|organization|organizationalUnit|country|province|locality|streetAddress|postalCode|serialNumber|domainComponent|userID|emailAddress)=.+$')",message="a name is of the form dns:…, email:…, uri:…, ip:… or upn:…, or an attribute of the subject: commonName=…"
type CallerName string

// AdminServiceType is the type of the admin exposure's Service.
// +kubebuilder:validation:Enum=ClusterIP;LoadBalancer
type AdminServiceType string

// The types of the admin exposure's Service.
const (
	AdminClusterIP    AdminServiceType = "ClusterIP"
	AdminLoadBalancer AdminServiceType = "LoadBalancer"
)
