package ra_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// A device whose key cannot decrypt is told why it is refused, and nothing is
// written.
func TestKeysThatCannotDecrypt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request := enrolment(t, 1)
	request.Key = key
	result := enrol(t, f.server.URL, request)
	if result.FailInfo != scep.BadAlg || !strings.Contains(result.FailInfoText, "need a one-time challenge password") {
		t.Errorf("%v %v %q", result.Status, result.FailInfo, result.FailInfoText)
	}
	f.server.WantLogged(audit.AnsweredFailure, `"reason":"SignerKeyUnfit"`)

	renewal := request
	renewal.ChallengePassword = ""
	renewal.Certificate = sceptest.SelfSigned(t, nil, key)
	result, err = device(f.server.URL).Renew(limited(t), renewal)
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, result, "a challenge password is needed: without one no answer can be encrypted for a key that is not RSA")
	f.wantRequests(t, 0)
}

func TestQueries(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := sceptest.RSAKey(t, 1)
	certificate := wantCertificate(t, enrol(t, f.server.URL, enrolment(t, 1)), key)
	query := scep.CertQuery{SerialNumber: big.NewInt(1), Certificate: certificate, CertificateKey: key}
	c := device(f.server.URL)

	result, err := c.GetCert(limited(t), query)
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, result, "GetCert is not answered: a certificate is given to the device that enrolled, which can repeat its request")
	if result, err = c.GetCRL(limited(t), query); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, result, "GetCRL is not answered: see the CRL distribution point of the certificate")
	f.server.WantLogged(audit.AnsweredFailure, `"reason":"QueryNotAnswered"`)
}
