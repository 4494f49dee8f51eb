package raconfig

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// StatusPath is where a server reports its ReplicaStatus, as JSON, on AdminPort.
const StatusPath = "/status"

// StatusFormat is the version of the status that this package writes. Fields are
// added within a version; one that changes its meaning makes another.
const StatusFormat = "v1"

// ReplicaStatus is what a server says of itself. It holds no secrets. Counters are
// since the server started.
type ReplicaStatus struct {
	// Format is StatusFormat.
	Format string `json:"format"`
	// Pod is the name of the server's pod.
	Pod string `json:"pod"`
	// Version of the server's program.
	Version string `json:"version"`
	// ConfigHash is the Hash of the configuration file in use.
	ConfigHash string `json:"configHash,omitempty"`
	// ConfigGeneration is the ScepEndpoint generation of the configuration in use.
	ConfigGeneration int64 `json:"configGeneration,omitempty"`
	// ActiveGeneration is the keyring generation that GetCACert shows.
	ActiveGeneration string `json:"activeGeneration,omitempty"`
	// HeldGenerations are the generations whose keys are loaded, the newest first.
	HeldGenerations []string `json:"heldGenerations,omitempty"`
	// Problems are what keeps the newest files from use, in words for a person:
	// each names the file and the remedy. Empty when all is well.
	Problems []string `json:"problems,omitempty"`
	// Warnings are about what is in use all the same, such as fields of the
	// configuration that this version does not know.
	Warnings []string `json:"warnings,omitempty"`
	// Certificates that are loaded, of all generations.
	Certificates []HeldCertificate `json:"certificates,omitempty"`
	// Draining is true once the server is to end.
	Draining bool `json:"draining,omitempty"`
	// IssuingCA made the certificate that was issued last; nil before the first one, or
	// while nothing tells who it was.
	IssuingCA *IssuingCA `json:"issuingCA,omitempty"`
	// Away are the dependencies whose last use failed.
	Away []Away `json:"away,omitempty"`
	// MissingRights are actions that the server needs and that the API server does not allow
	// it, as kubectl auth can-i wants them: "create certificaterequests.cert-manager.io".
	MissingRights []string `json:"missingRights,omitempty"`
	// Troubles with the records of enrolments that no later success has ended.
	Troubles []Trouble `json:"troubles,omitempty"`
	// LastIssued is when a certificate was handed out last; nil before the first one.
	LastIssued *time.Time `json:"lastIssued,omitempty"`
	// Collection is what became of certificates that devices had to come again for; nil
	// where there were none.
	Collection *Collection `json:"collection,omitempty"`
	// Trial is why the request of the trial could not be made that the configuration asks
	// for; nil where nothing was in its way.
	Trial *TrialProblem `json:"trial,omitempty"`
	// Funnel is how far the clients of each family came.
	Funnel []FunnelRow `json:"funnel,omitempty"`
	// Paths are how many requests came by paths of each form, by its name in package pathform.
	Paths map[string]uint64 `json:"paths,omitempty"`
	// UserAgents are how many requests came by each program that is known by its
	// User-Agent, such as "NDES client/10".
	UserAgents map[string]uint64 `json:"userAgents,omitempty"`
	// RevocationsWanted are serial numbers, as made by SerialText, that Intune wants
	// revoked and that no revocation list names yet. The operator adds them to the list.
	RevocationsWanted []string `json:"revocationsWanted,omitempty"`
	// ChallengeKeys are the keys of one-time challenges that are loaded, each as its
	// ChallengeKeyID. The first mints, all verify.
	ChallengeKeys []string `json:"challengeKeys,omitempty"`
	// Clients are the client credentials that webhooks are called with.
	Clients []HeldClient `json:"clients,omitempty"`
	// ClientProbes are how the webhooks' services took them when they were asked last.
	ClientProbes []ClientProbe `json:"clientProbes,omitempty"`
	// LongestTargetBytes is the length of the longest request target (path and query) received.
	LongestTargetBytes int `json:"longestTargetBytes,omitempty"`
	// Probes is what the server found as the endpoint's prober; nil in all others.
	Probes *ProbeReport `json:"probes,omitempty"`
	// Dependencies is how the prober found what the servers depend on, at most
	// MaxDependencies; nil in all other servers.
	Dependencies []ProbedDependency `json:"dependencies,omitempty"`
}

