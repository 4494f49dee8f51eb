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
	// ConditionIssuerReady mirrors the Ready condition of the issuer; on a ScepEndpoint its
	// reason also says what is to be known about the CA behind it.
	ConditionIssuerReady = "IssuerReady"
	// ConditionCredentialReady is True when the servers hold a valid RA credential.
	ConditionCredentialReady = "CredentialReady"
	// ConditionServersAvailable is True when enough servers serve the current configuration.
	ConditionServersAvailable = "ServersAvailable"
	// ConditionExposed is True when the routes and TLS certificates are in place, and the
	// URLs, where they are probed, answer as the servers do.
	ConditionExposed = "Exposed"
	// ConditionChallengesStored is True when passwords that may be good once more stay
	// readable in stored CertificateRequests. It does not count for Ready.
	ConditionChallengesStored = "ChallengesStored"
	// ConditionOpenToAnyone is True when every device is let in without any proof (a
	// challenge of type Anyone). It does not count for Ready.
	ConditionOpenToAnyone = "OpenToAnyone"
	// ConditionLongURLs is True when the long URLs of SCEP over GET get through: as probed,
	// or before that as the ingress implementation is known. It does not count for Ready:
	// most devices POST.
	ConditionLongURLs = "LongURLs"
	// ConditionEnrolling is False when the issuer denied or failed recent requests, what the
	// servers need fails them, they do not come to the end of an exchange that they try
	// themselves, or devices do not come as far as they did before, with the reason.
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
	// ReasonContested surfaces when somebody else keeps changing a field of a child object
	// that was put back each time: the operator leaves it, and names the field and who it is.
	ReasonContested = "Contested"
	// ReasonIssuerNotFound surfaces when the named issuer does not exist.
	ReasonIssuerNotFound = "IssuerNotFound"
	// ReasonIssuerNotReady surfaces when the issuer's own Ready condition is not True.
	ReasonIssuerNotReady = "IssuerNotReady"
	// ReasonIssuerUnknown surfaces for an issuer of a foreign kind that shows no Ready condition.
	ReasonIssuerUnknown = "IssuerUnknown"
)

// Reasons of a CertificateTemplate.
const (
	// ReasonRuleInvalid surfaces when a CEL rule does not compile, or may cost too much.
	ReasonRuleInvalid = "RuleInvalid"
	// ReasonValueInvalid surfaces when a pattern, range or object identifier cannot be read.
	ReasonValueInvalid = "ValueInvalid"
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
	// ReasonExternalSecretNotFound surfaces when a Secret of external.secretRefs does not exist or lacks a key.
	ReasonExternalSecretNotFound = "ExternalSecretNotFound"
	// ReasonExternalSecretInvalid surfaces when a Secret of external.secretRefs is not understood, or is of another purpose.
	ReasonExternalSecretInvalid = "ExternalSecretInvalid"
	// ReasonReplacementDue surfaces when certificates from outside end within renewBefore: nobody but you can replace them.
	ReasonReplacementDue = "ReplacementDue"
	// ReasonRenewalOverdue surfaces when half of renewBefore has gone and cert-manager has not renewed.
	ReasonRenewalOverdue = "RenewalOverdue"
	// ReasonCAChanged surfaces when the newest generation comes from another CA than the issuer signs with now.
	ReasonCAChanged = "CAChanged"
	// ReasonDistrustNotRecorded surfaces when what the annotation scepter.dev/distrust
	// lists is no SHA-256 fingerprint, or when status.distrusted has no room for it.
	ReasonDistrustNotRecorded = "DistrustNotRecorded"
)

// Reasons about client certificates, of RACredentials of purpose PolicyModule and of the
// ScepEndpoints that show them.
const (
	// ReasonNextNotAccepted surfaces when a service has not accepted the next client
	// certificate in time; the message says what to register where.
	ReasonNextNotAccepted = "NextNotAccepted"
	// ReasonClientRefused surfaces when a service refuses the client certificate that is
	// in use, or misses one; the message says what to register where.
	ReasonClientRefused = "ClientRefused"
)

