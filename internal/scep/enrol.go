package scep

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
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

// Result is how an enrolment ended. FAILURE is a result, not an error.
type Result struct {
	Status        PKIStatus
	Certificate   *x509.Certificate   // SUCCESS
	Chain         []*x509.Certificate // SUCCESS: the others that came along
	FailInfo      FailInfo            // FAILURE
	FailInfoText  string              // FAILURE
	TransactionID string
}

// ReplyError says that an answer of the server cannot be accepted.
type ReplyError struct {
	Reason string
	Err    error // may be nil
}

// Error gives the reason.
func (e *ReplyError) Error() string {
	if e.Err == nil {
		return "scep: bad reply: " + e.Reason
	}
	return fmt.Sprintf("scep: bad reply: %s: %v", e.Reason, e.Err)
}

// Unwrap returns Err.
func (e *ReplyError) Unwrap() error { return e.Err }

// Enrol sends a PKCSReq and polls as Client says. The error is *HTTPError,
// *ReplyError, of the context or of the network.
func (c *Client) Enrol(ctx context.Context, request EnrolRequest) (*Result, error) {
	return c.transact(ctx, PKCSReq, request)
}

// Renew sends a RenewalReq, signed with the request's Certificate, which is
// required.
func (c *Client) Renew(ctx context.Context, request EnrolRequest) (*Result, error) {
	if request.Certificate == nil {
		return nil, errors.New("scep: a renewal needs the certificate to renew")
	}
	return c.transact(ctx, RenewalReq, request)
}

func (c *Client) transact(ctx context.Context, t MessageType, request EnrolRequest) (*Result, error) {
	tx, err := c.begin(ctx, request)
	if err != nil {
		return nil, err
	}
	result, err := tx.exchange(ctx, t, tx.csr)
	interval := cmp.Or(c.PollInterval, defaultPollInterval)
	longest := maxPollFactor * interval
	for polls := 0; err == nil && result.Status == StatusPending && polls != c.PollLimit; polls++ {
		if err := wait(ctx, interval); err != nil {
			return nil, err
		}
		interval = min(2*interval, longest)
		result, err = tx.exchange(ctx, CertPoll, tx.issuerAndSubject())
	}
	return result, err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("scep: polling: %w", ctx.Err())
	}
}

// transaction is an enrolment from the first message to the last.
type transaction struct {
	client    *Client
	ca        *CACertificates
	method    ClientMethod
	id        string
	csr       []byte
	subject   []byte // of the CSR, DER
	publicKey any    // of the CSR
	signer    cms.Signer
	cipher    Cipher
	transport KeyTransport
}

func (c *Client) begin(ctx context.Context, request EnrolRequest) (*transaction, error) {
	capabilities, err := c.GetCACaps(ctx)
	if err != nil {
		return nil, err
	}
	tx := &transaction{client: c, method: c.Method, id: request.TransactionID, transport: request.KeyTransport}
	tx.cipher = cmp.Or(request.Cipher, bestCipher(capabilities))
	tx.signer.Digest = cmp.Or(request.Digest, bestDigest(capabilities))
	if tx.method == MethodAuto {
		tx.method = bestMethod(capabilities)
	}
	if tx.ca, err = c.caCertificates(ctx); err != nil {
		return nil, err
	}
	if tx.id == "" {
		tx.id = rand.Text()
	}
	if err := tx.setCSR(request); err != nil {
		return nil, err
	}
	return tx, tx.setSigner(request)
}

func (c *Client) caCertificates(ctx context.Context) (*CACertificates, error) {
	if c.CA != nil {
		return c.CA, nil
	}
	ca, err := c.GetCACert(ctx)
	if err != nil || c.VerifyCA == nil {
		return ca, err
	}
	if err := c.VerifyCA(ca); err != nil {
		return nil, fmt.Errorf("scep: CA certificate: %w", err)
	}
	return ca, nil
}

// What a client falls back to with a server that says nothing is what RFC 8894,
// section 3.5.2, prescribes.

func bestCipher(c Capabilities) Cipher {
	if c.Has(CapabilityAES) {
		return AES128CBC
	}
	return TripleDESCBC
}

func bestDigest(c Capabilities) crypto.Hash {
	if c.Has(CapabilitySHA256) {
		return crypto.SHA256
	}
	if c.Has(CapabilitySHA512) {
		return crypto.SHA512
	}
	return crypto.SHA1
}

func bestMethod(c Capabilities) ClientMethod {
	if c.Has(CapabilityPOSTPKIOperation) {
		return MethodPOST
	}
	return MethodGET
}

func (tx *transaction) setCSR(request EnrolRequest) error {
	tx.csr = request.CSR
	if tx.csr == nil {
		template := cmp.Or(request.Template, &x509.CertificateRequest{})
		var err error
		if tx.csr, err = NewCSR(template, request.Key, request.ChallengePassword); err != nil {
			return fmt.Errorf("scep: %w", err)
		}
	}
	csr, err := x509.ParseCertificateRequest(tx.csr)
	if err != nil {
		return fmt.Errorf("scep: CSR: %w", err)
	}
	tx.subject, tx.publicKey = csr.RawSubject, csr.PublicKey
	return nil
}

func (tx *transaction) setSigner(request EnrolRequest) error {
	tx.signer.Certificate = request.Certificate
	tx.signer.Key = request.CertificateKey
	if tx.signer.Key == nil {
		tx.signer.Key = request.Key
	}
	if tx.signer.Certificate != nil {
		return nil
	}
	var err error
	tx.signer.Certificate, err = selfSigned(tx.signer.Key, tx.subject, tx.client.now())
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
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
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
func (tx *transaction) issuerAndSubject() []byte {
	return cms.Element(cbasn1.SEQUENCE, slices.Concat(tx.ca.CA.RawSubject, tx.subject))
}

// exchange sends one message and reads its answer.
func (tx *transaction) exchange(ctx context.Context, t MessageType, content []byte) (*Result, error) {
	nonce, err := newNonce()
	if err != nil {
		return nil, err
	}
	message, err := tx.message(t, content, nonce)
	if err != nil {
		return nil, err
	}
	body, err := tx.client.transport(ctx, tx.method, message)
	if err != nil {
		return nil, err
	}
	result, err := tx.readReply(body, nonce)
	if err != nil {
		return nil, err
	}
	tx.client.log().DebugContext(ctx, "scep reply", "messageType", t.String(),
		"status", result.Status.String(), "transactionID", tx.id)
	return result, nil
}

func (tx *transaction) message(t MessageType, content, nonce []byte) ([]byte, error) {
	envelope, err := cms.Encrypt(content, tx.ca.Encryption, tx.cipher, tx.transport)
	if err != nil {
		return nil, err
	}
	return cms.Sign(envelope, []cms.Attribute{
		textAttribute(oidTransactionID, tx.id),
		numberAttribute(oidMessageType, t),
		octetsAttribute(oidSenderNonce, nonce),
	}, tx.signer)
}
