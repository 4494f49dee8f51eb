package scep_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// archive is a Backend that gives a device its own certificate, and anybody the
// newest CRL.
type archive struct {
	ca  *sceptest.CA
	crl []byte
}

func (a archive) answer(r *scep.Request) (*scep.Reply, error) {
	wanted := r.IssuerAndSerial
	if !bytes.Equal(wanted.Issuer, a.ca.Certificate.RawSubject) {
		return scep.Fail(scep.BadCertID, "another CA's"), nil
	}
	switch {
	case r.MessageType == scep.GetCRL:
		return scep.SuccessCRL(a.crl), nil
	case wanted.SerialNumber.Cmp(r.Signer.SerialNumber) == 0:
		return scep.Success(r.Signer), nil
	default:
		return scep.Fail(scep.BadCertID, "no such certificate of yours"), nil
	}
}

func newCRL(t *testing.T, ca *sceptest.CA, number int64) []byte {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(number), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
	}, ca.Certificate, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// queried is a server with an archive, a certificate of its CA, and a query for it.
func queried(t *testing.T) (*sceptest.Server, scep.CertQuery) {
	t.Helper()
	ca := sceptest.NewCA(t)
	key := sceptest.RSAKey(t, 1)
	cert, err := ca.Issue(&x509.Certificate{}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	a := archive{ca, newCRL(t, ca, 7)}
	s := sceptest.NewServer(t, sceptest.Options{CA: ca, Backend: backend(a.answer), Settings: everything})
	return s, scep.CertQuery{SerialNumber: cert.SerialNumber, Certificate: cert, CertificateKey: key}
}

func TestGetCert(t *testing.T) {
	t.Parallel()
	s, q := queried(t)
	c := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}
	for _, c.Method = range []scep.ClientMethod{scep.MethodPOST, scep.MethodGET} {
		result, err := c.GetCert(t.Context(), q)
		if err != nil || result.Status != scep.StatusSuccess || !result.Certificate.Equal(q.Certificate) {
			t.Errorf("got %+v, %v", result, err)
		}
	}
	unknown := q
	unknown.SerialNumber = big.NewInt(1)
	foreign := q
	foreign.Issuer = s.CA.Root.RawSubject
	for _, q := range []scep.CertQuery{unknown, foreign} {
		result, err := c.GetCert(t.Context(), q)
		if err != nil || result.Status != scep.StatusFailure || result.FailInfo != scep.BadCertID {
			t.Errorf("got %+v, %v", result, err)
		}
	}
	if _, err := c.GetCert(t.Context(), scep.CertQuery{}); err == nil {
		t.Error("a query for nothing, signed by nobody")
	}
}

func TestGetCRL(t *testing.T) {
	t.Parallel()
	s, q := queried(t)
	result, err := (&scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}).GetCRL(t.Context(), q)
	if err != nil || result.Status != scep.StatusSuccess {
		t.Fatalf("got %+v, %v", result, err)
	}
	if result.CRL.Number.Int64() != 7 || result.CRL.CheckSignatureFrom(s.CA.Certificate) != nil || result.Certificate != nil {
		t.Errorf("got %+v", result)
	}
}

// Unless the settings say so, the Backend is not even asked.
func TestQueriesSwitchedOff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, messageType := range []scep.MessageType{scep.GetCert, scep.GetCRL} {
		m := b.message(t)
		withType(messageType)(&m)
		e := openError(t, m.Bytes(t), b.id)
		if e.FailInfo != scep.BadRequest || e.Text != messageType.String()+" is not supported here" {
			t.Errorf("%v: %v %q", messageType, e.FailInfo, e.Text)
		}
	}
}

func (b bench) query(t *testing.T, messageType scep.MessageType) *scep.Request {
	t.Helper()
	m := b.message(t)
	withType(messageType)(&m)
	return mustOpen(t, m.Bytes(t), b.id, everything)
}

