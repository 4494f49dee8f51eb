package rfc8894_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// RAs with a behaviour of their own.

// issues is an RA that issues at once, whoever asks, and vouches for passwords.
func issues(t *testing.T, settings scep.Settings) rig {
	t.Helper()
	ca := sceptest.NewCA(t)
	return newRig(t, sceptest.Options{CA: ca, Settings: settings, Backend: backend(func(r *scep.Request) (*scep.Reply, error) {
		cert, err := issueTo(ca, r)
		reply := scep.Success(cert)
		reply.Password = r.ChallengePassword
		return reply, err
	})})
}

func issueTo(ca *sceptest.CA, r *scep.Request) (*x509.Certificate, error) {
	cert, err := ca.Issue(&x509.Certificate{RawSubject: r.CSR.RawSubject}, r.CSR.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issuing: %w", err)
	}
	return cert, nil
}

// approvedAfter is an RA that answers PENDING n times, and then last; nil: the
// certificate.
func approvedAfter(t *testing.T, n int, last *scep.Reply) rig {
	t.Helper()
	ca := sceptest.NewCA(t)
	var asked atomic.Int64
	var cert atomic.Pointer[x509.Certificate]
	return newRig(t, sceptest.Options{CA: ca, Backend: backend(func(r *scep.Request) (*scep.Reply, error) {
		if r.CSR != nil {
			issued, err := issueTo(ca, r)
			if err != nil {
				return nil, err
			}
			cert.Store(issued)
		}
		switch {
		case asked.Add(1) <= int64(n):
			return scep.Pending(), nil
		case last != nil:
			return last, nil
		default:
			return scep.Success(cert.Load()), nil
		}
	})})
}

// singleCA is a CA that is its own RA and has one certificate.
func singleCA(t *testing.T) rig {
	t.Helper()
	ca := sceptest.NewCA(t)
	itself := &scep.Credential{Certificate: ca.Certificate, Key: ca.Key}
	return newRig(t, sceptest.Options{
		CA:        ca,
		Settings:  scep.Settings{ChainShape: scep.RAAndIssuer},
		Challenge: password,
		Identity: &scep.Identity{
			Active:  &scep.Generation{Signing: itself, Encryption: itself},
			CAChain: ca.Chain(),
		},
	})
}

// answersCRL is an RA that answers GetCRL with a CRL of its CA.
func answersCRL(t *testing.T) rig {
	t.Helper()
	ca := sceptest.NewCA(t)
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
	}, ca.Certificate, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, sceptest.Options{CA: ca, Settings: scep.Settings{GetCRL: true}, Backend: backend(
		func(*scep.Request) (*scep.Reply, error) { return scep.SuccessCRL(crl), nil })})
}

// answersCert is an RA that answers GetCert with the CA's certificate, which is
// the only one it finds.
func answersCert(t *testing.T) rig {
	t.Helper()
	ca := sceptest.NewCA(t)
	return newRig(t, sceptest.Options{CA: ca, Settings: scep.Settings{GetCert: true}, Backend: backend(
		func(r *scep.Request) (*scep.Reply, error) {
			if r.IssuerAndSerial.SerialNumber.Cmp(ca.Certificate.SerialNumber) != 0 || !bytes.Equal(r.IssuerAndSerial.Issuer, ca.Certificate.RawIssuer) {
				return scep.Fail(scep.BadCertID, "no such certificate"), nil
			}
			return scep.Success(ca.Certificate), nil
		})})
}

// rollsOver is an RA that has the next CA's certificate to tell.
func rollsOver(t *testing.T) (r rig, next *x509.Certificate) {
	t.Helper()
	r = standard(t)
	next = namesake(t, r.CA.Certificate, 3)
	id := *r.Identity()
	id.NextCA = []*x509.Certificate{next}
	r.SetIdentity(&id)
	return r, next
}

// namesake is a self-signed CA certificate with the name of another, and a
// numbered key.
func namesake(t *testing.T, ca *x509.Certificate, n int) *x509.Certificate {
	t.Helper()
	return sceptest.SelfSigned(t, &x509.Certificate{
		Subject: ca.Subject, IsCA: true, BasicConstraintsValid: true, KeyUsage: ca.KeyUsage,
	}, sceptest.RSAKey(t, n))
}

// Small things.

// everyStatus is a reply of each status.
func everyStatus(t *testing.T) []*scep.Reply {
	t.Helper()
	return []*scep.Reply{scep.Success(sceptest.SelfSigned(t, nil, device(t))), scep.Fail(scep.BadRequest, ""), scep.Pending()}
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// messageBy is a good PKCSReq of another key.
func (r rig) messageBy(key crypto.Signer) sceptest.Message {
	r.t.Helper()
	return sceptest.NewMessage(r.t, r.Identity(), sceptest.CSR(r.t, key, sceptest.CSROptions{ChallengePassword: password}), key)
}

// firstRequest is what a client sends first.
func firstRequest(t *testing.T, e scep.EnrolRequest) *scep.Request {
	t.Helper()
	r := standard(t)
	c, p := r.client()
	r.enrol(c, e)
	return p.requests(r)[0]
}

// renewsWith renews with a numbered key; 1 is the old one.
func renewsWith(t *testing.T, n int) {
	t.Helper()
	r := standard(t)
	c, _ := r.client()
	first := r.enrol(c, enrolment(t)).Certificate
	second := r.renew(c, renewal(t, first, sceptest.RSAKey(t, n))).Certificate
	if second.Equal(first) || !bytes.Equal(second.RawSubjectPublicKeyInfo, spki(t, sceptest.RSAKey(t, n))) {
		t.Errorf("renewed with another key than %d", n)
	}
}

func spki(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// serialOf is the IssuerAndSerialNumber of a certificate.
func serialOf(t *testing.T, c *x509.Certificate) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}{asn1.RawValue{FullBytes: c.RawIssuer}, c.SerialNumber})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func bundle(t *testing.T, certificates ...*x509.Certificate) []byte {
	t.Helper()
	der, err := cms.MarshalCertificates(certificates)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// failure is a good FAILURE for a request.
func failure(r rig, request *scep.Request) certRep {
	f := r.pending(request)
	f.status, f.failInfo = "2", "2"
	return f
}

func pkiMessage(der []byte) *http.Response {
	return answer(http.StatusOK, "application/x-pki-message", der)
}

// keywords are what GetCACaps lists.
func keywords(r rig) []string {
	r.t.Helper()
	return strings.Fields(string(r.get("operation=GetCACaps").body))
}

// name is the DER of a subject.
func name(t *testing.T, commonName string) []byte {
	t.Helper()
	der, err := asn1.Marshal(pkix.Name{CommonName: commonName}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	return der
}
