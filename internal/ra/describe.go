package ra

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"log/slog"

	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// describeEndpoint says whose request it is, and by which generation of the
// endpoint's configuration it is judged.
func describeEndpoint(s *reload.Snapshot) []slog.Attr {
	if s == nil {
		return nil
	}
	return []slog.Attr{
		slog.String("endpoint", s.Config.Endpoint.Namespace+"/"+s.Config.Endpoint.Name),
		slog.Int64("generation", s.Config.Endpoint.Generation),
	}
}

// describeRequest lists what a CSR asks for, without its challenge.
func describeRequest(csr *x509.CertificateRequest) []slog.Attr {
	if csr == nil {
		return nil
	}
	out := []slog.Attr{slog.String("subject", csr.Subject.String())}
	// Names of all types; of a CSR whose names cannot be read the refusal says so.
	if names, err := policy.RequestNames(csr); err == nil {
		out = append(out, slog.Any("alternativeNames", names.AlternativeNames))
	}
	return append(out, describeKey(csr))
}

// describeKey is the key that is to be certified: its size in bits, and the SHA-256
// of its SubjectPublicKeyInfo in hexadecimal digits.
func describeKey(csr *x509.CertificateRequest) slog.Attr {
	hash := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	return slog.Group("key",
		slog.String("algorithm", csr.PublicKeyAlgorithm.String()),
		slog.Int("size", keySize(csr.PublicKey)),
		slog.String("hash", hex.EncodeToString(hash[:])))
}

// keySize in bits; 0 for a key of a kind that is not known.
func keySize(key any) int {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen()
	case *ecdsa.PublicKey:
		return k.Params().BitSize
	case ed25519.PublicKey:
		return 8 * len(k)
	}
	return 0
}

// describeIssued is a certificate that was made.
func describeIssued(c *x509.Certificate) []slog.Attr {
	return []slog.Attr{
		slog.String("certificate", raconfig.Fingerprint(c)),
		slog.String("serial", c.SerialNumber.Text(16)),
		slog.Time("notAfter", c.NotAfter),
	}
}

// describeTook is how long each step took, in nanoseconds.
func (e *enrolment) describeTook() slog.Attr {
	steps := make([]any, len(e.took))
	for i, s := range e.took {
		steps[i] = slog.Duration(s.Step, s.Duration)
	}
	return slog.Group("steps", steps...)
}
