package rfc8894_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"net/http"
	"slices"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var replyCases = map[string]func(*testing.T){
	"R3.3.2-1": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Settings: tolerant, Challenge: password, Pending: 3})
		m := r.message()
		r.ask(m).want(scep.StatusPending)
		for range 2 { // each with a nonce of its own, and nothing kept of the answers
			p := r.poll(m)
			if got := r.ask(p).want(scep.StatusPending).octets(recipientNonce); got != string(p.SenderNonce) {
				t.Errorf("recipientNonce %x", got)
			}
		}
		r.ask(r.poll(m)).want(scep.StatusSuccess)
	},
	"R3.3.2.1-1": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Settings: tolerant, Challenge: password, Pending: 1})
		m := r.message()
		r.ask(m).want(scep.StatusPending)
		wantLeaf(t, r.ask(r.poll(m)), device(t))
		r = standard(t)
		wantLeaf(t, r.ask(r.message()), device(t))
		old, err := r.CA.Issue(&x509.Certificate{}, device(t).Public())
		if err != nil {
			t.Fatal(err)
		}
		m = r.ofType("17", sceptest.CSR(t, sceptest.RSAKey(t, 2), sceptest.CSROptions{}))
		m.Signer = old
		if cert := r.ask(m).want(scep.StatusSuccess).certificates(device(t))[0]; !bytes.Equal(cert.RawSubjectPublicKeyInfo, spki(t, sceptest.RSAKey(t, 2))) {
			t.Error("the renewal's answer holds another certificate")
		}
	},
	"R3.3.2.1-2": func(t *testing.T) {
		r := withChain(t)
		if got := r.ask(r.message()).want(scep.StatusSuccess).certificates(device(t)); len(got) != 3 {
			t.Errorf("%d certificates", len(got))
		}
		c, _ := r.client()
		if got := r.enrol(c, enrolment(t)); len(got.Chain) != 2 {
			t.Errorf("the client sees a chain of %d", len(got.Chain))
		}
	},
	"R3.3.2.1-3": func(t *testing.T) {
		r := withChain(t)
		wantLeaf(t, r.ask(r.message()), device(t))
	},
	"R3.3.2.1-4": func(t *testing.T) {
		r := answersCert(t)
		got := r.ask(r.ofType("21", serialOf(t, r.CA.Certificate))).want(scep.StatusSuccess).certificates(device(t))
		if len(got) != 1 || !got[0].Equal(r.CA.Certificate) {
			t.Errorf("got %d certificates", len(got))
		}
	},
	"R3.3.2.1-5": func(t *testing.T) {
		r := answersCRL(t)
		inner := r.ask(r.ofType("22", serialOf(t, r.CA.Certificate))).want(scep.StatusSuccess).opened(device(t))
		crls := at(t, inner, 1, 0, 3)
		if crls.Class != asn1.ClassContextSpecific || crls.Tag != 1 {
			t.Errorf("field %d of class %d", crls.Tag, crls.Class)
		}
		if crl, err := x509.ParseRevocationList(crls.Bytes); err != nil || crl.CheckSignatureFrom(r.CA.Certificate) != nil {
			t.Errorf("CRL %v, %v", crl, err)
		}
	},
	"R3.3.2.2-1": func(t *testing.T) {
		r := standard(t)
		for info, spoil := range map[scep.FailInfo][]func(*sceptest.Message){
			scep.BadAlg: {
				func(m *sceptest.Message) { m.Digest = crypto.MD5 },
				func(m *sceptest.Message) { m.Cipher = scep.DESCBC },
				func(m *sceptest.Message) { m.Signer, m.SignerKey = byEC(t) },
			},
			scep.BadMessageCheck: {
				func(m *sceptest.Message) { m.SignerKey = sceptest.RSAKey(t, 2) },
				func(m *sceptest.Message) {
					m.Message = func(der []byte) []byte { return edit(t, der, drop, signedCertificates...) }
				},
			},
			scep.BadRequest: {
				func(m *sceptest.Message) { m.Type = "99" },
				func(m *sceptest.Message) { m.Recipient = m.Signer },
				func(m *sceptest.Message) { m.Content = []byte("hello") },
				func(m *sceptest.Message) { m.Content = sceptest.CSR(t, device(t), sceptest.CSROptions{}) },
			},
			scep.BadCertID: {func(m *sceptest.Message) {
				m.Type, m.Content = "20", names(r.CA.Certificate.RawSubject, m.Signer.RawSubject)
			}},
		} {
			for n, change := range spoil {
				m := r.message()
				change(&m)
				if got := r.ask(m).want(scep.StatusFailure).text(failInfo); got != decimal(int(info)) {
					t.Errorf("%v, %d: failInfo %s", info, n, got)
				}
			}
		}
	},
	"R3.3.2.2-2": func(t *testing.T) {
		for text, want := range map[string]bool{"only cards with a chip": true, "": false} {
			r := decides(t, scep.Fail(scep.BadRequest, text))
			p := r.ask(r.message())
			if p.has(failInfoText) != want || p.explanation() != text {
				t.Errorf("%q: %v, %q", text, p.has(failInfoText), p.explanation())
			}
		}
	},
	"R3.3.2.2-3": wantNoEnvelope(scep.Fail(scep.BadAlg, ""), scep.Fail(scep.BadCertID, "no such certificate")),
	"R3.3.2.3-1": wantNoEnvelope(scep.Pending()),
	"R3.3.3-1": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Challenge: password, Pending: 1})
		c, p := r.client()
		r.enrol(c, enrolment(t))
		request, poll := p.requests(r)[0], p.requests(r)[1]
		if !bytes.Equal(poll.Subject.Issuer, r.CA.Certificate.RawSubject) || !bytes.Equal(poll.Subject.Subject, request.CSR.RawSubject) {
			t.Errorf("polls for %x of %x", poll.Subject.Subject, poll.Subject.Issuer)
		}
	},
	"R3.3.3-2": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Challenge: password, Pending: 1})
		m := r.message()
		r.ask(m).want(scep.StatusPending)
		p := r.poll(m)
		p.Content = names(name(t, "another CA"), name(t, "another device"))
		r.ask(p).want(scep.StatusSuccess)
	},
	"R3.4-1": func(t *testing.T) {
		r := standard(t)
		crl := answersCRL(t)
		for what, der := range map[string][]byte{
			"GetCACert":    r.get("operation=GetCACert").body,
			"SUCCESS":      r.ask(r.message()).want(scep.StatusSuccess).opened(device(t)),
			"GetCRL reply": crl.ask(crl.ofType("22", serialOf(t, crl.CA.Certificate))).opened(device(t)),
		} {
			wantOID(t, at(t, der, 0), idSignedData)
			fields := decode(t, at(t, der, 1, 0).Bytes)
			signers := fields[len(fields)-1]
			if !bytes.Equal(fields[2].Bytes, encodedOID(t, idData)) || !bytes.Equal(signers.FullBytes, []byte{asn1.TagSet | 0x20, 0}) {
				t.Errorf("%s: content %x, signers %x", what, fields[2].Bytes, signers.FullBytes)
			}
			for _, field := range fields[3 : len(fields)-1] {
				kind := map[int]string{0: "certificates", 1: "CRLs"}[field.Tag]
				if wanted := what == "GetCRL reply" == (kind == "CRLs"); wanted != (len(field.Bytes) > 0) {
					t.Errorf("%s: %d octets of %s", what, len(field.Bytes), kind)
				}
			}
		}
	},
}

