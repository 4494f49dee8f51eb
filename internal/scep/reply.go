package scep

import (
	"cmp"
	"crypto/x509"
	"errors"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// Reply is what a Backend answers; Success, Pending and Fail make one.
type Reply struct {
	Status       PKIStatus
	Certificates []*x509.Certificate // SUCCESS: the issued certificate first, then its chain if wanted
	FailInfo     FailInfo            // FAILURE
	FailInfoText string              // FAILURE: short, for the device; no secrets; may be ""
}

// Success answers with certificates, the issued one first.
func Success(certificates ...*x509.Certificate) *Reply {
	return &Reply{Status: StatusSuccess, Certificates: certificates}
}

// Pending asks the device to poll.
func Pending() *Reply { return &Reply{Status: StatusPending} }

// Fail refuses. The text is for the device's log and tells no secrets.
func Fail(info FailInfo, text string) *Reply {
	return &Reply{Status: StatusFailure, FailInfo: info, FailInfoText: text}
}

// maxFailInfoText bounds what a device has to read, in bytes.
const maxFailInfoText = 255

// Respond makes the CertRep for a reply, in DER: signed by the generation that
// opened the request (the active one if none did) with the request's digest,
// and for SUCCESS encrypted to the request's signer with the request's cipher,
// or AES-128 for single DES (RFC 8894, section 3.3.2).
func (r *Request) Respond(id *Identity, reply *Reply) ([]byte, error) {
	content, err := r.seal(reply)
	if err != nil {
		return nil, err
	}
	attributes, err := r.replyAttributes(reply)
	if err != nil {
		return nil, err
	}
	signing := cmp.Or(r.Generation, id.Active).Signing
	return cms.Sign(content, attributes, cms.Signer{
		Certificate: signing.Certificate,
		Key:         signing.Key,
		Digest:      cmp.Or(r.Digest, defaultDigest),
	})
}

// seal makes the envelope, which SUCCESS alone has.
func (r *Request) seal(reply *Reply) ([]byte, error) {
	if reply.Status != StatusSuccess {
		return nil, nil
	}
	if len(reply.Certificates) == 0 {
		return nil, errors.New("scep: SUCCESS without a certificate")
	}
	certificates, err := cms.MarshalCertificates(reply.Certificates)
	if err != nil {
		return nil, err
	}
	return cms.Encrypt(certificates, r.Signer, answerCipher(r.Cipher), PKCS1v15)
}

func (r *Request) replyAttributes(reply *Reply) ([]cms.Attribute, error) {
	nonce, err := newNonce()
	if err != nil {
		return nil, err
	}
	attributes := []cms.Attribute{
		textAttribute(oidTransactionID, r.TransactionID),
		numberAttribute(oidMessageType, CertRep),
		numberAttribute(oidPKIStatus, reply.Status),
		octetsAttribute(oidSenderNonce, nonce),
		octetsAttribute(oidRecipientNonce, r.SenderNonce),
	}
	if reply.Status != StatusFailure {
		return attributes, nil
	}
	attributes = append(attributes, numberAttribute(oidFailInfo, reply.FailInfo))
	if reply.FailInfoText == "" {
		return attributes, nil
	}
	text := reply.FailInfoText[:min(len(reply.FailInfoText), maxFailInfoText)]
	return append(attributes, utf8Attribute(oidFailInfoText, text)), nil
}
