package v1alpha1

// IssuerReference names a cert-manager issuer (or an external issuer that
// cert-manager's CertificateRequests can name).
type IssuerReference struct {
	// API group of the issuer.
	// +optional
	// +kubebuilder:default="cert-manager.io"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`

	// Kind of the issuer: Issuer in the same namespace, ClusterIssuer, or the kind of an external issuer.
	// +optional
	// +kubebuilder:default=Issuer
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`

	// Name of the issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// LocalReference names an object in the same namespace.
type LocalReference struct {
	// Name of the object in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// SecretKeyReference names one key of a Secret in the same namespace.
type SecretKeyReference struct {
	// Name of the Secret in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key within the Secret's data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}

// NotifyRequired is the value of AnnotationNotify.
const NotifyRequired = "Required"

// ClaimOneTime is the value of LabelClaim.
const ClaimOneTime = "OneTime"

// KeyAlgorithm names a public key algorithm.
// +kubebuilder:validation:Enum=RSA;ECDSA
type KeyAlgorithm string

// The public key algorithms.
const (
	RSAKey   KeyAlgorithm = "RSA"
	ECDSAKey KeyAlgorithm = "ECDSA"
)

// Labels and annotations that Scepter puts on objects.
const (
	// LabelEndpoint carries the name of the ScepEndpoint an object belongs to.
	LabelEndpoint = GroupName + "/endpoint"
	// LabelRACredential carries the name of the RACredential an object belongs to.
	LabelRACredential = GroupName + "/racredential"
	// LabelTransaction carries a keyed hash of (transactionID, CSR key) on a
	// CertificateRequest, by which CertPoll and retries find it on any replica.
	LabelTransaction = GroupName + "/transaction"
	// LabelSigner carries a keyed hash of (transactionID, signer key) on a CertificateRequest.
	LabelSigner = GroupName + "/signer"
	// LabelSubject carries a keyed hash of (template, subject) on a CertificateRequest,
	// by which the certificates of one subject are counted.
	LabelSubject = GroupName + "/subject"
	// LabelTrial carries the ID of a trial on a CertificateRequest that was made to try
	// an issuer with a template; no device asked for it. See status.trials.
	LabelTrial = GroupName + "/trial"
	// LabelCanary is "Full" on a CertificateRequest that a canary of that level made; no device
	// asked for it. See spec.probes.canary.
	LabelCanary = GroupName + "/canary"
	// LabelClaim is "OneTime" on a Lease that says which request has used a one-time
	// challenge, where an endpoint issues directly.
	LabelClaim = GroupName + "/claim"
	// LabelKey carries a keyed hash of the CSR key on a CertificateRequest, by which a
	// device that begins anew with the same key finds what it has begun.
	LabelKey = GroupName + "/key"
	// LabelSender carries a keyed hash of the certificate that signed the request, on a
	// CertificateRequest; it is absent where that was self-signed.
	LabelSender = GroupName + "/sender"
	// AnnotationTemplate names the endpoint's template entry that a CertificateRequest was judged by.
	AnnotationTemplate = GroupName + "/template"
	// AnnotationChallenge names the endpoint's challenge that admitted a CertificateRequest;
	// it is absent where a certificate authenticated its renewal.
	AnnotationChallenge = GroupName + "/challenge"
	// AnnotationNotify is "Required" on a CertificateRequest whose certificate may be
	// handed out only once the challenge that admitted it has been told.
	AnnotationNotify = GroupName + "/notify"
	// AnnotationSeal is a MAC over the name and our labels and annotations of a
	// CertificateRequest. Where it is not right, its certificate is not handed out.
	AnnotationSeal = GroupName + "/seal"
	// AnnotationKeepUntil is the RFC 3339 time before which a CertificateRequest is never pruned.
	AnnotationKeepUntil = GroupName + "/keep-until"
	// AnnotationNudge is touched on pods after a mounted Secret or ConfigMap
	// changed, so that the kubelet refreshes the mount at once.
	AnnotationNudge = GroupName + "/nudge"
	// AnnotationReconcile forces a reconcile when its value changes; the value
	// is echoed in status.lastHandledReconcileAt. A ScepEndpoint's URLs are then probed
	// anew as well, with what is tried rarely.
	AnnotationReconcile = GroupName + "/reconcile-requested-at"
	// AnnotationRotate on an RACredential has every certificate issued anew that is older
	// than the RFC 3339 time that it gives; the value is echoed in status.lastHandledRotateAt.
	// On a ScepEndpoint it has the key of one-time challenges replaced likewise.
	AnnotationRotate = GroupName + "/rotate-requested-at"
	// AnnotationDistrust on an RACredential lists SHA-256 fingerprints in hexadecimal,
	// separated by commas, of certificates that are never used again: at once, without
	// an overlap. They stay in status.distrusted when the annotation is gone.
	AnnotationDistrust = GroupName + "/distrust"
)
