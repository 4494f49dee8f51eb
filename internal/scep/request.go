package scep

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// Request is a pkiMessage that was opened: its signature verifies, its envelope
// is decrypted, its contents are parsed. Who the signer is, and what it may
// have, is the Backend's question.
type Request struct {
	MessageType   MessageType
	TransactionID string // bytes as sent
	SenderNonce   []byte
	Signer        *x509.Certificate   // signed the message: self-signed, or a certificate the device has
	SignerChain   []*x509.Certificate // the other certificates that were sent

	CSR               *x509.CertificateRequest // PKCSReq, RenewalReq and UpdateReq; its signature is verified
	ChallengePassword string                   // of the CSR, in UTF-8; "" if absent
	Subject           *IssuerAndSubject        // CertPoll
	IssuerAndSerial   *IssuerAndSerial         // GetCert and GetCRL

	Generation   *Generation // opened the message; its signing credential answers
	Digest       crypto.Hash // the message is signed with
	AnswerDigest crypto.Hash // signs the answer
	Cipher       Cipher      // the message is encrypted with
	AnswerCipher Cipher      // encrypts the answer
}

// Renews says whether the message calls itself a renewal. A PKCSReq may be one
// all the same: macOS and others sign it with the certificate to be renewed.
func (r *Request) Renews() bool { return r.MessageType == RenewalReq || r.MessageType == UpdateReq }

// NeedsPassword says whether the signer's key cannot decrypt, so that SUCCESS has
// to be encrypted with a password (RFC 8894, section 3.1).
func (r *Request) NeedsPassword() bool {
	_, ok := r.Signer.PublicKey.(*rsa.PublicKey)
	return !ok
}

// SignedByCSRKey says whether the message was signed with the key the CSR asks
// a certificate for, as it is for a self-signed signer.
func (r *Request) SignedByCSRKey() bool {
	if r.CSR == nil {
		return false
	}
	key, ok := r.CSR.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(r.Signer.PublicKey)
}

// Open reads a pkiMessage in DER or BER. The error is a *MessageError.
func Open(message []byte, id *Identity, s Settings) (*Request, error) {
	o := opening{identity: id, settings: s, limits: s.Limits.withDefaults(), request: &Request{}}
	steps := []func([]byte) *MessageError{
		o.parse, o.readAttributes, o.findGeneration, o.checkDigest, o.checkSignature, o.checkClock,
		o.checkType, o.checkSigner, o.checkEnvelope, o.decrypt, o.checkPassword,
	}
	for _, step := range steps {
		if err := step(message); err != nil {
			return nil, err
		}
	}
	return o.request, nil
}

// opening is a message on its way to become a request.
type opening struct {
	identity *Identity
	settings Settings
	limits   Limits
	request  *Request

	signed      *cms.SignedData
	rule        requestRule
	envelope    *cms.EnvelopedData
	envelopeErr error
	recipient   cms.Recipient
}

// The texts a device is told, by what went wrong.
const (
	textMalformed  = "malformed message"
	textAttributes = "transactionID, messageType or senderNonce is missing"
	textSignature  = "signature does not verify"
	textNoSigner   = "the certificate that signed the message is not in it"
	textSignerKey  = "sign with an RSA key: the answer is encrypted to it"
	textSmallKey   = "the RSA key that signed the message is too small: use one of 1024 bits or more"
	textNoPassword = "a challenge password is needed: without one no answer can be encrypted for a key that is not RSA"
	textNotValid   = "the certificate that signed the message is not valid now: check the clock"
	textBadTime    = "signingTime is too far from the present: check the clock"
	textRecipient  = "RA certificate not known: fetch GetCACert again"
	textUnreadable = "the request inside the message is not valid"
)

// fail makes an error that knows as much as was read so far.
func (o *opening) fail(info FailInfo, text string, err error) *MessageError {
	r := o.request
	return &MessageError{
		FailInfo:      info,
		Text:          text,
		Err:           err,
		TransactionID: r.TransactionID,
		SenderNonce:   r.SenderNonce,
		MessageType:   r.MessageType,
		Generation:    r.Generation,
		Digest:        r.AnswerDigest,
	}
}

// failFor is fail for an error of package cms: an algorithm is named to the
// device, anything else is told by text.
func (o *opening) failFor(err error, otherwise FailInfo, text string) *MessageError {
	var unsupported *cms.UnsupportedAlgorithmError
	if errors.As(err, &unsupported) {
		text := unsupported.Use + " algorithm " + cms.AlgorithmName(unsupported.OID) + " is not supported here"
		return o.fail(BadAlg, text, err)
	}
	return o.fail(otherwise, text, err)
}

func (o *opening) parse(message []byte) *MessageError {
	if len(message) > o.limits.MaxMessageBytes {
		return o.fail(BadRequest, textMalformed, fmt.Errorf("message has %d bytes, limit is %d", len(message), o.limits.MaxMessageBytes))
	}
	der, err := cms.Normalize(message, o.limits.MaxNesting)
	if err != nil {
		return o.fail(BadRequest, textMalformed, err)
	}
	if o.signed, err = cms.ParseSignedData(der, o.limits.cms()); err != nil {
		return o.fail(BadRequest, textMalformed, err)
	}
	return nil
}