// IssuingCA is the CA that was seen to issue.
type IssuingCA struct {
	// Fingerprint is the SHA-256 of its certificate in hexadecimal digits.
	Fingerprint string `json:"fingerprint"`
	// Subject of its certificate, in the form of RFC 2253.
	Subject string `json:"subject,omitempty"`
	// Since is when it was seen first after another one, and Last when it was seen last.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
}

// HeldCertificate is an RA certificate whose key is loaded.
type HeldCertificate struct {
	// Generation of the keyring it belongs to.
	Generation string `json:"generation"`
	// Role within it.
	Role v1alpha1.CredentialRole `json:"role"`
	// Fingerprint is the SHA-256 of the certificate in hexadecimal digits.
	Fingerprint string `json:"fingerprint"`
	// NotAfter is the end of its validity.
	NotAfter time.Time `json:"notAfter"`
	// Active is true for those that GetCACert shows.
	Active bool `json:"active,omitempty"`
}

// Dependency is what a server needs from others.
type Dependency string

// The dependencies.
const (
	// DependencyAPIServer: CertificateRequests cannot be read or made.
	DependencyAPIServer Dependency = "APIServer"
	// DependencyWebhook: the API server cannot reach an admission webhook, such as cert-manager's.
	DependencyWebhook Dependency = "Webhook"
	// DependencyIssuer: requests wait for the issuer longer than devices are made to.
	DependencyIssuer Dependency = "Issuer"
	// DependencyChallenge: a service that judges challenges gives no judgement.
	DependencyChallenge Dependency = "Challenge"
	// DependencyAuditSink: the service that audit records are sent to takes none. With
	// onSinkFailure Refuse, nothing is issued meanwhile.
	DependencyAuditSink Dependency = "AuditSink"
	// DependencySigner: the signers, where the endpoint issues directly.
	DependencySigner Dependency = "Signer"
	// DependencyNotification: a service that is told how enrolments end.
	DependencyNotification Dependency = "Notification"
	// DependencyRevocation: a revocation list or an OCSP responder, where templates let
	// certificates renew themselves that are not revoked.
	DependencyRevocation Dependency = "Revocation"
	// DependencyTracing: a collector of traces.
	DependencyTracing Dependency = "Tracing"
)

// Away is a dependency whose last use failed.
type Away struct {
	Dependency Dependency `json:"dependency"`
	// Name of the challenge, or the host of a source of revocation; "" for what an endpoint
	// has one of.
	Name string `json:"name,omitempty"`
	// Reason is why, where that is known.
	Reason AwayReason `json:"reason,omitempty"`
	// HTTPStatus of the answer; 0 if there was none.
	HTTPStatus int `json:"httpStatus,omitempty"`
	// Wants are the schemes of authentication that a service asked for with status 401.
	Wants []string `json:"wants,omitempty"`
	// Tolerated is true where what a source of revocation said last counts though it has ended.
	Tolerated bool `json:"tolerated,omitempty"`
	// Since is the first failure after the last success.
	Since time.Time `json:"since"`
	// Last is the latest failure, zero where that is not kept.
	Last time.Time `json:"last,omitzero"`
	// Failures since then.
	Failures int64 `json:"failures"`
}

// AwayReason is why a dependency could not be used.
type AwayReason string

