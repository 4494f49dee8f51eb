package scep

import (
	"cmp"
	"time"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// Settings says what an endpoint does. The zero value is secure: AES and SHA-2
// only, RSA devices only, no RenewalReq, default limits.
type Settings struct {
	// What RFC 8894, section 2.9, tolerates: accepted, announced, and used in
	// answers to those who use it.
	AllowSHA1      bool
	AllowTripleDES bool

	// What it forbids, and old devices and clients (Cisco IOS, micromdm's
	// scepclient) still do: read, never announced, never written. Single DES is
	// answered with AES-128; MD5 with SHA-1 if that is allowed, else SHA-256.
	AllowDES bool
	AllowMD5 bool

	Renewal bool // RenewalReq, and UpdateReq of the drafts, are accepted; the first is announced
	GetCert bool // the Backend is asked about GetCert
	GetCRL  bool // the Backend is asked about GetCRL

	// PasswordRecipient lets in devices whose key cannot decrypt, as EC keys: the
	// answer is encrypted with their challenge password (RFC 8894, section 3.1).
	// The Backend has to vouch for the password, see Reply.Password.
	PasswordRecipient bool

	// ClockTolerance is by how much the validity of the certificate that signs a
	// message may miss the present; 0: it is not looked at. Devices without a
	// clock make certificates of any year.
	ClockTolerance time.Duration
	// MaxSigningTimeSkew is by how much a signingTime may differ from the present
	// before it is answered with badTime; 0: it is not looked at. A message
	// without one is accepted.
	MaxSigningTimeSkew time.Duration
	Now                func() time.Time // the present; nil: time.Now

	Limits     Limits
	ChainShape ChainShape // of GetCACert
}

func (s Settings) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// always is a condition that holds for every endpoint.
func always(Settings) bool { return true }

// Limits bounds a message; zero means the default.
type Limits struct {
	MaxMessageBytes int // DER or BER as received; 256 KiB
	MaxCertificates int // 16
	MaxAttributes   int // signed attributes; 64
	MaxNesting      int // levels of nested elements; 32
}

// DefaultLimits is what the zero value of Limits stands for.
var DefaultLimits = Limits{
	MaxMessageBytes: 256 << 10,
	MaxCertificates: 16,
	MaxAttributes:   64,
	MaxNesting:      32,
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxMessageBytes: cmp.Or(l.MaxMessageBytes, DefaultLimits.MaxMessageBytes),
		MaxCertificates: cmp.Or(l.MaxCertificates, DefaultLimits.MaxCertificates),
		MaxAttributes:   cmp.Or(l.MaxAttributes, DefaultLimits.MaxAttributes),
		MaxNesting:      cmp.Or(l.MaxNesting, DefaultLimits.MaxNesting),
	}
}

func (l Limits) cms() cms.Limits {
	return cms.Limits{Nesting: l.MaxNesting, Certificates: l.MaxCertificates, Attributes: l.MaxAttributes}
}

// ChainShape says which certificates GetCACert sends after the RA's.
type ChainShape int

// RAAndChain sends the issuing CA and the rest of its chain. RAAndIssuer leaves
// out what is above the issuing CA, as Intune wants it.
const (
	RAAndChain ChainShape = iota
	RAAndIssuer
)
