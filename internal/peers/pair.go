package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Role says which end of the connection a key pair is for.
type Role string

// The roles.
const (
	Server Role = "server"
	Client Role = "client"
)

// Pair is a private key with its self-signed certificate.
type Pair struct {
	Key         *ecdsa.PrivateKey
	Certificate *x509.Certificate
}

func (p *Pair) renewAt() time.Time { return p.Certificate.NotAfter.Add(-renewBefore) }

// serialBits are as many as fit into twenty octets (RFC 5280, section 4.1.2.2).
const serialBits = 159

// Make makes key pairs (ECDSA with P-256). name is the common name of the
// certificates; the server's also has the given DNS names.
func Make(name string, dnsNames ...string) Maker {
	return func(role Role, now time.Time) (*Pair, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a key for %s: %w", name, err)
		}
		template, err := template(role, name, now)
		if err != nil {
			return nil, fmt.Errorf("make a certificate for %s: %w", name, err)
		}
		if role == Server {
			template.DNSNames = dnsNames
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			return nil, fmt.Errorf("make a certificate for %s: %w", name, err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("make a certificate for %s: %w", name, err)
		}
		return &Pair{Key: key, Certificate: certificate}, nil
	}
}

var usages = map[Role]x509.ExtKeyUsage{Server: x509.ExtKeyUsageServerAuth, Client: x509.ExtKeyUsageClientAuth}

func template(role Role, name string, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name + " (" + string(role) + ")"},
		NotBefore:    now.Add(-backdated),
		NotAfter:     now.Add(Validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{usages[role]},
		// A leaf that is a root: it can sign nothing else.
		BasicConstraintsValid: true,
	}, nil
}

var errNoKeyPair = errors.New("no ECDSA key with a certificate")

// readPair reads PEM of a certificate and its key.
func readPair(certificate, key []byte) (*Pair, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, errNoKeyPair // the reason may quote the content
	}
	private, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errNoKeyPair
	}
	return &Pair{Key: private, Certificate: pair.Leaf}, nil
}

func encodeCertificates(certificates ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func (p *Pair) encodeKey() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// readCertificates reads the certificates in PEM; what is none is left out.
func readCertificates(in []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for {
		block, rest := pem.Decode(in)
		if block == nil {
			return out
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			out = append(out, c)
		}
		in = rest
	}
}
