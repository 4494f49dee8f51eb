package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FunnelMode says whether an endpoint's traffic is compared with its own past.
// +kubebuilder:validation:Enum=Enabled;Disabled
type FunnelMode string

// The values of FunnelMode.
const (
	FunnelEnabled  FunnelMode = "Enabled"
	FunnelDisabled FunnelMode = "Disabled"
)

// Funnel says how an endpoint's traffic is compared with its own past: for each family
// of clients, how far their enrolments come.
type Funnel struct {
	// Whether it is compared. Disabled where the traffic has no habits.
	// +optional
	// +kubebuilder:default=Enabled
	Mode FunnelMode `json:"mode,omitempty"`

	// How long an endpoint is watched before a break is told. What is sooner than a week
	// tells more breaks, and more that are none: nights and weekends are not known then. The
	// operator looks six times in it, every ten seconds at most and every five minutes at least.
	// +optional
	// +kubebuilder:default="168h0m0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('672h')",message="learning must be between 1m and 672h"
	Learning *metav1.Duration `json:"learning,omitempty"`
}

// FunnelHop is a stage that the requests of an enrolment come to.
// +kubebuilder:validation:Enum=Arrives;PKIOperation;Opened;Authenticated;Judged;Issued
type FunnelHop string

// EndpointFunnel is what is unusual of an endpoint's traffic.
type EndpointFunnel struct {
	// Where enrolments of a family of clients end that came further before. They stay
	// listed until enough come on again, or for four weeks.
	// +optional
	// +listType=map
	// +listMapKey=family
	// +kubebuilder:validation:MaxItems=16
	Breaks []FunnelBreak `json:"breaks,omitempty"`

	// What is likely wrong with the URL in a profile, by the paths that three requests or
	// more came by since the servers started. NDESFolder: it lacks /mscep.dll. AdminPage:
	// it is that of the page of challenges. DoubledSlash and Space: it has two slashes in
	// a row, or a space such as %20 at its end. EncodedQuery: its question mark came as
	// %3F. UnknownTemplate: what follows /scep/ is no template of the endpoint.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	Mistakes []PathMistake `json:"mistakes,omitempty"`
}

// UncollectedCertificates are those that were issued, and that no device has come for
// within issuance.collectWithin: it was told to poll, or was gone when its certificate was
// sent. What a server handed out counts as collected. Only what is known counts: servers
// and operator that all start anew remember no more than the requests named here.
type UncollectedCertificates struct {
	// How many there are, at least: beyond ten rounded down to 1, 2 or 5 times a power of ten.
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int64 `json:"count"`

	// The hour in which the oldest of them was issued.
	// +required
	Since metav1.Time `json:"since"`

	// Their CertificateRequests: the five that were issued first.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=5
	// +kubebuilder:validation:items:MaxLength=253
	Requests []string `json:"requests,omitempty"`
}

// PathMistake is what is likely wrong with the URL in a profile.
// +kubebuilder:validation:Enum=NDESFolder;AdminPage;DoubledSlash;Space;EncodedQuery;UnknownTemplate
type PathMistake string

// The values of PathMistake.
const (
	MistakeNDESFolder      PathMistake = "NDESFolder"
	MistakeAdminPage       PathMistake = "AdminPage"
	MistakeDoubledSlash    PathMistake = "DoubledSlash"
	MistakeSpace           PathMistake = "Space"
	MistakeEncodedQuery    PathMistake = "EncodedQuery"
	MistakeUnknownTemplate PathMistake = "UnknownTemplate"
)

// FunnelBreak is a hop that requests of a family of clients do not come to any more.
type FunnelBreak struct {
	// The family of clients, as in audit records.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Family string `json:"family"`

	// The hop. Arrives: nothing of the family comes at all.
	// +required
	Hop FunnelHop `json:"hop"`

	// The hour in which one came last.
	// +required
	Since metav1.Time `json:"since"`

	// How many came to the hop before and not on, when that was found: rounded down to
	// 1, 2 or 5 times a power of ten. Left out where nothing comes at all.
	// +optional
	Missed int64 `json:"missed,omitempty"`
}
