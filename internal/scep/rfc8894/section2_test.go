package rfc8894_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const signAndEncrypt = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment

var section2Cases = map[string]func(*testing.T){
	"R2.1.1-1": func(t *testing.T) {
		r := standard(t)
		for _, missing := range []struct {
			name     string
			remove   func(*scep.Client, *scep.EnrolRequest)
			messages int // that go out all the same
		}{
			{"address", func(c *scep.Client, _ *scep.EnrolRequest) { c.URL = "" }, 0},
			{"identity of the CA", func(c *scep.Client, _ *scep.EnrolRequest) { c.VerifyCA = nil }, 0},
			{"challenge", func(_ *scep.Client, e *scep.EnrolRequest) { e.ChallengePassword = "" }, 1},
		} {
			c, p := r.client()
			e := enrolment(t)
			missing.remove(c, &e)
			result, err := c.Enrol(t.Context(), e)
			if err == nil && result.Status == scep.StatusSuccess || len(p.of("PKIOperation")) != missing.messages {
				t.Errorf("without %s: %+v, %v, asked for %v", missing.name, result, err, p.operations())
			}
		}
	},
	"R2.1.2-2": func(t *testing.T) {
		r := decides(t, scep.Fail(scep.BadRequest, "not on Sundays"))
		if got := r.ask(r.message()).wantFail(scep.BadRequest).explanation(); got != "not on Sundays" {
			t.Errorf("failInfoText %q", got)
		}
	},
	"R2.2-1": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		r.enrol(c, enrolment(t))
		if got := p.operations(); !slices.Equal(got, []string{"GetCACaps", "GetCACert", "PKIOperation"}) {
			t.Errorf("asked for %v", got)
		}
	},
	"R2.2-2": func(t *testing.T) {
		single := singleCA(t)
		a := single.get("operation=GetCACert")
		if cert, err := x509.ParseCertificate(a.body); err != nil || !cert.Equal(single.CA.Certificate) {
			t.Errorf("one certificate: %v, %v", cert, err)
		}
		r := standard(t)
		certificates, err := cms.ParseCertificates(r.get("operation=GetCACert").body, cms.Limits{Nesting: 32, Certificates: 16})
		if err != nil || len(certificates) != 4 {
			t.Errorf("several certificates: %d, %v", len(certificates), err)
		}
	},
	"R2.2-3": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		var err error
		if c.CA, err = c.GetCACert(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.answer["GetCACert"] = answers(http.StatusNotFound, "text/plain", "")
		r.enrol(c, enrolment(t))
	},
	"R2.2-4": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		enrolPinnedTo := func(digest []byte) error {
			var err error
			if c.VerifyCA, err = scep.PinCA(hex.EncodeToString(digest)); err != nil {
				t.Fatal(err)
			}
			_, err = c.Enrol(t.Context(), enrolment(t))
			return err
		}
		sum256, sum1 := sha256.Sum256(r.CA.Certificate.Raw), sha1.Sum(r.CA.Certificate.Raw)
		for _, digest := range [][]byte{sum256[:], sum1[:]} {
			if err := enrolPinnedTo(digest); err != nil {
				t.Error(err)
			}
		}
		sent := len(p.of("PKIOperation"))
		sum256[31] ^= 1
		var wrong *scep.CACertificateError
		if err := enrolPinnedTo(sum256[:]); !errors.As(err, &wrong) || len(p.of("PKIOperation")) != sent {
			t.Errorf("wrong fingerprint: %v", err)
		}
	},
	"R2.2-5": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		c.VerifyCA = nil
		if _, err := c.Enrol(t.Context(), enrolment(t)); !errors.Is(err, scep.ErrCANotTrusted) {
			t.Errorf("got %v", err)
		}
		if len(p.of("PKIOperation")) != 0 {
			t.Error("a message was sent")
		}
	},
	"R2.2-6": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		intermediate := *r.CA.Certificate
		intermediate.NotAfter = time.Now().Add(-time.Minute)
		root := sceptest.CA{Certificate: namesake(t, r.CA.Root, 3), Key: sceptest.RSAKey(t, 3)}
		expired, err := root.Issue(&intermediate, r.CA.Certificate.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		for name, issuing := range map[string]*x509.Certificate{"expired": expired, "foreign": namesake(t, r.CA.Certificate, 2)} {
			chain := []*x509.Certificate{r.Identity().Active.Signing.Certificate, r.Identity().Active.Encryption.Certificate, issuing, root.Certificate}
			p.answer["GetCACert"] = answers(http.StatusOK, "application/x-x509-ca-ra-cert", string(bundle(t, chain...)))
			var bad *scep.CACertificateError
			if _, err := c.Enrol(t.Context(), enrolment(t)); !errors.As(err, &bad) {
				t.Errorf("%s intermediate: %v", name, err)
			}
		}
		if len(p.of("PKIOperation")) != 0 {
			t.Error("a message was sent")
		}
	},
	"R2.3-1": func(t *testing.T) {
		first := firstRequest(t, enrolment(t))
		if first.MessageType != scep.PKCSReq || !first.SignedByCSRKey() || first.Signer.CheckSignature(
			first.Signer.SignatureAlgorithm, first.Signer.RawTBSCertificate, first.Signer.Signature) != nil {
			t.Errorf("%v signed by %v", first.MessageType, first.Signer.Subject)
		}
	},
	"R2.3-2": func(t *testing.T) {
		if got := firstRequest(t, enrolment(t)).Signer.KeyUsage; got != signAndEncrypt {
			t.Errorf("RSA key usage %b", got)
		}
		r := issues(t, scep.Settings{PasswordRecipient: true})
		c, p := r.client()
		e := enrolment(t)
		e.Key = ecKey(t)
		r.enrol(c, e)
		signer, _, err := p.messages()[0].SignerCertificate()
		if err != nil || signer.KeyUsage != x509.KeyUsageDigitalSignature {
			t.Errorf("EC key usage %b (%v)", signer.KeyUsage, err)
		}
		r = standard(t)
		m := r.message()
		m.Signer = sceptest.SelfSigned(t, &x509.Certificate{Subject: pkix.Name{CommonName: "no usage"}}, device(t))
		r.ask(m).want(scep.StatusSuccess)
	},
	"R2.3-3": func(t *testing.T) {
		first := firstRequest(t, enrolment(t))
		if !bytes.Equal(first.Signer.RawSubject, first.CSR.RawSubject) || !bytes.Equal(first.Signer.RawSubjectPublicKeyInfo, first.CSR.RawSubjectPublicKeyInfo) {
			t.Errorf("signed by %v, for %v", first.Signer.Subject, first.CSR.Subject)
		}
		r := standard(t)
		m := r.message()
		m.Signer = sceptest.SelfSigned(t, &x509.Certificate{Subject: pkix.Name{CommonName: "91B0C1B4"}}, device(t))
		r.ask(m).want(scep.StatusSuccess)
	},
	"R2.3-4": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		first := r.enrol(c, enrolment(t)).Certificate
		r.renew(c, renewal(t, first, sceptest.RSAKey(t, 2)))
		second := p.requests(r)[1]
		if second.MessageType != scep.RenewalReq || !second.Signer.Equal(first) {
			t.Errorf("%v signed by %v", second.MessageType, second.Signer.Subject)
		}
		p.answer["GetCACaps"] = answers(http.StatusOK, "text/plain", "AES\nSHA-256\n") // it does not renew
		r.renew(c, renewal(t, first, sceptest.RSAKey(t, 2)))
		if third := p.requests(r)[2]; third.MessageType != scep.PKCSReq {
			t.Errorf("%v without Renewal", third.MessageType)
		}
	},
	"R2.3-6": func(t *testing.T) {
		r := standard(t)
		c, _ := r.client()
		first := r.enrol(c, enrolment(t)).Certificate
		r.enrol(c, renewal(t, first, sceptest.RSAKey(t, 2))) // signed with the certificate
		r.enrol(c, enrolment(t))                             // as if there were none
	},
	"R2.3-7": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Settings: tolerant, Challenge: password, Pending: 2})
		c, p := r.client()
		first := r.enrol(c, enrolment(t)).Certificate
		r.renew(c, renewal(t, first, sceptest.RSAKey(t, 2)))
		requests := p.requests(r)
		if len(requests) != 6 {
			t.Fatalf("%d messages", len(requests))
		}
		for n, request := range requests {
			if begun := requests[n/3*3]; !request.Signer.Equal(begun.Signer) {
				t.Errorf("message %d, %v, is signed by another than %v", n, request.MessageType, begun.MessageType)
			}
		}
	},
	"R2.3-8": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		r.enrol(c, enrolment(t))
		if signer, _, err := p.messages()[0].SignerCertificate(); err != nil || !bytes.Equal(signer.RawSubjectPublicKeyInfo, spki(t, device(t))) {
			t.Errorf("signer %v, %v", signer, err)
		}
		good := r.message().Bytes(t)
		r.askDER(edit(t, good, drop, signedCertificates...)).wantFail(scep.BadMessageCheck)
		for _, chain := range [][]*x509.Certificate{{r.CA.Certificate, r.CA.Root}, {r.CA.Root, r.CA.Certificate}} {
			prepend := func(v asn1.RawValue) []byte {
				return element(0xa0, slices.Concat(chain[0].Raw, v.Bytes, chain[1].Raw))
			}
			r.askDER(edit(t, good, prepend, signedCertificates...)).want(scep.StatusSuccess)
		}
	},
	"R2.3-9": func(t *testing.T) {
		r := standard(t)
		m := r.message()
		old, err := r.CA.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "device"}}, device(t).Public())
		if err != nil {
			t.Fatal(err)
		}
		m.Type, m.Signer = "17", old
		m.Content = sceptest.CSR(t, sceptest.RSAKey(t, 2), sceptest.CSROptions{})
		chained := edit(t, m.Bytes(t), func(v asn1.RawValue) []byte {
			return element(0xa0, slices.Concat(v.Bytes, r.CA.Certificate.Raw))
		}, signedCertificates...)
		recipients := r.askDER(chained).want(scep.StatusSuccess).envelope().Recipients
		if len(recipients) != 1 || !recipients[0].ID.Matches(old) {
			t.Errorf("recipients %v", recipients)
		}
	},
	"R2.4-2": func(t *testing.T) {
		if got := firstRequest(t, enrolment(t)).ChallengePassword; got != password {
			t.Errorf("challengePassword %q", got)
		}
		r := standard(t)
		m := r.message()
		m.Content = sceptest.CSR(t, device(t), sceptest.CSROptions{})
		r.ask(m).wantFail(scep.BadRequest)
		if r.Issued() != 0 {
			t.Error("a certificate was issued")
		}
	},
	"R2.4-3": func(t *testing.T) {
		r := standard(t)
		c, _ := r.client()
		first := r.enrol(c, enrolment(t)).Certificate
		with := renewal(t, first, sceptest.RSAKey(t, 2))
		with.ChallengePassword = password
		r.renew(c, with)
		r.renew(c, renewal(t, first, sceptest.RSAKey(t, 2)))
	},
	"R2.4-4": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		r.renew(c, renewal(t, r.enrol(c, enrolment(t)).Certificate, sceptest.RSAKey(t, 2)))
		if csr := p.requests(r)[1].CSR; bytes.Contains(csr.RawTBSCertificateRequest, encodedOID(t, challengePassword)) {
			t.Error("the CSR of the renewal has a challengePassword")
		}
	},
	"R2.4-8": func(t *testing.T) {
		refuses, holds := decides(t, scep.Fail(scep.BadRequest, "")), decides(t, scep.Pending())
		refuses.ask(refuses.message()).want(scep.StatusFailure)
		holds.ask(holds.message()).want(scep.StatusPending)
	},
	"R2.5-1": func(t *testing.T) { renewsWith(t, 2) },
	"R2.5-2": func(t *testing.T) { renewsWith(t, 1) },
	"R2.5-3": func(t *testing.T) {
		for last, want := range map[*scep.Reply]scep.PKIStatus{
			scep.Fail(scep.BadRequest, "denied"): scep.StatusFailure,
			nil:                                  scep.StatusSuccess,
		} {
			c, p := approvedAfter(t, 3, last).client()
			result, err := c.Enrol(t.Context(), enrolment(t))
			if err != nil || result.Status != want || len(p.of("PKIOperation")) != 4 {
				t.Errorf("%v after %d messages (%v), want %v", result, len(p.of("PKIOperation")), err, want)
			}
		}
	},
	"R2.5.1-1": func(t *testing.T) {
		r := standard(t)
		for name, trouble := range map[string]responder{
			"FAILURE":   func(s seen) *http.Response { return pkiMessage(failure(r, r.open(s.body)).bytes(t)) },
			"no answer": func(seen) *http.Response { return answer(http.StatusBadGateway, "text/html", nil) },
			"PENDING":   func(s seen) *http.Response { return pkiMessage(r.pending(r.open(s.body)).bytes(t)) },
		} {
			c, p := r.client()
			c.PollLimit = 2
			p.answer["PKIOperation"] = trouble
			if result, err := c.Enrol(t.Context(), enrolment(t)); err == nil && result.Certificate != nil {
				t.Errorf("%s: a certificate", name)
			}
			delete(p.answer, "PKIOperation")
			r.enrol(c, enrolment(t))
			messages := p.messages()
			first, last := messages[0], messages[len(messages)-1]
			if id := value(t, last, transactionID, asn1.TagPrintableString); id == value(t, first, transactionID, asn1.TagPrintableString) {
				t.Errorf("%s: the transaction goes on as %s", name, id)
			}
			if value(t, last, messageType, asn1.TagPrintableString) != "19" {
				t.Errorf("%s: not begun anew", name)
			}
		}
		c, _ := newRig(t, sceptest.Options{Challenge: password, Pending: 1 << 30}).client()
		c.PollLimit = -1
		limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Enrol(limited, enrolment(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("time-out: %v", err)
		}
	},
	"R2.6-1": func(t *testing.T) {
		off := standard(t)
		off.ask(off.ofType("21", serialOf(t, off.CA.Certificate))).wantFail(scep.BadRequest)
		// The Backend knows who asks, and for what.
		var asked *scep.Request
		on := newRig(t, sceptest.Options{Settings: scep.Settings{GetCert: true}, Backend: backend(func(r *scep.Request) (*scep.Reply, error) {
			asked = r
			return scep.Fail(scep.BadCertID, "not yours"), nil
		})})
		m := on.ofType("21", serialOf(t, on.CA.Certificate))
		on.ask(m).wantFail(scep.BadCertID)
		if !asked.Signer.Equal(m.Signer) || asked.IssuerAndSerial.SerialNumber.Cmp(on.CA.Certificate.SerialNumber) != 0 {
			t.Errorf("asked %+v", asked.IssuerAndSerial)
		}
	},
	"R2.7-1": func(t *testing.T) {
		off := standard(t)
		off.ask(off.ofType("22", serialOf(t, off.CA.Certificate))).wantFail(scep.BadRequest)
		on := answersCRL(t)
		on.ask(on.ofType("22", serialOf(t, on.CA.Certificate))).want(scep.StatusSuccess)
	},
	"R2.7-2": func(t *testing.T) {
		r := answersCRL(t)
		inner := r.ask(r.ofType("22", serialOf(t, r.CA.Certificate))).opened(device(t))
		signedData := decode(t, at(t, inner, 1, 0).Bytes)
		for _, v := range signedData {
			if v.Class == asn1.ClassContextSpecific && v.Tag == 0 {
				t.Errorf("certificates in %x", inner)
			}
		}
	},
	"R2.9-1": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Challenge: password}) // the zero value of Settings
		c, p := r.client()
		p.answer["GetCACaps"] = answers(http.StatusOK, "text/plain", "SCEPStandard\n")
		r.enrol(c, enrolment(t))
		request := p.requests(r)[0]
		if p.of("PKIOperation")[0].method != http.MethodPost || request.Cipher != scep.AES128CBC || request.Digest != crypto.SHA256 {
			t.Errorf("%v, %v", request.Cipher, request.Digest)
		}
	},
	"R2.9-2": func(t *testing.T) {
		for keyword, use := range map[string]func(*sceptest.Message){
			"DES3":  func(m *sceptest.Message) { m.Cipher = scep.TripleDESCBC },
			"SHA-1": func(m *sceptest.Message) { m.Digest = crypto.SHA1 },
		} {
			for _, settings := range []scep.Settings{{}, {AllowSHA1: true, AllowTripleDES: true}} {
				r := newRig(t, sceptest.Options{Settings: settings, Challenge: password})
				m := r.message()
				use(&m)
				accepted := r.ask(m).text(pkiStatus) == "0"
				announced := slices.Contains(keywords(r), keyword)
				if accepted != settings.AllowSHA1 || announced != accepted {
					t.Errorf("%s with %+v: announced %v, accepted %v", keyword, settings, announced, accepted)
				}
			}
		}
		r := standard(t)
		c, _ := r.client()
		c.Method = scep.MethodGET
		r.enrol(c, enrolment(t))
	},
	"R2.9-3": func(t *testing.T) {
		r := standard(t)
		des := func(r rig) sceptest.Message { m := r.message(); m.Cipher = scep.DESCBC; return m }
		md5 := func(r rig) sceptest.Message { m := r.message(); m.Digest = crypto.MD5; return m }
		r.ask(des(r)).wantFail(scep.BadAlg)
		r.ask(md5(r)).wantFail(scep.BadAlg)
		if r.Issued() != 0 {
			t.Error("a certificate was issued")
		}
		// The legacy switches: read, not announced, not written.
		legacy := newRig(t, sceptest.Options{Settings: scep.Settings{AllowDES: true, AllowMD5: true}, Challenge: password})
		if got := legacy.ask(des(legacy)).want(scep.StatusSuccess).envelope().Cipher(); got != scep.AES128CBC {
			t.Errorf("DES is answered with %v", got)
		}
		if got, err := legacy.ask(md5(legacy)).want(scep.StatusSuccess).Digest(); got != crypto.SHA256 {
			t.Errorf("MD5 is answered with %v, %v", got, err)
		}
		if !slices.Equal(keywords(legacy), keywords(newRig(t, sceptest.Options{}))) {
			t.Errorf("announced: %v", keywords(legacy))
		}
	},
}

var challengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}
