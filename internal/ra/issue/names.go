package issue

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
)

// Names makes the names and labels of CertificateRequests. They are keyed hashes:
// every replica makes the same, and nobody else can foresee them or read a
// transactionID from them.
type Names struct {
	// Key is the endpoint's, of 32 bytes.
	Key []byte
	// Endpoint is the ScepEndpoint's name.
	Endpoint string
}

// Lengths of the hashes in hexadecimal digits: a name has to fit 63 characters
// behind an endpoint's name of 40.
const (
	nameDigits  = 20
	labelDigits = 40
)

// Request names attempt n (from 1) at a request. The certificate that signs the
// message is part of it, so that a later renewal with the same key is another request.
func (n Names) Request(r Request, attempt int) string {
	print := sha256.Sum256(r.Signer.Raw)
	sum := n.hash("request", []byte(r.TransactionID), r.CSR.RawSubjectPublicKeyInfo, print[:], []byte(r.Template), []byte(strconv.Itoa(attempt)))
	return n.Endpoint + "-" + sum[:nameDigits]
}

// OneTime names attempt n (from 1) at the request that a one-time challenge lets
// in, whichever request that is: so there is only one.
func (n Names) OneTime(id []byte, attempt int) string {
	sum := n.hash("one-time", id, []byte(strconv.Itoa(attempt)))
	return n.Endpoint + "-" + sum[:nameDigits]
}

// Transaction is the label that retries of a request share, whoever signs them.
func (n Names) Transaction(transactionID string, csr *x509.CertificateRequest) string {
	return n.hash("transaction", []byte(transactionID), csr.RawSubjectPublicKeyInfo)[:labelDigits]
}

// Signer is the label by which a poll finds its request: only the key that signed
// the request can sign the poll.
func (n Names) Signer(transactionID string, signer *x509.Certificate) string {
	return n.hash("signer", []byte(transactionID), signer.RawSubjectPublicKeyInfo)[:labelDigits]
}

// PublicKey is the label that all requests for a key share; it is DER, a SubjectPublicKeyInfo.
func (n Names) PublicKey(publicKeyInfo []byte) string {
	return n.hash("key", publicKeyInfo)[:labelDigits]
}

// Sender is the label of requests that a certificate signed which is not
// self-signed; "" for one that is, because that proves nothing but a key.
func (n Names) Sender(signer *x509.Certificate, selfSigned bool) string {
	if selfSigned {
		return ""
	}
	return n.hash("sender", signer.Raw)[:labelDigits]
}

// hash is an HMAC-SHA-256 in hexadecimal over parts that cannot run into each other.
func (n Names) hash(kind string, parts ...[]byte) string {
	mac := hmac.New(sha256.New, n.Key)
	for _, part := range slices.Concat([][]byte{[]byte(kind)}, parts) {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write(part)
	}
	return hex.EncodeToString(mac.Sum(nil))
}
