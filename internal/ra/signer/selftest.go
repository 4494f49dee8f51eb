package signer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/policy"
)

// selfTest issues in memory with a CA of its own, past files and network. If it
// fails, the process is sick, whatever the world is like.
type selfTest struct {
	direct *issue.Direct
	order  issue.Order
}

const (
	selfTestName = "liveness"
	// selfTestValidity is longer than any process lives.
	selfTestValidity = 10 * 365 * 24 * time.Hour
)

func newSelfTest(now time.Time) (*selfTest, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("self-test: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: selfTestName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfTestValidity),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("self-test: %w", err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("self-test: %w", err)
	}
	csr, err := newSelfTestCSR(key)
	if err != nil {
		return nil, fmt.Errorf("self-test: %w", err)
	}
	return &selfTest{
		direct: &issue.Direct{
			CA: ca, Key: key,
			Names: issue.Names{Key: make([]byte, keySize), Endpoint: selfTestName},
			Now:   func() time.Time { return now }, // the CA is valid then
		},
		order: issue.Order{
			Request: issue.Request{TransactionID: selfTestName, CSR: csr, Signer: ca, SelfSigned: true},
			Grant:   &policy.Grant{Duration: time.Hour, Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature}},
		},
	}, nil
}

func newSelfTestCSR(key *ecdsa.PrivateKey) (*x509.CertificateRequest, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: selfTestName}}, key)
	if err != nil {
		return nil, fmt.Errorf("make a CSR: %w", err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("read a CSR: %w", err)
	}
	return csr, nil
}

var errSelfTest = errors.New("self-test: the certificate is not the CA's")

// run issues once.
func (t *selfTest) run(ctx context.Context) error {
	record, err := t.direct.Record(ctx, t.order)
	if err != nil {
		return fmt.Errorf("self-test: %w", err)
	}
	if record.State != issue.Issued || record.Certificates[0].CheckSignatureFrom(t.direct.CA) != nil {
		return errSelfTest
	}
	return nil
}
