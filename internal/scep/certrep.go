package scep

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"slices"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// readReply checks a CertRep as RFC 8894, section 3.2.1, demands.
func (tx *transaction) readReply(body, nonce []byte) (*Result, error) {
	signed, err := tx.verifyReply(body)
	if err != nil {
		return nil, err
	}
	if id, _ := text(signed, oidTransactionID); id != tx.id {
		return nil, &ReplyError{Reason: "transactionID differs"}
	}
	if t, _ := number(signed, oidMessageType); MessageType(t) != CertRep {
		return nil, &ReplyError{Reason: "messageType is not CertRep"}
	}
	if !bytes.Equal(octets(signed, oidRecipientNonce), nonce) {
		return nil, &ReplyError{Reason: "recipientNonce differs from what was sent"}
	}
	return tx.readStatus(signed)
}

// verifyReply checks that the RA itself signed.
func (tx *transaction) verifyReply(body []byte) (*cms.SignedData, error) {
	limits := DefaultLimits.cms()
	der, err := cms.Normalize(body, limits.Nesting)
	if err != nil {
		return nil, &ReplyError{"not a message", err}
	}
	signed, err := cms.ParseSignedData(der, limits)
	if err != nil {
		return nil, &ReplyError{"not a message", err}
	}
	if err := signed.Verify(tx.ca.Signing); err != nil {
		return nil, &ReplyError{"not signed by the RA certificate of GetCACert", err}
	}
	return signed, nil
}

func (tx *transaction) readStatus(signed *cms.SignedData) (*Result, error) {
	status, ok := number(signed, oidPKIStatus)
	result := &Result{Status: PKIStatus(status), TransactionID: tx.id}
	readers := map[PKIStatus]func(*cms.SignedData, *Result) error{
		StatusSuccess: tx.readSuccess,
		StatusFailure: readFailure,
		StatusPending: func(*cms.SignedData, *Result) error { return nil },
	}
	read, known := readers[result.Status]
	if !ok || !known {
		return nil, &ReplyError{Reason: "unknown pkiStatus"}
	}
	if err := read(signed, result); err != nil {
		return nil, err
	}
	return result, nil
}

func readFailure(signed *cms.SignedData, result *Result) error {
	info, ok := number(signed, oidFailInfo)
	result.FailInfo = FailInfo(info)
	if _, known := failInfoNames[result.FailInfo]; !ok || !known {
		return &ReplyError{Reason: "unknown failInfo"}
	}
	result.FailInfoText, _ = text(signed, oidFailInfoText)
	return nil
}

// successReader reads what SUCCESS brings, a degenerate SignedData in DER or BER,
// into a result. Errors are *ReplyError.
type successReader func(bundle []byte, result *Result) error

func (tx *transaction) readSuccess(signed *cms.SignedData, result *Result) error {
	bundle, err := tx.decrypt(signed.Content)
	if err != nil {
		return &ReplyError{"envelope", err}
	}
	return tx.read(bundle, result)
}

// certificateFor wants a certificate of the key.
func certificateFor(public crypto.PublicKey) successReader {
	return wantedCertificate("no certificate for the requested key", func(c *x509.Certificate) bool {
		key, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		return ok && key.Equal(public)
	})
}

// wantedCertificate takes the first certificate that is wanted, wherever it is:
// a SET has no order.
func wantedCertificate(missing string, wanted func(*x509.Certificate) bool) successReader {
	return func(bundle []byte, result *Result) error {
		certificates, err := parseCertificates(bundle)
		if err != nil {
			return &ReplyError{"certificates", err}
		}
		for _, cert := range certificates {
			if result.Certificate == nil && wanted(cert) {
				result.Certificate = cert
				continue
			}
			result.Chain = append(result.Chain, cert)
		}
		if result.Certificate == nil {
			return &ReplyError{Reason: missing}
		}
		return nil
	}
}

// decrypt opens an envelope for the transaction's signer.
func (tx *transaction) decrypt(content []byte) ([]byte, error) {
	der, err := cms.Normalize(content, DefaultLimits.MaxNesting)
	if err != nil {
		return nil, err
	}
	envelope, err := cms.ParseEnvelopedData(der)
	if err != nil {
		return nil, err
	}
	plaintext, err := tx.open(envelope)
	if err != nil {
		return nil, err
	}
	if !plaintext.Sound {
		return nil, ErrUnreadable
	}
	return plaintext.Bytes, nil
}

// open uses the signer's key, or the password if the key cannot decrypt.
func (tx *transaction) open(envelope *cms.EnvelopedData) (cms.Plaintext, error) {
	mine := func(r cms.Recipient) bool { return r.ID.Matches(tx.signer.Certificate) }
	i := slices.IndexFunc(envelope.Recipients, mine)
	if key, ok := tx.signer.Key.(crypto.Decrypter); ok && i >= 0 {
		return envelope.Decrypt(envelope.Recipients[i], key)
	}
	if tx.password == "" || len(envelope.PasswordRecipients) == 0 {
		return cms.Plaintext{}, ErrUnknownRecipient
	}
	return envelope.DecryptWithPassword(envelope.PasswordRecipients[0], []byte(tx.password))
}
