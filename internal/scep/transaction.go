package scep

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// transaction is what a client's messages of one transactionID have in common.
type transaction struct {
	client       *Client
	capabilities Capabilities
	ca           *CACertificates
	method       ClientMethod
	id           string
	cipher       Cipher
	transport    KeyTransport
	signer       cms.Signer
	password     string        // opens answers where the signer's key cannot
	read         successReader // of what SUCCESS brings
}

// options are what a caller may choose; zero values follow GetCACaps.
type options struct {
	transactionID string // "": random
	digest        crypto.Hash
	cipher        Cipher
	transport     KeyTransport
}

func (c *Client) begin(ctx context.Context, o options) (*transaction, error) {
	if c.CA == nil && c.VerifyCA == nil {
		return nil, ErrCANotTrusted
	}
	capabilities, err := c.GetCACaps(ctx)
	if err != nil {
		return nil, err
	}
	ca, err := c.trustedCA(ctx)
	if err != nil {
		return nil, err
	}
	tx := &transaction{
		client: c, capabilities: capabilities, ca: ca,
		method: c.Method, id: o.transactionID,
		cipher: cmp.Or(o.cipher, bestCipher(capabilities)), transport: o.transport,
	}
	tx.signer.Digest = cmp.Or(o.digest, bestDigest(capabilities))
	if tx.method == MethodAuto {
		tx.method = bestMethod(capabilities)
	}
	if tx.id == "" {
		tx.id = rand.Text()
	}
	return tx, nil
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
