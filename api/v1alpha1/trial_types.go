package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TrialResult is what became of trying an issuer with a template.
// +kubebuilder:validation:Enum=Pending;Passed;Failed
type TrialResult string

// The values of TrialResult.
const (
	// TrialPending: it is not decided yet. Templates are tried one after the other.
	TrialPending TrialResult = "Pending"
	// TrialPassed: the issuer issued what was asked for.
	TrialPassed TrialResult = "Passed"
	// TrialFailed: it did not. The condition IssuerReady says so.
	TrialFailed TrialResult = "Failed"
)

// TemplateTrial is the latest trial of an issuer with a template.
type TemplateTrial struct {
	// The endpoint's name of the template.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Template string `json:"template"`

	// What was tried: a hash of the issuer and the template as they were. There is another
	// trial when either is another.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Pair string `json:"pair"`

	// The trial's own ID, which its CertificateRequest carries as the label scepter.dev/trial.
	// +required
	// +kubebuilder:validation:MaxLength=63
	ID string `json:"id"`

	// What became of it.
	// +required
	Result TrialResult `json:"result"`

	// Why it failed, in the issuer's words.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// Since when it is so.
	// +required
	Since metav1.Time `json:"since"`
}
