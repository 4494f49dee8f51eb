package rfc8894_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var section7Cases = map[string]func(*testing.T){
	"R7.2-1": func(t *testing.T) {
		r := standard(t)
		for _, c := range []*scep.Credential{r.Identity().Active.Signing, r.Identity().Active.Encryption} {
			if bytes.Equal(c.Certificate.RawSubjectPublicKeyInfo, r.CA.Certificate.RawSubjectPublicKeyInfo) {
				t.Error("messages are made with the CA's key")
			}
		}
		wantLeaf(t, r.ask(r.message()), device(t)) // signed by the RA, for ask verifies it
	},
	"R7.5-1": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		p.answer["GetCACaps"] = answers(http.StatusOK, "text/plain", "") // stripped on the way
		c.Method = scep.MethodPOST
		e := enrolment(t)
		e.Digest, e.Cipher = crypto.SHA256, scep.AES128CBC
		r.enrol(c, e)
		request := p.requests(r)[0]
		if got := (used{request.Cipher, request.Digest, p.of("PKIOperation")[0].method}); got != (used{scep.AES128CBC, crypto.SHA256, http.MethodPost}) {
			t.Errorf("used %v", got)
		}
	},
	"R7.5-2": func(t *testing.T) {
		wantUsed(t, answers(http.StatusOK, "text/plain", "DES\nMD5\n"), used{scep.TripleDESCBC, crypto.SHA1, http.MethodGet})
	},
	"R7.6-1": func(t *testing.T) {
		r := standard(t)
		c, _ := r.client()
		m := r.message()
		m.Type, m.Signer = "17", r.enrol(c, enrolment(t)).Certificate
		m.Content = sceptest.CSR(t, sceptest.RSAKey(t, 2), sceptest.CSROptions{})
		r.ask(m).want(scep.StatusSuccess)
		m.TransactionID, m.Content = "forged", bytes.Clone(m.Content)
		m.Content[len(m.Content)-1] ^= 1
		r.ask(m).wantFail(scep.BadRequest)
	},
	"R7.7-1": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		e := enrolment(t)
		e.Certificate = sceptest.SelfSigned(t, &x509.Certificate{Subject: pkix.Name{CommonName: "placeholder"}}, device(t))
		r.enrol(c, e)
		if sent := p.of("PKIOperation")[0].body; bytes.Contains(sent, []byte("device")) {
			t.Error("the name goes in clear")
		}
	},
	"R7.9-1": func(t *testing.T) {
		strict := newRig(t, sceptest.Options{Settings: scep.Settings{Renewal: true}, Challenge: password})
		old, err := strict.CA.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "device"}}, device(t).Public())
		if err != nil {
			t.Fatal(err)
		}
		m := strict.ofType("17", sceptest.CSR(t, sceptest.RSAKey(t, 2), sceptest.CSROptions{}))
		m.Signer, m.Digest = old, crypto.SHA1
		strict.ask(m).wantFail(scep.BadAlg)
		m.Digest = crypto.SHA256
		strict.ask(m).want(scep.StatusSuccess)
	},
	"R7.10-1": func(t *testing.T) {
		r := standard(t)
		secure := httptest.NewTLSServer(r.Handler)
		t.Cleanup(secure.Close)
		c := &scep.Client{URL: secure.URL, HTTP: secure.Client(), VerifyCA: scep.TrustAnyCA}
		e := enrolment(t)
		e.ChallengePassword = ""
		if result, err := c.Enrol(t.Context(), e); err != nil || result.Status != scep.StatusFailure {
			t.Errorf("without a challenge: %+v, %v", result, err)
		}
		r.success(c.Enrol(t.Context(), enrolment(t)))
	},
}
