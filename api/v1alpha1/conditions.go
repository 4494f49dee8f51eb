package v1alpha1

// Condition types that follow kstatus; every kind has them.
const (
	// ConditionReady is True when the object does what its spec says, as far as the operator can see.
	ConditionReady = "Ready"
	// ConditionReconciling is present and True while the operator is still working towards the spec.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is present and True when the operator cannot go on until the spec changes.
	ConditionStalled = "Stalled"
)

// Condition types of a ScepEndpoint.
const (
	// ConditionAccepted is True when the spec and all that it refers to fit together.
	ConditionAccepted = "Accepted"
	// ConditionIssuerReady mirrors the Ready condition of the issuer.
	ConditionIssuerReady = "IssuerReady"
	// ConditionCredentialReady is True when the servers hold a valid RA credential.
	ConditionCredentialReady = "CredentialReady"
	// ConditionServersAvailable is True when enough servers serve the current configuration.
	ConditionServersAvailable = "ServersAvailable"
	// ConditionExposed is True when the routes and TLS certificates are in place.
	ConditionExposed = "Exposed"
	// ConditionChallengesStored is True when passwords stay readable in stored
	// CertificateRequests (a Static challenge). It does not count for Ready.
	ConditionChallengesStored = "ChallengesStored"
	// ConditionOpenToAnyone is True when every device is let in without any proof (a
	// challenge of type Anyone). It does not count for Ready.
	ConditionOpenToAnyone = "OpenToAnyone"
	// ConditionLongURLs is True when the ingress implementation is known to let through the
	// long URLs of SCEP over GET. It does not count for Ready: most devices POST.
	ConditionLongURLs = "LongURLs"
	// ConditionEnrolling is False when the issuer denied or failed recent requests, with the reason.
	ConditionEnrolling = "Enrolling"
)

// Condition types of an RACredential.
const (
	// ConditionIssued is True when the source certificates are issued and fit for their purpose.
	ConditionIssued = "Issued"
	// ConditionKeyringReady is True when the keyring holds the newest generation.
	ConditionKeyringReady = "KeyringReady"
)

// Reasons shared by all kinds.
const (
	// ReasonSucceeded surfaces when a condition is as it should be.
	ReasonSucceeded = "Succeeded"
	// ReasonProgressing surfaces while the operator waits for something it has set in motion.
	ReasonProgressing = "Progressing"
	// ReasonReadFailed surfaces when the operator could not read what a condition depends on.
	ReasonReadFailed = "ReadFailed"
	// ReasonWriteFailed surfaces when the operator could not write a child object.
	ReasonWriteFailed = "WriteFailed"
	// ReasonSuspended surfaces while spec.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonNotOwned surfaces when an object that the operator has to write belongs to somebody else.
	ReasonNotOwned = "NotOwned"
	// ReasonIssuerNotFound surfaces when the named issuer does not exist.
	ReasonIssuerNotFound = "IssuerNotFound"
	// ReasonIssuerNotReady surfaces when the issuer's own Ready condition is not True.
	ReasonIssuerNotReady = "IssuerNotReady"
	// ReasonIssuerUnknown surfaces for an issuer of a foreign kind that shows no Ready condition.
	ReasonIssuerUnknown = "IssuerUnknown"
)

// Reasons of a CertificateTemplate.
const (
	// ReasonRuleInvalid surfaces when a CEL rule does not compile.
	ReasonRuleInvalid = "RuleInvalid"
	// ReasonUsagesUnfit surfaces when no accepted key can have any of the key usages.
	ReasonUsagesUnfit = "UsagesUnfit"
)

// Reasons of an RACredential.
const (
	// ReasonNotIssued surfaces while cert-manager has not issued a source certificate.
	ReasonNotIssued = "NotIssued"
	// ReasonIssuanceFailed surfaces when cert-manager failed to issue, with its message.
	ReasonIssuanceFailed = "IssuanceFailed"
	// ReasonCertificateUnfit surfaces when an issued certificate cannot serve: wrong
	// usages, key that does not match, expired, or of the wrong algorithm.
	ReasonCertificateUnfit = "CertificateUnfit"
	// ReasonExpired surfaces when the newest generation has expired.
	ReasonExpired = "Expired"
)

