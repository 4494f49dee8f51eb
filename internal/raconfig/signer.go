package raconfig

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// PeersFile is the file in SignerDir with the certificates of those at the other end
// of the connection, in PEM: exactly these are trusted. There are two while they change.
const PeersFile = "peers.crt"

// Signer says how an endpoint's servers reach its signers, and what those publish.
type Signer struct {
	// Address is host and port.
	Address string `json:"address"`
	// CRL that the signers publish.
	CRL CRL `json:"crl"`
}

// CRL describes the certificate revocation list (RFC 5280, section 5).
type CRL struct {
	// ValiditySeconds is how long a list is good; at least 3600.
	ValiditySeconds int64 `json:"validitySeconds"`
	// URLs in the certificates' CRL distribution points (RFC 5280, section 4.2.1.13);
	// empty: the certificates name none.
	URLs []string `json:"urls,omitempty"`
}

// minCRLValidity leaves room for caches.
const minCRLValidity = time.Hour

// Validity is how long a list is good.
func (c CRL) Validity() time.Duration { return time.Duration(c.ValiditySeconds) * time.Second }

func (i *Issuance) validate() error {
	switch {
	case i.Signer == nil:
		return nil
	case i.Mode != v1alpha1.IssuanceDirect:
		return fmt.Errorf("issuance.signer is for the mode %s, not %q", v1alpha1.IssuanceDirect, i.Mode)
	}
	return i.Signer.validate()
}

func (s *Signer) validate() error {
	if _, _, err := net.SplitHostPort(s.Address); err != nil {
		return errors.New("issuance.signer.address is not host:port")
	}
	if s.CRL.Validity() < minCRLValidity {
		return fmt.Errorf("issuance.signer.crl.validitySeconds is less than %d", int64(minCRLValidity/time.Second))
	}
	for _, raw := range s.CRL.URLs {
		if u, err := url.Parse(raw); err != nil || u.Host == "" {
			return fmt.Errorf("issuance.signer.crl.urls: %q is no URL", raw)
		}
	}
	return nil
}

// SignerStatus is what a signer says of itself, at StatusPath on AdminPort. It holds no secrets.
type SignerStatus struct {
	// Pod is the name of the signer's pod.
	Pod string `json:"pod"`
	// Version of the signer's program.
	Version string `json:"version"`
	// ConfigHash is the Hash of the configuration file in use.
	ConfigHash string `json:"configHash,omitempty"`
	// ConfigGeneration is the ScepEndpoint generation of the configuration in use.
	ConfigGeneration int64 `json:"configGeneration,omitempty"`
	// CA is the Fingerprint of the CA certificate in use, and CANotAfter its end.
	CA         string    `json:"ca,omitempty"`
	CANotAfter time.Time `json:"caNotAfter,omitzero"`
	// Certificate is the Fingerprint of the signer's own certificate, and Peers are
	// those of the clients that it lets in.
	Certificate string   `json:"certificate,omitempty"`
	Peers       []string `json:"peers,omitempty"`
	// RevocationsUpdated is Updated of the Revocations in use, and Revoked their number.
	RevocationsUpdated time.Time `json:"revocationsUpdated,omitzero"`
	Revoked            int       `json:"revoked"`
	// CRLProblem is why no CRL can be made, with the remedy; "" if one can.
	CRLProblem string `json:"crlProblem,omitempty"`
	// Problems are what keeps the newest files from use, in words for a person:
	// each names the file and the remedy. Empty when all is well.
	Problems []string `json:"problems,omitempty"`
}
