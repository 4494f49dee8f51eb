package sceptest

import (
	"crypto"
	"crypto/x509"
	"testing"
)

// Request makes a CSR, and reads it as a server does.
func Request(t testing.TB, key crypto.Signer, o CSROptions) *x509.CertificateRequest {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(CSR(t, key, o))
	if err != nil {
		t.Fatalf("reading a CSR: %v", err)
	}
	return csr
}