// withChain is an RA that sends the chain along.
func withChain(t *testing.T) rig {
	t.Helper()
	ca := sceptest.NewCA(t)
	return newRig(t, sceptest.Options{CA: ca, Backend: backend(func(r *scep.Request) (*scep.Reply, error) {
		cert, err := issueTo(ca, r)
		return scep.Success(cert, ca.Certificate, ca.Root), err
	})})
}

func byEC(t *testing.T) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := ecKey(t)
	return sceptest.SelfSigned(t, nil, key), key
}

// wantLeaf wants the certificate of a key first, and no other that is not a CA's.
func wantLeaf(t *testing.T, p reply, key crypto.Signer) {
	t.Helper()
	for n, cert := range p.want(scep.StatusSuccess).certificates(key) {
		if own := bytes.Equal(cert.RawSubjectPublicKeyInfo, spki(t, key)); own != (n == 0) || cert.IsCA == own {
			t.Errorf("certificate %d is %v", n, cert.Subject)
		}
	}
}

var capabilityCases = map[string]func(*testing.T){
	"R3.5-1": func(t *testing.T) {
		a := standard(t).get("operation=GetCACaps")
		if a.status != http.StatusOK || len(a.body) == 0 {
			t.Errorf("HTTP %d %q", a.status, a.body)
		}
	},
	"R3.5.2-1": func(t *testing.T) {
		r := standard(t)
		if !slices.Contains(keywords(r), "SHA-384") {
			t.Errorf("announced: %v", keywords(r))
		}
		c, _ := r.client()
		r.enrol(c, enrolment(t))
	},
	"R3.5.2-2": capabilitiesRead("Example.com-Frobnicate\nAES\n\n<html>\nSHA-1024\nPOSTPKIOperation\nSHA-256\n"),
	"R3.5.2-3": func(t *testing.T) {
		r, _ := rollsOver(t)
		want := []string{
			"AES", "DES3", "GetNextCACert", "POSTPKIOperation", "Renewal", "SCEPStandard",
			"SHA-1", "SHA-256", "SHA-384", "SHA-512",
		}
		if got := keywords(r); !slices.Equal(got, want) {
			t.Errorf("announced: %q, want %q", got, want)
		}
	},
	"R3.5.2-4": capabilitiesRead("aes\nsha-256\npostpkioperation\n"),
	"R3.5.2-5": func(t *testing.T) {
		for _, list := range []string{
			"AES\r\nSHA-256\r\nPOSTPKIOperation\r\n", "AES\nSHA-256\nPOSTPKIOperation\n",
			"AES\r\nSHA-256\r\nPOSTPKIOperation", "AES\nSHA-256\nPOSTPKIOperation",
		} {
			capabilitiesRead(list)(t)
		}
	},
	"R3.5.2-6": func(t *testing.T) {
		for list, want := range map[string]used{
			"AES\nDES3\nSHA-1\nSHA-256": {scep.AES128CBC, crypto.SHA256, http.MethodGet},
			"DES3\nSHA-1":               {scep.TripleDESCBC, crypto.SHA1, http.MethodGet},
			"AES\nSHA-1":                {scep.AES128CBC, crypto.SHA1, http.MethodGet},
			"DES3\nSHA-256":             {scep.TripleDESCBC, crypto.SHA256, http.MethodGet},
		} {
			wantUsed(t, answers(http.StatusOK, "text/plain", list), want)
		}
	},
	"R3.5.2-7": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		r.enrol(c, enrolment(t))
		request := p.requests(r)[0]
		if request.Cipher != scep.AES128CBC || request.Digest != crypto.SHA256 {
			t.Errorf("client: %v, %v", request.Cipher, request.Digest)
		}
		p2 := r.ask(r.message()).want(scep.StatusSuccess)
		if digest, err := p2.Digest(); digest != crypto.SHA256 || p2.envelope().Cipher() != scep.AES128CBC {
			t.Errorf("server: %v, %v, %v", p2.envelope().Cipher(), digest, err)
		}
	},
	"R3.5.2-8": func(t *testing.T) {
		if got := keywords(newRig(t, sceptest.Options{})); len(got) == 0 {
			t.Error("nothing is announced")
		}
	},
	"R3.5.2-9": func(t *testing.T) {
		oldest := used{scep.TripleDESCBC, crypto.SHA1, http.MethodGet}
		for _, nothing := range []responder{
			answers(http.StatusOK, "text/plain", ""),
			answers(http.StatusNotFound, "text/html", "<html>AES</html>"),
			answers(http.StatusInternalServerError, "text/plain", "AES"),
			answers(http.StatusBadRequest, "text/plain", ""),
		} {
			wantUsed(t, nothing, oldest)
		}
	},
	"R3.5.2-10": func(t *testing.T) {
		if a := standard(t).get("operation=GetCACaps"); a.mediaType != "text/plain" {
			t.Errorf("Content-Type %q", a.mediaType)
		}
	},
	"R3.5.2-11": func(t *testing.T) {
		for _, mediaType := range []string{"application/octet-stream", "text/html; charset=utf-16", "", "no/type/at all"} {
			wantUsed(t, answers(http.StatusOK, mediaType, "SCEPStandard\n"), used{scep.AES128CBC, crypto.SHA256, http.MethodPost})
		}
	},
}

// used is how a client sends.
type used struct {
	cipher scep.Cipher
	digest crypto.Hash
	method string
}

// wantUsed looks what a client makes of an answer to GetCACaps.
func wantUsed(t *testing.T, caps responder, want used) {
	t.Helper()
	r := standard(t)
	c, p := r.client()
	p.answer["GetCACaps"] = caps
	r.enrol(c, enrolment(t))
	request := p.requests(r)[0]
	if got := (used{request.Cipher, request.Digest, p.of("PKIOperation")[0].method}); got != want {
		t.Errorf("used %v, want %v", got, want)
	}
}

// capabilitiesRead wants a list to be understood as AES, SHA-256 and POST.
func capabilitiesRead(list string) func(*testing.T) {
	return func(t *testing.T) {
		wantUsed(t, answers(http.StatusOK, "text/plain", list), used{scep.AES128CBC, crypto.SHA256, http.MethodPost})
	}
}
