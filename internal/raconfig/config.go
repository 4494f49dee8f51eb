// Package raconfig is the contract between the operator, which writes, and the
// registration-authority servers, which read: a configuration file, a keyring
// directory, and the status that a server reports.
//
// The operator mounts three directories into a server's pod:
//
//	config/      config.yaml and the last good one (a ConfigMap; see LastGood)
//	keyring/     the RACredential's keyring Secret (see Keyring)
//	keyrings/    while there is a change to it from others: one directory each, named after it
//	challenges/  one directory a challenge that needs files, named after it: "password" of a Static one; see ChallengeFiles
//	state/       the endpoint's own Secret: the keys "hmac" and "challenge" (32 random bytes each)
//	admin-tls/   tls.crt and tls.key of the admin exposure
//	admin-basic/ username and password of the admin exposure
//	admin-clients/ ca.crt, below which client certificates may mint challenges
//	clients/     one directory an RACredential for calls to webhooks, named after it: its keyring Secret
//	signer/      tls.crt, tls.key and peers.crt, where signers issue (see Signer)
//
// A signer's pod has config/, state/ (the key "hmac" only), signer/, and
//
//	ca/          tls.crt and tls.key of the CA
//	revoked/     revoked.json (see Revocations)
package raconfig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Version is the version of the configuration file that this package writes and reads.
const Version = "v1"

// Names within the mounted directories.
const (
	// ConfigFile is the key of the ConfigMap, and the file in the directory config/.
	ConfigFile = "config.yaml"
	// PasswordFile is the file that holds a Static challenge's passwords, one a line.
	PasswordFile = "password"
	// HMACKeyFile is the file in state/ with the endpoint's 32-byte key for object names and labels.
	HMACKeyFile = "hmac"
	// ChallengeKeyFile is the file in state/ with the endpoint's 32-byte key for one-time challenges.
	ChallengeKeyFile = "challenge"
	// PreviousChallengeKeyFile is the file in state/ with the key before, which still
	// verifies; there may be none.
	PreviousChallengeKeyFile = "challenge-previous"
	// NextChallengeKeyFile is the file in state/ with the key that is going to be the next,
	// which verifies already; there may be none.
	NextChallengeKeyFile = "challenge-next"
	// ChallengeTimesFile is what the operator remembers of these keys; servers do not read it.
	ChallengeTimesFile = "challenge-times"
	// UsernameFile and PasswordFile are in admin-basic/, as in a Secret of type kubernetes.io/basic-auth.
	UsernameFile = "username"
)

// Mount paths in a server's pod.
const (
	ConfigDir  = "/etc/scepter/config"
	KeyringDir = "/etc/scepter/keyring"
	// KeyringsDir has one directory for each further RA credential, with its keyring: while
	// an endpoint changes from one to another, servers hold the generations of both.
	KeyringsDir   = "/etc/scepter/keyrings"
	ChallengesDir = "/etc/scepter/challenges"
	StateDir      = "/etc/scepter/state"
	TLSDir        = "/etc/scepter/tls"
	AdminTLSDir   = "/etc/scepter/admin-tls"
	AdminBasicDir = "/etc/scepter/admin-basic"
	// AuditDir is the only one that servers write to: their newest audit records.
	AuditDir = "/var/lib/scepter/audit"
	// AuditMaxBytes is how much they write there.
	AuditMaxBytes = 48 << 20
	// SignerDir holds tls.crt, tls.key and PeersFile: of the signer in its pod, of its
	// clients in a server's.
	SignerDir = "/etc/scepter/signer"
	// CADir holds the CA's tls.crt and tls.key, in a signer's pod.
	CADir = "/etc/scepter/ca"
	// RevokedDir holds RevocationsFile, in a signer's pod.
	RevokedDir = "/etc/scepter/revoked"
	// AdminClientsDir has the CA certificates of callers, in CABundleFile.
	AdminClientsDir = "/etc/scepter/admin-clients"
	// ClientsDir has one directory a client credential, with its keyring.
	ClientsDir = "/etc/scepter/clients"
)

// Ports of a server.
const (
	// DevicePort speaks SCEP over HTTP.
	DevicePort = 8080
	// DeviceTLSPort speaks SCEP over HTTPS, where TLS is passed through.
	DeviceTLSPort = 8443
	// AdminPort serves /livez, /readyz, /status and /metrics; never devices.
	AdminPort = 8081
	// MintPort mints challenges over HTTPS, where there is an admin exposure.
	MintPort = 8444
	// LocalMintPort mints challenges on the loopback interface, for port-forwards.
	LocalMintPort = 8082
	// SignerPort is where a signer issues for the servers of its endpoint, over mutual TLS.
	SignerPort = 8445
)