// Reasons of a ScepEndpoint.
const (
	// ReasonTemplateNotFound surfaces when a CertificateTemplate does not exist.
	ReasonTemplateNotFound = "TemplateNotFound"
	// ReasonModeCannot surfaces when a CertificateTemplate asks for what the issuance mode cannot do.
	ReasonModeCannot = "ModeCannot"
	// ReasonTemplateNotReady surfaces when a CertificateTemplate is not Ready.
	ReasonTemplateNotReady = "TemplateNotReady"
	// ReasonTemplatesAmbiguous surfaces when two templates of an endpoint have the same Microsoft name or OID.
	ReasonTemplatesAmbiguous = "TemplatesAmbiguous"
	// ReasonChallengeSecretNotFound surfaces when a challenge's Secret or its key does not exist or is empty.
	ReasonChallengeSecretNotFound = "ChallengeSecretNotFound"
	// ReasonChallengeSecretNotLabelled surfaces when a Secret whose values would be sent to a service lacks the label that allows it.
	ReasonChallengeSecretNotLabelled = "ChallengeSecretNotLabelled"
	// ReasonCASourceNotFound surfaces when what spec.ca names does not exist or holds no CA certificate; what was there last stays in use.
	ReasonCASourceNotFound = "CASourceNotFound"
	// ReasonCABundleUntidy surfaces when a bundle of CA certificates has in it what does not belong there, such as an intermediate among trusted roots; it is used correctly all the same.
	ReasonCABundleUntidy = "CABundleUntidy"
	// ReasonTrialFailed surfaces when the issuer did not issue what a template asks for, as tried by a throw-away request; see status.trials.
	ReasonTrialFailed = "TrialFailed"
	// ReasonCAExpired surfaces when the CA certificate that the issuer issues with has ended.
	ReasonCAExpired = "CAExpired"
	// ReasonCAReplaced surfaces while the issuer issues with another CA certificate than that of the RA's certificates, which follow.
	ReasonCAReplaced = "CAReplaced"
	// ReasonNextCAIssues surfaces when the CA that spec.ca.next announces has begun to issue; the message says what to remove.
	ReasonNextCAIssues = "NextCAIssues"
	// ReasonCAEnding surfaces when a certificate of the CA's chain ends before certificates do that the templates grant now, or within 90 days (or the last third of its life).
	ReasonCAEnding = "CAEnding"
	// ReasonNextCAAnnounced surfaces while spec.ca.next announces a CA that does not issue yet.
	ReasonNextCAAnnounced = "NextCAAnnounced"
	// ReasonCAKeyNotRSA surfaces when the CA's key is not RSA, which Windows needs.
	ReasonCAKeyNotRSA = "CAKeyNotRSA"
	// ReasonIntermediateCA surfaces when certificates come from an intermediate CA and GetCACert shows its whole chain; the message says which certificate profiles have to name.
	ReasonIntermediateCA = "IntermediateCA"
	// ReasonCABundleNotFound surfaces when the ConfigMap of a challenge's caBundleRef, or of exposure.admin.clientCertificates, or its key does not exist or is empty.
	ReasonCABundleNotFound = "CABundleNotFound"
	// ReasonIssuersDiffer surfaces when the RA credential and the devices' certificates
	// come from different issuers: devices trust an RA by their own CA.
	ReasonIssuersDiffer = "IssuersDiffer"
	// ReasonCredentialNotFound surfaces when the RACredential, or one that a webhook names, does not exist.
	ReasonCredentialNotFound = "CredentialNotFound"
	// ReasonCredentialNotReady surfaces when the RACredential has no usable generation.
	ReasonCredentialNotReady = "CredentialNotReady"
	// ReasonCredentialPurpose surfaces when the RACredential is not of purpose RA, or one that a webhook names not of purpose PolicyModule.
	ReasonCredentialPurpose = "CredentialPurpose"
	// ReasonRollingOver surfaces while a new RA generation is loaded and switched to.
	ReasonRollingOver = "RollingOver"
	// ReasonRolloverForced surfaces while a server does not hold the RA generation that is
	// shown: it did not load it within spec.loadTimeout of the RACredential, or what was
	// shown before could serve no longer. The message names the server.
	ReasonRolloverForced = "RolloverForced"
	// ReasonRolloverStuck surfaces when no server has loaded a new RA generation within
	// spec.loadTimeout of the RACredential, or when a server does not mount its keyring
	// because the Deployment does not get on: the earlier generation stays until its end.
	ReasonRolloverStuck = "RolloverStuck"
	// ReasonServersUnavailable surfaces when fewer servers than needed are ready.
	ReasonServersUnavailable = "ServersUnavailable"
	// ReasonConfigRefused surfaces when enough servers serve and one of them cannot use the
	// configuration: it goes on with the last one that it could use, also if it starts anew.
	// The message says why. While one refuses, none is replaced.
	ReasonConfigRefused = "ConfigRefused"
	// ReasonImageWaiting surfaces while an endpoint waits for its turn to get another image.
	ReasonImageWaiting = "ImageWaiting"
	// ReasonImageStopped surfaces when endpoints that got another image before this one do not serve with it: no more endpoints get it.
	ReasonImageStopped = "ImageStopped"
	// ReasonRemedyWaiting surfaces when servers are to be replaced, and that waits for other endpoints or for a back-off.
	ReasonRemedyWaiting = "RemedyWaiting"
	// ReasonSystemicStop surfaces when servers are to be replaced, and more than a fifth of all endpoints are not Ready for one reason: that is to be mended first.
	ReasonSystemicStop = "SystemicStop"
	// ReasonNoRevocationList surfaces when signers issue but cannot make a CRL; the message says what the CA lacks.
	ReasonNoRevocationList = "NoRevocationList"
	// ReasonScaledToZero surfaces when spec.server.replicas is zero.
	ReasonScaledToZero = "ScaledToZero"
	// ReasonNotExposed surfaces when exposure names none of ingress, gateway and service.
	ReasonNotExposed = "NotExposed"
	// ReasonAdminUnreachable surfaces when devices find the endpoint, and the servers do not
	// find the page of challenges at the host of exposure.admin; see status.probes.admin. It
	// does not count for Ready: that name may be known to management systems alone.
	ReasonAdminUnreachable = "AdminUnreachable"
	// ReasonIngressClassNotFound surfaces when the IngressClass does not exist.
	ReasonIngressClassNotFound = "IngressClassNotFound"
	// ReasonLongURLsUnproven surfaces when the ingress implementation's URL limit is
	// unknown or must be raised outside of the endpoint; the message says where.
	ReasonLongURLsUnproven = "LongURLsUnproven"
	// ReasonBypassed surfaces when the implementation in front limits URLs, and exposure.service leads past it.
	ReasonBypassed = "Bypassed"
	// ReasonHostConflict surfaces when an older ScepEndpoint has one of the hosts.
	ReasonHostConflict = "HostConflict"
	// ReasonForeignSetting surfaces when somebody else's annotation on the Ingress or its class redirects or rewrites requests.
	ReasonForeignSetting = "ForeignSetting"
	// ReasonAddressPending surfaces while the Service of exposure.service has no address of a load balancer.
	ReasonAddressPending = "AddressPending"
	// ReasonGatewayNotProgrammed surfaces while a Gateway is not accepted and programmed as it is now.
	ReasonGatewayNotProgrammed = "GatewayNotProgrammed"
	// ReasonURLsCut surfaces when a URL of less than 65,534 bytes does not get through to
	// the servers: the message says which does, and what to set.
	ReasonURLsCut = "URLsCut"
	// ReasonNameNotResolved surfaces when the servers find no usable address for the name of
	// a host: with Exposed of a URL, with Enrolling of a service that they need.
	ReasonNameNotResolved = "NameNotResolved"
	// ReasonHopUnreachable surfaces when nothing answers at the address of a host, or
	// connections to it break off, while the servers themselves answer.
	ReasonHopUnreachable = "HopUnreachable"
	// ReasonHopFailed surfaces when something in front of the servers answers in their
	// place: an HTTP error, or a page of its own.
	ReasonHopFailed = "HopFailed"
	// ReasonRedirected surfaces when something in front of the servers redirects: SCEP clients do not follow.
	ReasonRedirected = "Redirected"
	// ReasonTLSInvalid surfaces when TLS with a host fails, or its certificate is expired,
	// not yet valid, or for another name; with a service that the servers need, also when
	// they do not trust its certificate.
	ReasonTLSInvalid = "TLSInvalid"
	// ReasonPOSTRefused surfaces when something in front of the servers does not let messages pass by POST.
	ReasonPOSTRefused = "POSTRefused"
	// ReasonAltered surfaces when something in front of the servers changes requests or answers.
	ReasonAltered = "Altered"
	// ReasonClocksDiffer surfaces when the time that a host, the API server or a service
	// tells differs from the servers' by more than five minutes, or a certificate is not yet valid.
	ReasonClocksDiffer = "ClocksDiffer"
	// ReasonDependencyUnreachable surfaces when the servers do not reach a service without
	// which devices cannot enrol: the API server, the signers, the service of a challenge, or
	// an audit sink that every record has to come to.
	ReasonDependencyUnreachable = "DependencyUnreachable"
	// ReasonProxyFailed surfaces when the proxy of spec.server.proxy does not let the servers
	// through to a service, or cannot be reached itself.
	ReasonProxyFailed = "ProxyFailed"
	// ReasonServersFail surfaces when the servers themselves give no good answer to what devices ask first.
	ReasonServersFail = "ServersFail"
	// ReasonCanaryFailed surfaces when an exchange like a device's fails that the servers
	// try themselves: with Enrolling if it is the servers' fault, with Exposed if it is the way's.
	ReasonCanaryFailed = "CanaryFailed"
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
	// ReasonServiceChallenge surfaces when passwords stay readable that a service judges
	// (Webhook, Intune), or that serve another key for a while (rekeyWindow).
	ReasonServiceChallenge = "ServiceChallenge"
	// ReasonStateFixed surfaces when the endpoint's own Secret lacks a key and is immutable.
	ReasonStateFixed = "StateFixed"
	// ReasonNoStaticChallenge surfaces when no challenge password stays readable.
	ReasonNoStaticChallenge = "NoStaticChallenge"
	// ReasonAnyone surfaces when a challenge of type Anyone lets in every device.
	ReasonAnyone = "Anyone"
	// ReasonProofRequired surfaces when every device has to prove that it may enrol.
	ReasonProofRequired = "ProofRequired"
	// ReasonRequestsFailing surfaces when the issuer denied or failed the latest request.
	ReasonRequestsFailing = "RequestsFailing"
	// ReasonNotRecorded surfaces when signers issue: nothing in the cluster tells of their work.
	ReasonNotRecorded = "NotRecorded"
	// ReasonNoRequests surfaces when no device has enrolled yet.
	ReasonNoRequests = "NoRequests"
	// ReasonUnsupportedIssuer surfaces when the issuer is of a type that cannot sign devices' requests: ACME or SelfSigned.
	ReasonUnsupportedIssuer = "UnsupportedIssuer"
	// ReasonNoApprover surfaces when nobody has approved or denied a CertificateRequest for two minutes.
	ReasonNoApprover = "NoApprover"
	// ReasonIssuedMismatch surfaces when the issuer made another certificate than was asked for, which is not handed out.
	ReasonIssuedMismatch = "IssuedMismatch"
	// ReasonPendingExpired surfaces when the issuer left a request unanswered past issuance.pendingDeadline.
	ReasonPendingExpired = "PendingExpired"
	// ReasonAccessMissing surfaces when the API server does not allow the servers what they
	// need, as they review it by SelfSubjectAccessReviews; the message names the rights.
	ReasonAccessMissing = "AccessMissing"
	// ReasonRequestsRefused surfaces when admission, such as cert-manager's webhook, refuses the CertificateRequests that the servers make.
	ReasonRequestsRefused = "RequestsRefused"
	// ReasonAdmissionUnreachable surfaces when the API server cannot reach an admission webhook for
	// CertificateRequests, such as cert-manager's, so that devices are told to come again.
	ReasonAdmissionUnreachable = "AdmissionUnreachable"
	// ReasonServiceUnauthenticated surfaces when the service that a challenge needs does not
	// accept the servers' credential; the message names the Secret.
	ReasonServiceUnauthenticated = "ServiceUnauthenticated"
	// ReasonAuthenticationDiffers surfaces when the service that a challenge needs wants another
	// kind of authentication than the servers use; the message names both.
	ReasonAuthenticationDiffers = "AuthenticationDiffers"
	// ReasonServiceForbidden surfaces when the service that a challenge needs knows the servers and does not let them ask.
	ReasonServiceForbidden = "ServiceForbidden"
	// ReasonServiceFails surfaces when the service that a challenge needs answers with an error,
	// or in a way that the servers do not understand.
	ReasonServiceFails = "ServiceFails"
	// ReasonRevocationUnknown surfaces when no revocation list or OCSP responder tells whether the
	// certificates are revoked that are to authenticate their renewal; the message names the host.
	ReasonRevocationUnknown = "RevocationUnknown"
	// ReasonRevocationStale surfaces when the newest revocation list or OCSP response that
	// can be had has ended, and renewals go on by it, as renewal.staleRevocation allows; the
	// message names the host. It does not count for Ready.
	ReasonRevocationStale = "RevocationStale"
	// ReasonFunnelBroken surfaces when requests of a family of clients end at a hop that they
	// came through before, or come no more at all; the message names family and hop.
	ReasonFunnelBroken = "FunnelBroken"
	// ReasonProfileMistaken surfaces when no device has enrolled yet, and requests come by
	// paths that a mistake in a profile makes; the message names the mistake.
	ReasonProfileMistaken = "ProfileMistaken"
	// ReasonRecordsFull surfaces when no further CertificateRequest may be stored: a quota of the namespace is used up.
	ReasonRecordsFull = "RecordsFull"
)
