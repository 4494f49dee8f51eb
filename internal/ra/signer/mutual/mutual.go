// Package mutual is how an endpoint's servers and signers know each other: TLS 1.3
// with a certificate at each end, of which exactly the listed ones are trusted.
package mutual

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Credential is one end's certificate with its key, and whom it trusts. It is never changed.
type Credential struct {
	Pair tls.Certificate
	// Peers are trusted as they are, byte for byte: their names, issuers and dates say
	// nothing that the list does not.
	Peers []*x509.Certificate
}

// MaxPeers bounds a list: there are two of each during a change.
const MaxPeers = 8

var (
	errNoPeers = fmt.Errorf("%s holds between 1 and %d certificates", raconfig.PeersFile, MaxPeers)
	// ErrNoCredential says that there are no keys yet.
	ErrNoCredential = errors.New("no certificate for mutual TLS is loaded")
	// ErrUnknownPeer says that the other end is none of the peers.
	ErrUnknownPeer = fmt.Errorf("the certificate of the other end is not in %s", raconfig.PeersFile)
)

// Read reads the files of raconfig.SignerDir.
func Read(files map[string][]byte) (*Credential, error) {
	pair, err := tls.X509KeyPair(files[raconfig.CertificateFile], files[raconfig.KeyFile])
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", raconfig.CertificateFile, raconfig.KeyFile, err)
	}
	peers, err := raconfig.ParseCertificates(files[raconfig.PeersFile])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", raconfig.PeersFile, err)
	}
	if len(peers) == 0 || len(peers) > MaxPeers {
		return nil, errNoPeers
	}
	return &Credential{Pair: pair, Peers: peers}, nil
}

// Knows says whether a certificate is a peer's.
func (c *Credential) Knows(certificate *x509.Certificate) bool {
	return slices.ContainsFunc(c.Peers, func(p *x509.Certificate) bool { return bytes.Equal(p.Raw, certificate.Raw) })
}

// Verify says whether the other end of a connection is a peer: ErrUnknownPeer if not.
func (c *Credential) Verify(s *tls.ConnectionState) error {
	if s == nil || len(s.PeerCertificates) == 0 || !c.Knows(s.PeerCertificates[0]) {
		return ErrUnknownPeer
	}
	return nil
}

// ServerConfig takes the credential that is current at each handshake. refused is
// told of each stranger.
func ServerConfig(current func() *Credential, refused func()) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := current()
			if c == nil {
				return nil, ErrNoCredential
			}
			return c.serverConfig(refused), nil
		},
	}
}

func (c *Credential) serverConfig(refused func()) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"http/1.1"},
		Certificates:           []tls.Certificate{c.Pair},
		ClientAuth:             tls.RequireAnyClientCert, // VerifyConnection is stricter
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			err := c.Verify(&s)
			if err != nil {
				refused()
			}
			return err
		},
	}
}

// ClientConfig is that of connections by this credential.
func (c *Credential) ClientConfig() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{"http/1.1"},
		InsecureSkipVerify: true, // instead, VerifyConnection compares with the list
		VerifyConnection:   func(s tls.ConnectionState) error { return c.Verify(&s) },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &c.Pair, nil
		},
	}
}