// The inner SignedData of GetCRL has a CRL and no certificates, that of GetCert
// the reverse; what else a Backend says is not sent.
func TestQueryReplies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	crl := newCRL(t, b.ca, 1)
	getCert, getCRL, enrol := b.query(t, scep.GetCert), b.query(t, scep.GetCRL), b.query(t, scep.PKCSReq)
	if got := getCRL.IssuerAndSerial; got == nil || got.SerialNumber.Int64() != 7 || len(got.Issuer) != 2 {
		t.Errorf("asked about %+v", got)
	}
	for name, test := range map[string]struct {
		request *scep.Request
		reply   *scep.Reply
		fits    bool
	}{
		"GetCRL, CRL":          {getCRL, scep.SuccessCRL(crl), true},
		"GetCRL, certificate":  {getCRL, scep.Success(b.ca.Certificate), false},
		"GetCRL, nothing":      {getCRL, scep.Success(), false},
		"GetCRL, PENDING":      {getCRL, scep.Pending(), false},
		"GetCert, certificate": {getCert, scep.Success(b.ca.Certificate), true},
		"GetCert, CRL":         {getCert, scep.SuccessCRL(crl), false},
		"GetCert, PENDING":     {getCert, scep.Pending(), false},
		"PKCSReq, CRL":         {enrol, scep.SuccessCRL(crl), false},
		"PKCSReq, PENDING":     {enrol, scep.Pending(), true},
		"a status of no RFC":   {enrol, &scep.Reply{Status: 1}, false},
		"a failInfo of no RFC": {enrol, scep.Fail(5, ""), false},
	} {
		if _, err := test.request.Respond(b.id, test.reply); (err == nil) != test.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
	inner, err := cms.ParseSignedData(b.inner(t, getCRL, scep.SuccessCRL(crl)), cms.Limits{Certificates: 16})
	if err != nil || len(inner.CRLs) != 1 || !bytes.Equal(inner.CRLs[0], crl) || len(inner.Certificates) != 0 || inner.Content != nil {
		t.Errorf("got %+v, %v", inner, err)
	}
}

// inner is what a reply's envelope holds.
func (b bench) inner(t *testing.T, r *scep.Request, reply *scep.Reply) []byte {
	t.Helper()
	envelope, err := cms.ParseEnvelopedData(parseReply(t, b.reply(t, r, reply), b.id.Active.Signing).Content)
	if err != nil {
		t.Fatal(err)
	}
	plaintext, err := envelope.Decrypt(envelope.Recipients[0], sceptest.RSAKey(t, 1))
	if err != nil || !plaintext.Sound {
		t.Fatalf("%+v, %v", plaintext, err)
	}
	return plaintext.Bytes
}

// What a client does not take for an answer to its query.
func TestClientRefusesQueryReplies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, q := queried(t)
	as := func(t scep.MessageType, reply *scep.Reply) func(*scep.Request) ([]byte, error) {
		return func(r *scep.Request) ([]byte, error) {
			c := *r
			c.MessageType = t
			return c.Respond(b.id, reply)
		}
	}
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id})
	for name, test := range map[string]struct {
		ask    func(*scep.Client) error
		answer func(*scep.Request) ([]byte, error)
		reason string
	}{
		"GetCert, another": {asksCert(t, q), as(scep.GetCert, scep.Success(b.ca.Certificate)), "not the certificate"},
		"GetCert, PENDING": {asksCert(t, q), as(scep.PKCSReq, scep.Pending()), "PENDING"},
		"GetCRL, none":     {asksCRL(t, q), as(scep.GetCert, scep.Success(b.ca.Certificate)), "not one CRL"},
		"GetCRL, garbage":  {asksCRL(t, q), as(scep.GetCRL, scep.SuccessCRL([]byte{0x30, 0})), "CRL"},
	} {
		url := between(t, s, func(w http.ResponseWriter, r *http.Request) bool {
			return isOperation(r, "PKIOperation") && answerWith(t, w, r, b.id, everything, test.answer)
		})
		err := test.ask(&scep.Client{URL: url, VerifyCA: scep.TrustAnyCA})
		var bad *scep.ReplyError
		if !errors.As(err, &bad) || !strings.Contains(bad.Error(), test.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func asksCert(t *testing.T, q scep.CertQuery) func(*scep.Client) error {
	return func(c *scep.Client) error { _, err := c.GetCert(t.Context(), q); return err }
}

func asksCRL(t *testing.T, q scep.CertQuery) func(*scep.Client) error {
	return func(c *scep.Client) error { _, err := c.GetCRL(t.Context(), q); return err }
}
