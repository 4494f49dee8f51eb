package scep

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// EnrolRequest is what a Client asks for.
type EnrolRequest struct {
	Key crypto.Signer // the key to be certified

	// CSR is sent as it is (DER). If it is nil, one is made from Template, Key
	// and ChallengePassword.
	CSR               []byte
	Template          *x509.CertificateRequest
	ChallengePassword string

	// Certificate and its key sign the message. Without one, a self-signed
	// certificate for Key does; CertificateKey defaults to Key.
	Certificate    *x509.Certificate
	CertificateKey crypto.Signer

	TransactionID string // "": random

	// Zero values follow GetCACaps.
	Digest       crypto.Hash
	Cipher       Cipher
	KeyTransport KeyTransport
}

// Result is how an enrolment or a query ended. FAILURE is a result, not an error.
type Result struct {
	Status        PKIStatus
	Certificate   *x509.Certificate    // SUCCESS
	Chain         []*x509.Certificate  // SUCCESS: the others that came along
	CRL           *x509.RevocationList // SUCCESS of GetCRL; who signed it is not checked
	FailInfo      FailInfo             // FAILURE
	FailInfoText  string               // FAILURE
	TransactionID string
}

// Enrol sends a PKCSReq and polls as Client says. The error is ErrCANotTrusted,
// *CACertificateError, *HTTPError, *ReplyError, of VerifyCA, of the context or of
// the network.
func (c *Client) Enrol(ctx context.Context, request EnrolRequest) (*Result, error) {
	return c.enrol(ctx, PKCSReq, request)
}

// Renew sends a RenewalReq, signed with the request's Certificate, which is
// required; to a server that does not announce Renewal a PKCSReq signed with it,
// which is how renewals were made before RFC 8894.
func (c *Client) Renew(ctx context.Context, request EnrolRequest) (*Result, error) {
	if request.Certificate == nil {
		return nil, errors.New("scep: a renewal needs the certificate to renew")
	}
	return c.enrol(ctx, RenewalReq, request)
}

func (c *Client) enrol(ctx context.Context, t MessageType, request EnrolRequest) (*Result, error) {
	if request.Key == nil {
		return nil, errors.New("scep: an enrolment needs a key")
	}
	tx, err := c.begin(ctx, options{
		request.TransactionID, request.Digest, request.Cipher, request.KeyTransport,
	})
	if err != nil {
		return nil, err
	}
	e := &enrolment{transaction: tx}
	if err := e.setCSR(request); err != nil {
		return nil, err
	}
	if err := e.setSigner(request); err != nil {
		return nil, err
	}
	if t == RenewalReq && !tx.capabilities.Has(CapabilityRenewal) {
		t = PKCSReq
	}
	result, err := tx.exchange(ctx, t, e.csr)
	if err != nil {
		return nil, err
	}
	return e.poll(ctx, result)
}

// enrolment is a transaction that ends in a certificate for the CSR's key.
type enrolment struct {
	*transaction
	csr     []byte
	subject []byte // of the CSR, DER
}

func (e *enrolment) setCSR(request EnrolRequest) error {
	e.csr = request.CSR
	if e.csr == nil {
		template := cmp.Or(request.Template, &x509.CertificateRequest{})
		var err error
		if e.csr, err = NewCSR(template, request.Key, request.ChallengePassword); err != nil {
			return fmt.Errorf("scep: %w", err)
		}
	}
	csr, err := x509.ParseCertificateRequest(e.csr)
	if err != nil {
		return fmt.Errorf("scep: CSR: %w", err)
	}
	if e.password, err = ChallengePassword(csr); err != nil {
		return fmt.Errorf("scep: CSR: %w", err)
	}
	e.subject, e.read = csr.RawSubject, certificateFor(csr.PublicKey)
	return nil
}

func (e *enrolment) setSigner(request EnrolRequest) error {
	e.signer.Certificate = request.Certificate
	e.signer.Key = request.CertificateKey
	if e.signer.Key == nil {
		e.signer.Key = request.Key
	}
	if e.signer.Certificate != nil {
		return nil
	}
	var err error
	e.signer.Certificate, err = selfSigned(e.signer.Key, e.subject, e.client.now())
	return err
}

// selfSigned makes the certificate of RFC 8894, section 2.3. Its validity is
// generous to servers whose clock differs.
func selfSigned(key crypto.Signer, rawSubject []byte, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, fmt.Errorf("scep: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		RawSubject:   rawSubject,
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.Add(7 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("scep: self-signed certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("scep: self-signed certificate: %w", err)
	}
	return cert, nil
}

// issuerAndSubject is the content of a CertPoll.
func (e *enrolment) issuerAndSubject() []byte {
	return cms.Element(cbasn1.SEQUENCE, slices.Concat(e.ca.CA.RawSubject, e.subject))
}
