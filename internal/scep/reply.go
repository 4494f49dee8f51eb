package scep

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// Reply is what a Backend answers; Success, Pending and Fail make one.
type Reply struct {
	Status       PKIStatus
	Certificates []*x509.Certificate // SUCCESS: the certificate asked for first, then its chain if wanted
	CRL          []byte              // SUCCESS of GetCRL, instead of certificates: the newest CRL in DER
	FailInfo     FailInfo            // FAILURE
	FailInfoText string              // FAILURE: short, for the device; no secrets; may be ""

	// Password encrypts SUCCESS to a signer whose key cannot decrypt
	// (Request.NeedsPassword); others do not get to see it. It is the challenge
	// password of the request, or of the one that is polled for, in UTF-8. A
	// Backend that sets it vouches that it is good for one enrolment only: who
	// records the answer can try passwords on it for as long as they like.
	Password string

	// Sent, where it is not nil, is called once, after the answer was written: with nil
	// if the connection took it while the client was still there, or with what was in
	// the way. Nobody can know more: a hop may lose an answer that it has taken.
	Sent func(err error)
}

func (r *Reply) tellSent(err error) {
	if r.Sent != nil {
		r.Sent(err)
	}
}

// Success answers with certificates, the issued one first.
func Success(certificates ...*x509.Certificate) *Reply {
	return &Reply{Status: StatusSuccess, Certificates: certificates}
}

// SuccessCRL answers GetCRL with the newest CRL, in DER.
func SuccessCRL(crl []byte) *Reply { return &Reply{Status: StatusSuccess, CRL: crl} }

// Pending asks the device to poll.
func Pending() *Reply { return &Reply{Status: StatusPending} }

// Fail refuses. The text is for the device's log and tells no secrets.
func Fail(info FailInfo, text string) *Reply {
	return &Reply{Status: StatusFailure, FailInfo: info, FailInfoText: text}
}

// maxFailInfoText bounds what a device has to read, in bytes.
const maxFailInfoText = 255

// Respond makes the CertRep for a reply, in DER: signed by the generation that
// opened the request (the active one if none did) with AnswerDigest, and for
// SUCCESS encrypted to the request's signer with AnswerCipher (RFC 8894, section
// 3.3.2). The key transport is PKCS #1 v1.5 whatever the request's is: everybody
// reads it. An error means that the reply does not fit the request, or that a key
// does not work.
func (r *Request) Respond(id *Identity, reply *Reply) ([]byte, error) {
	if err := r.fits(reply); err != nil {
		return nil, err
	}
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
		Digest:      cmp.Or(r.AnswerDigest, defaultDigest),
	})
}

// fits says what is wrong with the reply's values (RFC 8894, sections 3.2.1.3,
// 3.2.1.4, 4.5.1 and 4.6.1).
func (r *Request) fits(reply *Reply) error {
	_, status := statusNames[reply.Status]
	_, info := failInfoNames[reply.FailInfo]
	switch {
	case !status:
		return fmt.Errorf("scep: a reply with %v", reply.Status)
	case reply.Status == StatusFailure && !info:
		return fmt.Errorf("scep: a reply with %v", reply.FailInfo)
	case reply.Status == StatusPending && r.isQuery():
		return fmt.Errorf("scep: %v cannot be PENDING", r.MessageType)
	}
	return nil
}

// seal makes the envelope, which SUCCESS alone has.
func (r *Request) seal(reply *Reply) ([]byte, error) {
	if reply.Status != StatusSuccess {
		return nil, nil
	}
	bundle, err := r.bundle(reply)
	if err != nil {
		return nil, err
	}
	cipher := cmp.Or(r.AnswerCipher, AES128CBC)
	if !r.NeedsPassword() {
		return cms.Encrypt(bundle, r.Signer, cipher, PKCS1v15)
	}
	if reply.Password == "" {
		return nil, errNoPassword
	}
	return cms.EncryptToPassword(bundle, []byte(reply.Password), cipher)
}

// errNoPassword is what stands between a Backend's slip and an answer in clear.
var errNoPassword = errors.New("scep: SUCCESS without a password for a signer that cannot decrypt")

// isQuery says whether the request is answered at once or never (RFC 8894,
// sections 4.5.1 and 4.6.1).
func (r *Request) isQuery() bool { return r.MessageType == GetCert || r.MessageType == GetCRL }

// bundle makes the degenerate SignedData of RFC 8894, section 3.4: certificates,
// or for GetCRL a CRL.
func (r *Request) bundle(reply *Reply) ([]byte, error) {
	wantsCRL := r.MessageType == GetCRL
	switch {
	case wantsCRL != (len(reply.CRL) > 0):
		return nil, fmt.Errorf("scep: SUCCESS of %v with a CRL, or without the one it wants", r.MessageType)
	case wantsCRL:
		return cms.MarshalCRL(reply.CRL)
	case len(reply.Certificates) == 0:
		return nil, errors.New("scep: SUCCESS without a certificate")
	default:
		return cms.MarshalCertificates(reply.Certificates)
	}
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