func (o *opening) readAttributes([]byte) *MessageError {
	id, _ := text(o.signed, oidTransactionID)
	nonce := octets(o.signed, oidSenderNonce)
	if len(id) > maxTransactionID || len(nonce) > maxNonce {
		return o.fail(BadRequest, textMalformed, errors.New("transactionID or senderNonce is too long"))
	}
	o.request.TransactionID, o.request.SenderNonce = id, nonce
	messageType, ok := number(o.signed, oidMessageType)
	if id == "" || len(nonce) == 0 || !ok {
		return o.fail(BadRequest, textAttributes, errors.New(textAttributes))
	}
	o.request.MessageType = MessageType(messageType)
	return nil
}

// findGeneration reads the clear part of the envelope: whatever is wrong later,
// the answer should be signed by an RA certificate that the sender knows. What
// is wrong with the envelope itself is told after the signature.
func (o *opening) findGeneration([]byte) *MessageError {
	o.envelopeErr = o.readEnvelope()
	return nil
}

func (o *opening) readEnvelope() error {
	der, err := cms.Normalize(o.signed.Content, o.limits.MaxNesting)
	if err != nil {
		return err
	}
	if o.envelope, err = cms.ParseEnvelopedData(der); err != nil {
		return err
	}
	var found bool
	if o.request.Generation, o.recipient, found = o.identity.recipient(o.envelope.Recipients); !found {
		return unknownRecipient(o.envelope.Recipients)
	}
	return nil
}

func unknownRecipient(recipients []cms.Recipient) error {
	ids := make([]cms.Identifier, len(recipients))
	for i, r := range recipients {
		ids[i] = r.ID
	}
	return fmt.Errorf("%w: %v", ErrUnknownRecipient, ids)
}

func (o *opening) checkDigest([]byte) *MessageError {
	digest, err := o.signed.Digest()
	if err == nil && !o.settings.allowsDigest(digest) {
		err = notAllowed("digest", cms.DigestOID(digest))
	}
	if err != nil {
		return o.failFor(err, BadRequest, textMalformed)
	}
	o.request.Digest, o.request.AnswerDigest = digest, o.settings.answerDigest(digest)
	return nil
}

func (o *opening) checkSignature([]byte) *MessageError {
	signer, others, err := o.signed.SignerCertificate()
	if err != nil {
		return o.fail(BadMessageCheck, textNoSigner, err)
	}
	if key, ok := signer.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSABits {
		return o.fail(BadAlg, textSmallKey, fmt.Errorf("signed with an RSA key of %d bits", key.N.BitLen()))
	}
	if err := o.signed.Verify(signer); err != nil {
		return o.failFor(err, BadMessageCheck, textSignature)
	}
	o.request.Signer, o.request.SignerChain = signer, others
	return nil
}

// checkSigner refuses early what could not be answered.
func (o *opening) checkSigner([]byte) *MessageError {
	answerable := o.settings.PasswordRecipient && o.rule.password != noPassword
	if o.request.NeedsPassword() && !answerable {
		return o.fail(BadAlg, textSignerKey, cms.ErrRecipientKey)
	}
	return nil
}

func (o *opening) checkType([]byte) *MessageError {
	var ok bool
	if o.rule, ok = o.settings.requestRule(o.request.MessageType); !ok {
		text := o.request.MessageType.String() + " is not supported here"
		return o.fail(BadRequest, text, errors.New(text))
	}
	return nil
}

func (o *opening) checkEnvelope([]byte) *MessageError {
	if errors.Is(o.envelopeErr, ErrUnknownRecipient) {
		return o.fail(BadRequest, textRecipient, o.envelopeErr)
	}
	if o.envelopeErr != nil {
		return o.failFor(o.envelopeErr, BadRequest, textMalformed)
	}
	cipher := o.envelope.Cipher()
	rule, ok := o.settings.cipherRule(cipher)
	if !ok {
		return o.failFor(notAllowed("content encryption", cipher.OID()), BadAlg, "")
	}
	o.request.Cipher, o.request.AnswerCipher = cipher, rule.answer
	if !o.envelope.Authenticated() {
		o.request.AnswerCipher = rule.plain
	}
	return nil
}

// decrypt opens the envelope and reads what is inside. Everything that goes
// wrong from here on has one answer: no one may learn from it whether a key, a
// padding or a CSR was wrong.
func (o *opening) decrypt([]byte) *MessageError {
	key, ok := o.request.Generation.Encryption.Key.(crypto.Decrypter)
	if !ok {
		return o.fail(BadRequest, textUnreadable, fmt.Errorf("%w: the RA key cannot decrypt", ErrUnreadable))
	}
	plaintext, err := o.envelope.Decrypt(o.recipient, key)
	if err != nil {
		return o.failFor(err, BadRequest, textMalformed)
	}
	err = o.rule.read(o, firstElement(plaintext.Bytes))
	if err != nil || !plaintext.Sound {
		return o.fail(BadRequest, textUnreadable, errors.Join(ErrUnreadable, err))
	}
	return nil
}

// checkPassword refuses devices that can be told neither that they succeeded nor
// to what. It comes last, so that it tells nothing about messages that are not
// sound.
func (o *opening) checkPassword([]byte) *MessageError {
	r := o.request
	if r.NeedsPassword() && o.rule.password == passwordInCSR && r.ChallengePassword == "" {
		return o.fail(BadRequest, textNoPassword, errors.New(textNoPassword))
	}
	return nil
}

// firstElement cuts off what follows the first element, so that what happens to
// a plaintext does not depend on whether its padding was cut off.
func firstElement(in cryptobyte.String) []byte {
	whole := in
	var element cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1Element(&element, &tag) {
		return whole
	}
	return element
}