// ErrInvalid is wrapped by the errors of Decode for content that can never become valid by waiting.
var ErrInvalid = errors.New("invalid RA configuration")

// Config is what a server needs to know. It holds no secrets.
type Config struct {
	// Version of this format.
	Version string `json:"version"`
	// Requires are paths of this file below which a server has to know every field;
	// see Decode.
	Requires []string `json:"requires,omitempty"`
	// Unknown are paths of the fields that Decode found and does not know.
	Unknown []string `json:"-"`
	// Endpoint that the server serves.
	Endpoint Endpoint `json:"endpoint"`
	// ActiveGeneration is the ID of the keyring generation that GetCACert shows.
	// A server that lacks it keeps its previous configuration and says so in its status.
	ActiveGeneration string `json:"activeGeneration"`
	// Credential is the name of the RACredential that it belongs to.
	Credential string `json:"credential,omitempty"`
	// Accepted are generations that GetCACert showed before, which devices may still use.
	// Servers open requests for every generation that they hold; this is the operator's
	// own memory, written together with ActiveGeneration.
	Accepted []Accepted `json:"accepted,omitempty"`
	// Issuance says how certificates are issued.
	Issuance Issuance `json:"issuance"`
	// Templates on offer, in the order of the endpoint.
	Templates []Template `json:"templates"`
	// Challenges, any of which lets a device in.
	Challenges []Challenge `json:"challenges"`
	// TrustedProxies are CIDRs whose X-Forwarded-For is believed.
	TrustedProxies []string `json:"trustedProxies,omitempty"`
	// LegacyAlgorithms accepted beside AES and SHA-2.
	LegacyAlgorithms []v1alpha1.LegacyAlgorithm `json:"legacyAlgorithms,omitempty"`
	// CAChain says which CA certificates GetCACert shows; empty is Full.
	CAChain v1alpha1.CAChain `json:"caChain,omitempty"`
	// ReplyChain says whether they come with an issued certificate too; empty is Omit.
	ReplyChain v1alpha1.ReplyChain `json:"replyChain,omitempty"`
	// CA is nil where nothing is known of it beyond the keyring.
	CA *CA `json:"ca,omitempty"`
	// LogLevel of the servers; empty is Info.
	LogLevel v1alpha1.LogLevel `json:"logLevel,omitempty"`
	// DrainSeconds is how long a server that is to end goes on serving, not ready.
	DrainSeconds int64 `json:"drainSeconds,omitempty"`
	// TLS is true where the servers end TLS themselves, with the files tls.crt and tls.key in TLSDir.
	TLS bool `json:"tls,omitempty"`
	// Admin is true where challenges are minted over HTTPS, with the files in AdminTLSDir.
	Admin bool `json:"admin,omitempty"`
	// AdminClients are the names that a client certificate may have to mint challenges
	// ("dns:…", "commonName=…"), below the CAs in AdminClientsDir; empty: none may.
	AdminClients []string `json:"adminClients,omitempty"`
	// Clients are the RACredentials with which webhooks are called, by their names.
	Clients map[string]Client `json:"clients,omitempty"`
	// Proxy is nil where the servers call services directly, or as their environment says.
	// The API server and the signers are called directly in any case.
	Proxy *Proxy `json:"proxy,omitempty"`
	// Recording is nil where records stay with the servers and there are no traces.
	Recording *Recording `json:"recording,omitempty"`
	// Trial is nil where the issuer is not to be tried.
	Trial *Trial `json:"trial,omitempty"`
	// Probes is nil where there are no URLs to try.
	Probes *Probes `json:"probes,omitempty"`
	// Needs is nil where nobody tries what the servers depend on.
	Needs *Needs `json:"needs,omitempty"`
}

// Trial is one throw-away request that the issuer is to be tried with.
type Trial struct {
	// ID of the trial: no two have the same.
	ID string `json:"id"`
	// Template is the endpoint's name of the template.
	Template string `json:"template"`
}

// Accepted is a generation that GetCACert showed before.
type Accepted struct {
	// Credential is the name of the RACredential that it belongs to.
	Credential string `json:"credential"`
	Generation string `json:"generation"`
	// Until when devices may use it.
	Until time.Time `json:"until"`
}

