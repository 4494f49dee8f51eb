package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DirectIssuance describes the signers of an endpoint that issues with the CA's key
// itself, and the revocation list that they publish.
type DirectIssuance struct {
	// Number of signers.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	Replicas *int32 `json:"replicas,omitempty"`

	// Processor and memory of each signer. Left out: requests of 50m and 64Mi, a memory limit of 256Mi.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// The certificate revocation list (RFC 5280, section 5).
	// +optional
	// +kubebuilder:default={}
	CRL RevocationList `json:"crl,omitempty"`
}

// RevocationList describes the certificate revocation list of an endpoint, which
// its servers hand out under the path /crl.
type RevocationList struct {
	// How long a list is good. It is made anew long before its end, and as soon as a
	// certificate is revoked.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h') && duration(self) <= duration('720h')",message="crl.validity must be between 1h and 720h"
	Validity metav1.Duration `json:"validity,omitempty"`

	// URLs at which whoever checks a certificate finds the list, such as
	// http://scep.example.com/crl: they are written into every certificate (RFC 5280,
	// section 4.2.1.13). Left out: certificates name none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^https?://[!-~]+$`
	URLs []string `json:"urls,omitempty"`
}