// The reasons.
const (
	// AwayUnusable: the settings or files of the challenge cannot be used.
	AwayUnusable AwayReason = "Unusable"
	// AwayBusy: this server waits for too many answers already.
	AwayBusy AwayReason = "Busy"
	// AwayNameUnknown: the name of its host does not resolve.
	AwayNameUnknown AwayReason = "NameUnknown"
	// AwayUnreachable: no connection, or none that held.
	AwayUnreachable AwayReason = "Unreachable"
	// AwayTimeout: no whole answer in time.
	AwayTimeout AwayReason = "Timeout"
	// AwayTLS: the TLS handshake fails, for one because its certificate is not trusted.
	AwayTLS AwayReason = "TLSFailed"
	// AwayClientRefused: it ends the TLS handshake as one does that refuses the server's
	// client certificate, or misses one.
	AwayClientRefused AwayReason = "ClientRefused"
	// AwayUnauthenticated: HTTP 401, or what says the same.
	AwayUnauthenticated AwayReason = "Unauthenticated"
	// AwayForbidden: HTTP 403.
	AwayForbidden AwayReason = "Forbidden"
	// AwayRedirect: it answers with a redirect, which is not followed.
	AwayRedirect AwayReason = "Redirect"
	// AwayStatus: another status than that of success.
	AwayStatus AwayReason = "Status"
	// AwayNotUnderstood: its answer is not what was agreed.
	AwayNotUnderstood AwayReason = "NotUnderstood"
	// AwayNotAccepted: it does not accept a notification.
	AwayNotAccepted AwayReason = "NotAccepted"
	// AwayStale: a source of revocation has nothing newer than what has ended.
	AwayStale AwayReason = "Stale"
	// AwayUnverifiable: what a source of revocation says is not the CA's, not about its
	// certificates, or cannot be read.
	AwayUnverifiable AwayReason = "Unverifiable"
	// AwayNotProvided: Microsoft's directory does not list Intune's service for the tenant.
	AwayNotProvided AwayReason = "NotProvided"
)

// TroubleKind says what is wrong with the records of enrolments.
type TroubleKind string

// The kinds of trouble.
const (
	// TroubleRefused: admission refuses CertificateRequests.
	TroubleRefused TroubleKind = "RequestsRefused"
	// TroubleRecordsFull: a quota leaves no room for CertificateRequests.
	TroubleRecordsFull TroubleKind = "RecordsFull"
	// TroubleAdmission: the API server cannot reach an admission webhook for CertificateRequests.
	TroubleAdmission TroubleKind = "AdmissionUnreachable"
	// TroubleMismatch: the issuer makes other certificates than are asked for.
	TroubleMismatch TroubleKind = "IssuedMismatch"
)

// Trouble is something that devices suffer from and no object shows.
type Trouble struct {
	Kind TroubleKind `json:"kind"`
	// Since and Last are its first and latest occurrence after the last success.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	// Count of occurrences since then.
	Count int64 `json:"count"`
}

// Collection says of requests whose device was told to come again, or was gone when the
// answer was sent, what became of their certificates, as far as this server knows: each
// by the name of its CertificateRequest, the newest 256 of each kind.
type Collection struct {
	// Owed are those for which a certificate has not been handed out since.
	Owed []string `json:"owed,omitempty"`
	// Collected are those for which this server has handed one out, whichever server owed it.
	Collected []string `json:"collected,omitempty"`
}

// TrialProblem is why the request of a trial could not be made.
type TrialProblem struct {
	// ID of the trial.
	ID string `json:"id"`
	// Refused is true where it was refused, so that there is no sense in trying again.
	Refused bool `json:"refused,omitempty"`
	// Message for a person; it holds no secrets.
	Message string `json:"message"`
}

// FunnelRow is how far the clients of one family came.
type FunnelRow struct {
	Family string `json:"family"`
	// Steps are how many requests came to a step; those that none came to are left out.
	Steps map[string]uint64 `json:"steps"`
	// LongestTargetBytes is the length of the longest request target of the family.
	LongestTargetBytes int `json:"longestTargetBytes,omitempty"`
}

// TroubledSince says whether a trouble occurred at a time or later.
func (s *ReplicaStatus) TroubledSince(kind TroubleKind, t time.Time) bool {
	return slices.ContainsFunc(s.Troubles, func(have Trouble) bool { return have.Kind == kind && !have.Last.Before(t) })
}

// Holds says whether the server has loaded a generation.
func (s *ReplicaStatus) Holds(generation string) bool {
	for _, have := range s.HeldGenerations {
		if have == generation {
			return true
		}
	}
	return false
}

// ChallengeKeyID names a key of one-time challenges and tells nothing of it: the first
// eight octets, in hexadecimal, of the HMAC-SHA256 of a label under the key.
func ChallengeKeyID(key []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("scepter.dev/challenge-key-id"))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// HoldsChallengeKeys says whether the server has loaded exactly these keys of one-time
// challenges, in this order. One of an earlier version names none.
func (s *ReplicaStatus) HoldsChallengeKeys(ids []string) bool {
	return slices.Equal(s.ChallengeKeys, ids)
}
