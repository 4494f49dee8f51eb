package scep

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// IssuerAndSubject is what a CertPoll asks for (RFC 8894, section 3.3.3); both
// are the DER of a Name. The transaction is found by TransactionID, not by this.
type IssuerAndSubject struct {
	Issuer, Subject []byte
}

// IssuerAndSerial names a certificate (RFC 5652, section 10.2.4): the one that
// GetCert wants, or the one whose revocation status GetCRL is about.
type IssuerAndSerial struct {
	Issuer       []byte // DER of a Name
	SerialNumber *big.Int
}

// requestRule is a row of the table of messages that are answered.
type requestRule struct {
	messageType MessageType
	keyword     string
	allowed     func(Settings) bool
	read        func(*opening, []byte) error // reads the decrypted content

	// password says where the password comes from that answers a device whose key
	// cannot decrypt.
	password passwordSource
}

// passwordSource is a way a challenge password gets to the answer.
type passwordSource int

const (
	noPassword     passwordSource = iota // the message has none
	passwordInCSR                        // it is in the CSR
	passwordStored                       // the Backend remembers it from the request polled for
)

var requestRules = []requestRule{
	{PKCSReq, "", always, (*opening).readCSR, passwordInCSR},
	{RenewalReq, CapabilityRenewal, renews, (*opening).readCSR, passwordInCSR},
	{UpdateReq, "", renews, (*opening).readCSR, passwordInCSR},
	{CertPoll, "", always, (*opening).readIssuerAndSubject, passwordStored},
	{GetCert, "", func(s Settings) bool { return s.GetCert }, (*opening).readIssuerAndSerial, noPassword},
	{GetCRL, "", func(s Settings) bool { return s.GetCRL }, (*opening).readIssuerAndSerial, noPassword},
}

func renews(s Settings) bool { return s.Renewal }

// requestRule returns the row of t, false if such a message is not answered.
func (s Settings) requestRule(t MessageType) (requestRule, bool) {
	i := slices.IndexFunc(requestRules, func(r requestRule) bool { return r.messageType == t && r.allowed(s) })
	if i < 0 {
		return requestRule{}, false
	}
	return requestRules[i], true
}

func (o *opening) readCSR(der []byte) error {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		o.feignCSR()
		return fmt.Errorf("CSR: %w", err)
	}
	if key, ok := csr.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > cms.MaxRSABits {
		return fmt.Errorf("CSR: RSA key of %d bits", key.N.BitLen())
	}
	if err := o.checkCSRSignature(csr); err != nil {
		return fmt.Errorf("CSR signature: %w", err)
	}
	o.request.CSR = csr
	o.request.ChallengePassword, err = ChallengePassword(csr)
	return err
}

// feignCSR takes about as long as a CSR does: whoever alters a message of somebody
// else is not to learn from the time whether there still is one in it. The
// certificate that signed the message is of the same size, and its key as a rule
// the CSR's.
func (o *opening) feignCSR() { _ = o.checkSignature(nil) }

// checkCSRSignature is CSR.CheckSignature that also does MD5, where that is
// allowed: devices that sign messages with it sign CSRs with it.
func (o *opening) checkCSRSignature(csr *x509.CertificateRequest) error {
	key, ok := csr.PublicKey.(*rsa.PublicKey)
	if !ok || csr.SignatureAlgorithm != x509.MD5WithRSA || !o.settings.AllowMD5 {
		return csr.CheckSignature()
	}
	h := crypto.MD5.New()
	h.Write(csr.RawTBSCertificateRequest)
	return rsa.VerifyPKCS1v15(key, crypto.MD5, h.Sum(nil), csr.Signature)
}

func (o *opening) readIssuerAndSubject(der []byte) error {
	in := cryptobyte.String(der)
	var body, issuer, subject cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) ||
		!body.ReadASN1Element(&issuer, cbasn1.SEQUENCE) ||
		!body.ReadASN1Element(&subject, cbasn1.SEQUENCE) || !body.Empty() {
		return errors.New("malformed IssuerAndSubject")
	}
	o.request.Subject = &IssuerAndSubject{Issuer: issuer, Subject: subject}
	return nil
}

func (o *opening) readIssuerAndSerial(der []byte) error {
	in := cryptobyte.String(der)
	var body, issuer cryptobyte.String
	serial := new(big.Int)
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) ||
		!body.ReadASN1Element(&issuer, cbasn1.SEQUENCE) ||
		!body.ReadASN1Integer(serial) || !body.Empty() {
		return errors.New("malformed IssuerAndSerialNumber")
	}
	o.request.IssuerAndSerial = &IssuerAndSerial{Issuer: issuer, SerialNumber: serial}
	return nil
}
