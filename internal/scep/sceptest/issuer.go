package sceptest

import (
	"bytes"
	"context"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"slices"
	"sync"

	"github.com/scepter-pki/scepter/internal/scep"
)

// issuer is a Backend that remembers transactions and answers each with one
// certificate, however often it is asked; it also answers GetCert and GetCRL,
// where the settings let them through.
type issuer struct {
	ca        *CA
	challenge string
	pending   int

	mu           sync.Mutex
	oneTime      []string // not used yet
	transactions []*transaction
	issued       int
}

// transaction is one enrolment.
type transaction struct {
	id       string
	csr      *x509.CertificateRequest
	signer   *x509.Certificate
	password string // of an answer to a key that cannot decrypt: a one-time challenge
	polls    int    // how often PENDING was told
	cert     *x509.Certificate
}

func newIssuer(o Options) *issuer {
	return &issuer{ca: o.CA, challenge: o.Challenge, pending: o.Pending, oneTime: slices.Clone(o.OneTime)}
}

// PKIOperation implements scep.Backend.
func (i *issuer) PKIOperation(_ context.Context, r *scep.Request) (*scep.Reply, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch r.MessageType {
	case scep.CertPoll:
		return i.poll(r)
	case scep.GetCert:
		return i.getCert(r), nil
	case scep.GetCRL:
		return i.getCRL(r)
	default:
		return i.enrol(r)
	}
}

func (i *issuer) enrol(r *scep.Request) (*scep.Reply, error) {
	// With the same key many clients have the same transactionID again when they
	// renew: the signer tells that from a repetition.
	tx := i.find(func(tx *transaction) bool {
		return tx.id == r.TransactionID && tx.signer.Equal(r.Signer) && bytes.Equal(tx.csr.Raw, r.CSR.Raw)
	})
	if tx != nil {
		return i.answer(tx)
	}
	password, text := i.authorise(r)
	if text != "" {
		return scep.Fail(scep.BadRequest, text), nil
	}
	tx = &transaction{id: r.TransactionID, csr: r.CSR, signer: r.Signer, password: password}
	i.transactions = append(i.transactions, tx)
	return i.answer(tx)
}

// poll finds the latest transaction of the same signer key: whoever knows an id
// only is told nothing.
func (i *issuer) poll(r *scep.Request) (*scep.Reply, error) {
	tx := i.find(func(tx *transaction) bool {
		return tx.id == r.TransactionID &&
			bytes.Equal(tx.signer.RawSubjectPublicKeyInfo, r.Signer.RawSubjectPublicKeyInfo)
	})
	if tx == nil {
		return scep.Fail(scep.BadCertID, "no such transaction"), nil
	}
	return i.answer(tx)
}

func (i *issuer) find(is func(*transaction) bool) *transaction {
	for _, tx := range slices.Backward(i.transactions) {
		if is(tx) {
			return tx
		}
	}
	return nil
}

// authorise says why a request is refused, "" if it is not, and uses up a
// one-time challenge, which it returns.
func (i *issuer) authorise(r *scep.Request) (oneTime, refusal string) {
	if at := slices.Index(i.oneTime, r.ChallengePassword); at >= 0 {
		i.oneTime = slices.Delete(i.oneTime, at, at+1)
		return r.ChallengePassword, ""
	}
	if r.NeedsPassword() {
		return "", "an EC key needs a challenge password that is good for one enrolment"
	}
	if i.ca.Issued(r.Signer) {
		return "", ""
	}
	if r.Renews() {
		return "", "the certificate is not one of ours"
	}
	if subtle.ConstantTimeCompare([]byte(r.ChallengePassword), []byte(i.challenge)) != 1 {
		return "", "wrong challenge password"
	}
	return "", ""
}

func (i *issuer) answer(tx *transaction) (*scep.Reply, error) {
	if tx.polls < i.pending {
		tx.polls++
		return scep.Pending(), nil
	}
	if tx.cert == nil {
		cert, err := i.issue(tx.csr)
		if err != nil {
			return nil, err
		}
		tx.cert = cert
		i.issued++
	}
	reply := scep.Success(tx.cert)
	reply.Password = tx.password
	return reply, nil
}

func (i *issuer) issue(csr *x509.CertificateRequest) (*x509.Certificate, error) {
	cert, err := i.ca.Issue(&x509.Certificate{
		RawSubject:  csr.RawSubject,
		DNSNames:    csr.DNSNames,
		KeyUsage:    combinedUsage,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, csr.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issuing: %w", err)
	}
	return cert, nil
}

// getCert gives a certificate to whoever has one of the CA.
func (i *issuer) getCert(r *scep.Request) *scep.Reply {
	wanted := i.find(func(tx *transaction) bool {
		return tx.cert != nil && tx.cert.SerialNumber.Cmp(r.IssuerAndSerial.SerialNumber) == 0 &&
			bytes.Equal(tx.cert.RawIssuer, r.IssuerAndSerial.Issuer)
	})
	if wanted == nil || !i.ca.Issued(r.Signer) {
		return scep.Fail(scep.BadCertID, "no such certificate")
	}
	return scep.Success(wanted.cert)
}

func (i *issuer) getCRL(r *scep.Request) (*scep.Reply, error) {
	if !bytes.Equal(r.IssuerAndSerial.Issuer, i.ca.Certificate.RawSubject) || !i.ca.Issued(r.Signer) {
		return scep.Fail(scep.BadCertID, "no such CA"), nil
	}
	crl, err := i.ca.CRL()
	if err != nil {
		return nil, err
	}
	return scep.SuccessCRL(crl), nil
}
