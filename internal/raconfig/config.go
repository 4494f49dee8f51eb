// Package raconfig is the contract between the operator, which writes, and the
// registration-authority servers, which read: a configuration file, a keyring
// directory, and the status that a server reports.
//
// The operator mounts three directories into a server's pod:
//
//	config/      config.yaml (a ConfigMap)
//	keyring/     the RACredential's keyring Secret (see Keyring)
//	challenges/  one directory a Static challenge, named after it, with the Secret's key as the file "password"
//	state/       the endpoint's own Secret: the key "hmac" (32 random bytes)
package raconfig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

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
)

// Mount paths in a server's pod.
const (
	ConfigDir     = "/etc/scepter/config"
	KeyringDir    = "/etc/scepter/keyring"
	ChallengesDir = "/etc/scepter/challenges"
	StateDir      = "/etc/scepter/state"
	TLSDir        = "/etc/scepter/tls"
)

// Ports of a server.
const (
	// DevicePort speaks SCEP over HTTP.
	DevicePort = 8080
	// DeviceTLSPort speaks SCEP over HTTPS, where TLS is passed through.
	DeviceTLSPort = 8443
	// AdminPort serves /livez, /readyz, /status and /metrics; never devices.
	AdminPort = 8081
)

// ErrInvalid is wrapped by the errors of Decode for content that can never become valid by waiting.
var ErrInvalid = errors.New("invalid RA configuration")

// Config is what a server needs to know. It holds no secrets.
type Config struct {
	// Version of this format.
	Version string `json:"version"`
	// Endpoint that the server serves.
	Endpoint Endpoint `json:"endpoint"`
	// ActiveGeneration is the ID of the keyring generation that GetCACert shows.
	// A server that lacks it keeps its previous configuration and says so in its status.
	ActiveGeneration string `json:"activeGeneration"`
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
	// TLS is true where the servers end TLS themselves, with the files tls.crt and tls.key in TLSDir.
	TLS bool `json:"tls,omitempty"`
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
	// PendingAfterSeconds is how long a request waits for the issuer before it is answered PENDING.
	PendingAfterSeconds int32 `json:"pendingAfterSeconds"`
}

// Template is a CertificateTemplate under its name within the endpoint.
type Template struct {
	Name    string                           `json:"name"`
	Default bool                             `json:"default,omitempty"`
	Spec    v1alpha1.CertificateTemplateSpec `json:"spec"`
}

// Challenge is a way for a device to prove that it may enrol.
type Challenge struct {
	Name string                 `json:"name"`
	Type v1alpha1.ChallengeType `json:"type"`
}

// What a server knows beside the values of the API; the operator writes neither.
const (
	// IssuanceDirect issues with a CA key at hand, without cert-manager.
	IssuanceDirect v1alpha1.IssuanceMode = "Direct"
	// ChallengeAnyone lets everybody in, with whatever password.
	ChallengeAnyone v1alpha1.ChallengeType = "Anyone"
)

// Encode writes a configuration as YAML, the same bytes for the same configuration.
func Encode(c *Config) ([]byte, error) {
	out, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode RA configuration: %w", err)
	}
	return out, nil
}

// Decode reads a configuration. Unknown fields, another version and missing
// parts are errors that wrap ErrInvalid.
func Decode(in []byte) (*Config, error) {
	var c Config
	if err := yaml.UnmarshalStrict(in, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return &c, nil
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
	return nil
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
