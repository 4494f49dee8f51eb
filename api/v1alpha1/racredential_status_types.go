package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CredentialStep says how far the newest certificates of a credential have come.
// +kubebuilder:validation:Enum=Issuing;Checking;Loading;Probing;Switching;Overlap;Idle
type CredentialStep string

// The steps of a rollover, in their order. Where several are under way at once, the
// first in this order is the credential's step.
const (
	// StepIssuing: cert-manager is at work, or a Secret from outside is waited for.
	StepIssuing CredentialStep = "Issuing"
	// StepChecking: a certificate is there and failed a check; it is not used, and is
	// issued anew at status.reissue.nextTime.
	StepChecking CredentialStep = "Checking"
	// StepLoading: the newest generation is in the keyring, and servers of an endpoint do not hold it yet.
	StepLoading CredentialStep = "Loading"
	// StepProbing: for purpose PolicyModule, the servers ask the services whether they accept the newest generation.
	StepProbing CredentialStep = "Probing"
	// StepSwitching: every server holds the newest generation, and an endpoint does not show it yet.
	StepSwitching CredentialStep = "Switching"
	// StepOverlap: every endpoint shows the newest generation, and earlier ones still open requests.
	StepOverlap CredentialStep = "Overlap"
	// StepIdle: there is one generation, and nothing to be done.
	StepIdle CredentialStep = "Idle"
)

// GenerationState says what a generation is to the endpoints.
// +kubebuilder:validation:Enum=Next;Active;Previous
type GenerationState string

// The states of a generation.
const (
	// GenerationNext is newer than what any endpoint shows.
	GenerationNext GenerationState = "Next"
	// GenerationActive is shown by an endpoint, or is the newest while no endpoint uses the credential.
	GenerationActive GenerationState = "Active"
	// GenerationPrevious was shown before, and still opens requests.
	GenerationPrevious GenerationState = "Previous"
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

	// How far the newest certificates have come.
	// +optional
	Step CredentialStep `json:"step,omitempty"`

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

	// What is issued anew out of turn, and when; absent while nothing has to be.
	// +optional
	Reissue *CredentialReissue `json:"reissue,omitempty"`

	// Fingerprints (lower-case hexadecimal SHA-256) of certificates that are never used
	// again. What the annotation scepter.dev/distrust lists is added; nothing is ever removed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	Distrusted []string `json:"distrusted,omitempty"`

	// Value of the annotation scepter.dev/reconcile-requested-at that was handled last.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// Value of the annotation scepter.dev/rotate-requested-at that was handled last.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LastHandledRotateAt string `json:"lastHandledRotateAt,omitempty"`
}

// CredentialReissue is the memory of certificates that are issued anew because they failed a check.
type CredentialReissue struct {
	// The check that failed.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Check string `json:"check"`

	// How often they were asked for anew.
	// +optional
	Attempts int32 `json:"attempts,omitempty"`

	// When they were asked for last.
	// +optional
	LastTime *metav1.Time `json:"lastTime,omitempty"`

	// When they are asked for next, if the check still fails then.
	// +optional
	NextTime *metav1.Time `json:"nextTime,omitempty"`
}

// CredentialGeneration is the set of certificates that were, are or will be in use together.
type CredentialGeneration struct {
	// Name of the generation: the first sixteen hexadecimal digits of the SHA-256 over its fingerprints.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`

	// What the generation is to the endpoints that use the credential.
	// +optional
	State GenerationState `json:"state,omitempty"`

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

	// How many of the servers that load the generation hold it, as in "2/3", over all endpoints.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	HeldBy string `json:"heldBy,omitempty"`

	// Endpoints that show the generation, up to sixteen of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	ShownBy []string `json:"shownBy,omitempty"`

	// When the generation leaves the keyring, unless an endpoint still shows it then.
	// +optional
	RetireAfter *metav1.Time `json:"retireAfter,omitempty"`
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

	// SHA-1 over the certificate's DER, in lower-case hexadecimal: the thumbprint of Windows.
	// +optional
	// +kubebuilder:validation:MaxLength=40
	SHA1 string `json:"sha1,omitempty"`

	// MD5 over the certificate's DER, in lower-case hexadecimal, as some devices show it.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	MD5 string `json:"md5,omitempty"`

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

	// When cert-manager is going to renew it, where it is the newest of its role.
	// +optional
	RenewalTime *metav1.Time `json:"renewalTime,omitempty"`
}
