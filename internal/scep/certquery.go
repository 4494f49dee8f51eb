package scep

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// CertQuery is what a Client asks with GetCert and GetCRL.
type CertQuery struct {
	// The certificate that is wanted, or whose revocation status is; Issuer is the
	// DER of a Name, nil the CA's.
	Issuer       []byte
	SerialNumber *big.Int

	// Certificate and its key sign the message, and the key decrypts the answer:
	// RSA.
	Certificate    *x509.Certificate
	CertificateKey crypto.Signer

	// Zero values follow GetCACaps.
	Digest       crypto.Hash
	Cipher       Cipher
	KeyTransport KeyTransport
}

// GetCert fetches a certificate (RFC 8894, section 3.3.4). It is not a directory:
// servers give out what belongs to the one who asks, if anything. Errors are those
// of Enrol.
func (c *Client) GetCert(ctx context.Context, q CertQuery) (*Result, error) {
	return c.query(ctx, GetCert, q)
}

// GetCRL fetches the newest CRL of the CA that issued a certificate (RFC 8894,
// section 3.3.4), for where neither a distribution point nor OCSP is at hand.
// Errors are those of Enrol.
func (c *Client) GetCRL(ctx context.Context, q CertQuery) (*Result, error) {
	return c.query(ctx, GetCRL, q)
}

func (c *Client) query(ctx context.Context, t MessageType, q CertQuery) (*Result, error) {
	if q.Certificate == nil || q.CertificateKey == nil || q.SerialNumber == nil {
		return nil, errors.New("scep: a query needs a serial number, and a certificate with its key to sign with")
	}
	tx, err := c.begin(ctx, options{digest: q.Digest, cipher: q.Cipher, transport: q.KeyTransport})
	if err != nil {
		return nil, err
	}
	tx.signer.Certificate, tx.signer.Key = q.Certificate, q.CertificateKey
	if q.Issuer == nil {
		q.Issuer = tx.ca.CA.RawSubject
	}
	tx.read = readCRL
	if t == GetCert {
		tx.read = wantedCertificate("not the certificate that was asked for", q.names)
	}
	content, err := q.issuerAndSerial()
	if err != nil {
		return nil, err
	}
	result, err := tx.exchange(ctx, t, content)
	if err == nil && result.Status == StatusPending {
		return nil, &ReplyError{Reason: t.String() + " was answered with PENDING"}
	}
	return result, err
}

func (q CertQuery) names(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, q.Issuer) && c.SerialNumber.Cmp(q.SerialNumber) == 0
}

// issuerAndSerial is the content of the message.
func (q CertQuery) issuerAndSerial() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(q.Issuer)
		b.AddASN1BigInt(q.SerialNumber)
	})
	return b.Bytes()
}

// readCRL is the successReader of GetCRL.
func readCRL(bundle []byte, result *Result) error {
	limits := DefaultLimits.cms()
	der, err := cms.Normalize(bundle, limits.Nesting)
	if err != nil {
		return &ReplyError{"CRL", err}
	}
	crls, err := cms.ParseCRLs(der, limits)
	if err != nil {
		return &ReplyError{"CRL", err}
	}
	if len(crls) != 1 {
		return &ReplyError{Reason: "not one CRL"}
	}
	if result.CRL, err = x509.ParseRevocationList(crls[0]); err != nil {
		return &ReplyError{"CRL", err}
	}
	return nil
}