// Endpoint identifies the ScepEndpoint.
type Endpoint struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
	// Generation of the ScepEndpoint's spec that this configuration was made from.
	Generation int64 `json:"generation"`
}

// Issuance says how certificates are issued.
type Issuance struct {
	Mode      v1alpha1.IssuanceMode    `json:"mode"`
	IssuerRef v1alpha1.IssuerReference `json:"issuerRef"`
	// ServiceAccount is the user name as which the servers create CertificateRequests
	// ("system:serviceaccount:<namespace>:<name>"): requests made by anybody else do not count.
	ServiceAccount string `json:"serviceAccount"`
	// WaitSeconds is how long a request waits for the issuer before it is answered PENDING.
	WaitSeconds int32 `json:"waitSeconds"`
	// PendingDeadlineSeconds is how long a request may stay PENDING before it has failed.
	PendingDeadlineSeconds int64 `json:"pendingDeadlineSeconds,omitempty"`
	// Signer is set in the mode Direct, but where a server holds the CA's key itself.
	Signer *Signer `json:"signer,omitempty"`
}

// defaultPendingDeadline is that of the API, for a file without the field.
const defaultPendingDeadline = 7 * 24 * time.Hour

// PendingDeadline is how long a request may stay PENDING.
func (i Issuance) PendingDeadline() time.Duration {
	if i.PendingDeadlineSeconds <= 0 {
		return defaultPendingDeadline
	}
	return time.Duration(i.PendingDeadlineSeconds) * time.Second
}

// Template is a CertificateTemplate under its name within the endpoint.
type Template struct {
	Name    string `json:"name"`
	Default bool   `json:"default,omitempty"`
	// KeyUsage of requests that this template is for, unless something else selects one; "": none.
	KeyUsage v1alpha1.TemplateKeyUsage        `json:"keyUsage,omitempty"`
	Spec     v1alpha1.CertificateTemplateSpec `json:"spec"`
}

// Challenge is a way for a device to prove that it may enrol.
type Challenge struct {
	Name string                 `json:"name"`
	Type v1alpha1.ChallengeType `json:"type"`
	// OneTime is set for that type.
	OneTime *OneTime `json:"oneTime,omitempty"`
	// Webhook is set for that type.
	Webhook *Webhook `json:"webhook,omitempty"`
	// Intune is set for that type.
	Intune *Intune `json:"intune,omitempty"`
}

// OneTime describes a challenge of that type.
type OneTime struct {
	ValiditySeconds int64 `json:"validitySeconds"`
	// RekeySeconds is for how long after its first use a challenge serves another key.
	RekeySeconds int64 `json:"rekeySeconds,omitempty"`
	// NDES is nil where the 16-digit form is neither minted nor accepted.
	NDES *NDES `json:"ndes,omitempty"`
}

// NDES describes the page /certsrv/mscep_admin/.
type NDES struct {
	Encoding v1alpha1.NDESEncoding `json:"encoding"`
	// Template entry that its challenges are for; "": the default one.
	Template string `json:"template,omitempty"`
}

// Encode writes a configuration as YAML, the same bytes for the same configuration.
func Encode(c *Config) ([]byte, error) {
	out, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode RA configuration: %w", err)
	}
	return out, nil
}

func (c *Config) validate() error {
	switch {
	case c.Version != Version:
		return fmt.Errorf("version %q is not %q", c.Version, Version)
	case c.Endpoint.Namespace == "" || c.Endpoint.Name == "":
		return errors.New("endpoint has no namespace or name")
	case c.ActiveGeneration == "":
		return errors.New("activeGeneration is empty")
	case len(c.Templates) == 0:
		return errors.New("there are no templates")
	case len(c.Challenges) == 0:
		return errors.New("there are no challenges")
	}
	return c.Issuance.validate()
}

// DefaultTemplate returns the template that serves requests which match no other.
func (c *Config) DefaultTemplate() *Template {
	for i := range c.Templates {
		if c.Templates[i].Default || len(c.Templates) == 1 {
			return &c.Templates[i]
		}
	}
	return nil
}

// Hash identifies the bytes of a configuration file: the first sixteen
// hexadecimal digits of their SHA-256. Servers report it; the operator compares.
func Hash(file []byte) string {
	sum := sha256.Sum256(bytes.TrimSpace(file))
	return hex.EncodeToString(sum[:8])
}
