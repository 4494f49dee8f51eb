package raconfig

import (
	"crypto/x509"
	"encoding/pem"
)

// CA is what the operator knows of an endpoint's CA beyond the chains in the keyring.
// Each part is certificates in PEM.
type CA struct {
	// Chain completes the chains of the keyring.
	Chain string `json:"chain,omitempty"`
	// Next is the CA that is announced, the issuing one first.
	Next string `json:"next,omitempty"`
	// Former are the CAs that issued before: certificates of theirs authenticate renewals.
	Former string `json:"former,omitempty"`
	// RefuseFormer is true where they do not, nor those of a chain that the keyring's
	// newest generation does not have.
	RefuseFormer bool `json:"refuseFormer,omitempty"`
}

// EncodeCertificates writes certificates as PEM.
func EncodeCertificates(certificates []*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}