// Reasons of a ScepEndpoint.
const (
	// ReasonTemplateNotFound surfaces when a CertificateTemplate does not exist.
	ReasonTemplateNotFound = "TemplateNotFound"
	// ReasonTemplateNotReady surfaces when a CertificateTemplate is not Ready.
	ReasonTemplateNotReady = "TemplateNotReady"
	// ReasonChallengeSecretNotFound surfaces when a challenge's Secret or its key does not exist or is empty.
	ReasonChallengeSecretNotFound = "ChallengeSecretNotFound"
	// ReasonChallengeSecretNotLabelled surfaces when a Secret whose values would be sent to a service lacks the label that allows it.
	ReasonChallengeSecretNotLabelled = "ChallengeSecretNotLabelled"
	// ReasonCABundleNotFound surfaces when the ConfigMap of a challenge's caBundleRef or its key does not exist or is empty.
	ReasonCABundleNotFound = "CABundleNotFound"
	// ReasonIssuersDiffer surfaces when the RA credential and the devices' certificates
	// come from different issuers: devices trust an RA by their own CA.
	ReasonIssuersDiffer = "IssuersDiffer"
	// ReasonCredentialNotFound surfaces when the RACredential does not exist.
	ReasonCredentialNotFound = "CredentialNotFound"
	// ReasonCredentialNotReady surfaces when the RACredential has no usable generation.
	ReasonCredentialNotReady = "CredentialNotReady"
	// ReasonCredentialPurpose surfaces when the RACredential is not of purpose RA.
	ReasonCredentialPurpose = "CredentialPurpose"
	// ReasonRollingOver surfaces while a new RA generation is loaded and switched to.
	ReasonRollingOver = "RollingOver"
	// ReasonServersUnavailable surfaces when fewer servers than needed are ready.
	ReasonServersUnavailable = "ServersUnavailable"
	// ReasonScaledToZero surfaces when spec.server.replicas is zero.
	ReasonScaledToZero = "ScaledToZero"
	// ReasonNotExposed surfaces when exposure names neither ingress nor gateway.
	ReasonNotExposed = "NotExposed"
	// ReasonIngressClassNotFound surfaces when the IngressClass does not exist.
	ReasonIngressClassNotFound = "IngressClassNotFound"
	// ReasonLongURLsUnproven surfaces when the ingress implementation's URL limit is
	// unknown or must be raised outside of the endpoint; the message says where.
	ReasonLongURLsUnproven = "LongURLsUnproven"
	// ReasonTLSNotReady surfaces while a TLS certificate is not issued.
	ReasonTLSNotReady = "TLSNotReady"
	// ReasonBasicAuthNotFound surfaces when the Secret of exposure.admin.basicAuthRef does not exist or lacks a key.
	ReasonBasicAuthNotFound = "BasicAuthNotFound"
	// ReasonGatewayAPIMissing surfaces when the cluster has no Gateway API.
	ReasonGatewayAPIMissing = "GatewayAPIMissing"
	// ReasonRouteNotAccepted surfaces when a Gateway has not accepted the route.
	ReasonRouteNotAccepted = "RouteNotAccepted"
	// ReasonStaticChallenge surfaces when a Static challenge is acknowledged to be stored.
	ReasonStaticChallenge = "StaticChallenge"
	// ReasonNoStaticChallenge surfaces when no challenge password stays readable.
	ReasonNoStaticChallenge = "NoStaticChallenge"
	// ReasonAnyone surfaces when a challenge of type Anyone lets in every device.
	ReasonAnyone = "Anyone"
	// ReasonProofRequired surfaces when every device has to prove that it may enrol.
	ReasonProofRequired = "ProofRequired"
	// ReasonRequestsFailing surfaces when the issuer denied or failed the latest request.
	ReasonRequestsFailing = "RequestsFailing"
	// ReasonNoRequests surfaces when no device has enrolled yet.
	ReasonNoRequests = "NoRequests"
)
