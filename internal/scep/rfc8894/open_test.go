package rfc8894_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var signingTime = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}

var openCases = map[string]func(*testing.T){
	"A1": func(t *testing.T) {
		nonces := map[string]bool{}
		for _, tell := range everyStatus(t) {
			nonces[answeredWith(t, tell).octets(senderNonce)] = true
		}
		if len(nonces) != 3 {
			t.Errorf("%d different nonces", len(nonces))
		}
		r := standard(t)
		c, _ := r.replies(func(request *scep.Request) certRep {
			f := failure(r, request)
			f.senderNonce = nil
			return f
		})
		if result, err := c.Enrol(t.Context(), enrolment(t)); err != nil || result.Status != scep.StatusFailure {
			t.Errorf("without a senderNonce: %+v, %v", result, err)
		}
	},
	"A2": func(t *testing.T) {
		r := standard(t)
		p := r.ask(r.message()).want(scep.StatusSuccess)
		if len(p.Content) == 0 || len(p.Certificates) != 1 {
			t.Errorf("content %x, %d certificates", p.Content, len(p.Certificates))
		}
	},
	"A3": func(t *testing.T) {
		p := answeredWith(t, scep.Pending())
		if v := at(t, p.der, signedContent...); !bytes.Equal(v.FullBytes, []byte{0xa0, 2, asn1.TagOctetString, 0}) {
			t.Errorf("eContent %x", v.FullBytes)
		}
		r := standard(t)
		c, tap := r.client()
		tap.answer["PKIOperation"] = func(s seen) *http.Response {
			return pkiMessage(edit(t, failure(r, r.open(s.body)).bytes(t), drop, signedContent...))
		}
		if result, err := c.Enrol(t.Context(), enrolment(t)); err != nil || result.Status != scep.StatusFailure {
			t.Errorf("absent: %+v, %v", result, err)
		}
	},
	"A4": func(t *testing.T) {
		r := standard(t)
		for _, tag := range []byte{asn1.TagUTF8String, asn1.TagIA5String, asn1.TagT61String} {
			m := r.message()
			m.TextTag, m.TransactionID = tag, "id_with*strange@characters"
			if got := r.ask(m).want(scep.StatusSuccess).text(transactionID); got != m.TransactionID {
				t.Errorf("transactionID %q", got)
			}
		}
		for n, accepted := range map[int]bool{1: true, 8: true, 64: true, 65: false} {
			m := r.message()
			m.SenderNonce = bytes.Repeat([]byte{7}, n)
			if a := r.post(m.Bytes(t)); (a.status == http.StatusOK) != accepted {
				t.Errorf("a nonce of %d: HTTP %d", n, a.status)
			} else if accepted && r.answered(a).octets(recipientNonce) != string(m.SenderNonce) {
				t.Errorf("a nonce of %d comes back as another", n)
			}
		}
		m := r.message()
		m.TransactionID = strings.Repeat("x", 257)
		if a := r.post(m.Bytes(t)); a.status != http.StatusBadRequest {
			t.Errorf("a transactionID of 257: HTTP %d", a.status)
		}
	},
	"A5": func(t *testing.T) {
		for _, shape := range []scep.ChainShape{scep.RAAndChain, scep.RAAndIssuer} {
			r := newRig(t, sceptest.Options{Settings: scep.Settings{ChainShape: shape}})
			if got, want := len(parse(t, r.get("operation=GetCACert").body).Certificates), 4-int(shape); got != want {
				t.Errorf("%d certificates, want %d", got, want)
			}
		}
		r := standard(t)
		active := r.Identity().Active
		all := []*x509.Certificate{r.CA.Root, active.Encryption.Certificate, r.CA.Certificate, active.Signing.Certificate}
		ca, err := scep.ParseCACertificates(bundle(t, all...))
		if err != nil || !ca.Signing.Equal(active.Signing.Certificate) || !ca.Encryption.Equal(active.Encryption.Certificate) || !ca.CA.Equal(r.CA.Certificate) {
			t.Errorf("in another order: %+v, %v", ca, err)
		}
		if single, err := scep.ParseCACertificates(bundle(t, r.CA.Root)); err != nil || !single.Encryption.Equal(r.CA.Root) {
			t.Errorf("a single one in a SignedData: %v", err)
		}
	},
	"A6": func(t *testing.T) {
		r := withChain(t)
		wantLeaf(t, r.ask(r.message()), device(t))
		ca := r.CA
		last := newRig(t, sceptest.Options{CA: ca, Backend: backend(func(r *scep.Request) (*scep.Reply, error) {
			cert, err := issueTo(ca, r)
			return scep.Success(ca.Root, ca.Certificate, cert), err
		})})
		c, _ := last.client()
		if got := last.enrol(c, enrolment(t)); !bytes.Equal(got.Certificate.RawSubjectPublicKeyInfo, spki(t, device(t))) || len(got.Chain) != 2 {
			t.Errorf("got %v and %d others", got.Certificate.Subject, len(got.Chain))
		}
	},
	"A7": func(t *testing.T) {
		for _, tell := range everyStatus(t) {
			r := decides(t, tell)
			signer, _, err := r.ask(r.message()).SignerCertificate()
			if err != nil || !signer.Equal(r.Identity().Active.Signing.Certificate) {
				t.Errorf("%v: %v", tell.Status, err)
			}
		}
	},
	"A8": func(t *testing.T) {
		r := standard(t)
		want := r.get("operation=GetCACert").body
		for _, query := range []string{
			"operation=GetCACert&message=", "operation=GetCACert&message=CAIdentifier", "message=x&operation=GetCACert",
			"operation=getcacert", "OPERATION=GETCACERT", "profile=a%zz&operation=GetCACert", "operation=GetCACert&operation=Other",
		} {
			if a := r.get(query); !bytes.Equal(a.body, want) {
				t.Errorf("%s: HTTP %d", query, a.status)
			}
		}
		r.answered(r.do(http.MethodPost, r.URL, "", r.message().Bytes(t))).want(scep.StatusSuccess)
	},
	"A9": func(t *testing.T) {
		r := standard(t)
		bad := r.message()
		bad.Content = []byte("hello")
		r.ask(bad).wantFail(scep.BadRequest) // HTTP 200
		for name, test := range map[string]struct {
			method, query string
			body          []byte
			want          int
		}{
			"no message":        {http.MethodPost, "operation=PKIOperation", []byte("<html>"), http.StatusBadRequest},
			"no base64":         {http.MethodGet, "operation=PKIOperation&message=%%%", nil, http.StatusBadRequest},
			"too large":         {http.MethodPost, "operation=PKIOperation", make([]byte, 257<<10), http.StatusRequestEntityTooLarge},
			"unknown operation": {http.MethodGet, "operation=GetCARoot", nil, http.StatusBadRequest},
			"another method":    {http.MethodPut, "operation=PKIOperation", nil, http.StatusMethodNotAllowed},
			"HEAD":              {http.MethodHead, "operation=GetCACert", nil, http.StatusOK},
		} {
			if a := r.do(test.method, r.URL+"?"+test.query, "", test.body); a.status != test.want {
				t.Errorf("%s: HTTP %d, want %d", name, a.status, test.want)
			}
		}
		away := newRig(t, sceptest.Options{Backend: backend(func(*scep.Request) (*scep.Reply, error) {
			return nil, &scep.UnavailableError{RetryAfter: 7 * time.Second}
		})})
		if a := away.post(away.message().Bytes(t)); a.status != http.StatusServiceUnavailable {
			t.Errorf("nothing decided: HTTP %d", a.status)
		}
	},
	"A10": func(t *testing.T) {
		r := standard(t)
		if a := r.get("operation=GetCACaps"); !bytes.HasSuffix(a.body, []byte("\n")) {
			t.Errorf("%q", a.body)
		}
		capabilitiesRead("\ufeffSCEPStandard")(t)
		if a := r.get("operation=GetNextCACert"); a.status != http.StatusNotFound || slices.Contains(keywords(r), "GetNextCACert") {
			t.Errorf("no next CA: HTTP %d, announced %v", a.status, keywords(r))
		}
		c, _ := r.client()
		var status *scep.HTTPError
		if _, err := c.GetNextCACert(t.Context()); !errors.As(err, &status) {
			t.Errorf("no next CA: %v", err)
		}
	},
	"A11": func(t *testing.T) {
		r, next := rollsOver(t)
		written := r.get("operation=GetNextCACert").body
		wantOID(t, at(t, written, signedContentType...), idData)
		wantOID(t, at(t, at(t, written, 1, 0, 2, 1, 0).Bytes, 0), idSignedData)
		c, p := r.client()
		signer := r.Identity().Active.Signing
		whole := bundle(t, next)
		bare := at(t, whole, 1, 0).FullBytes
		for name, content := range map[string][]byte{"ContentInfo": whole, "bare SignedData": bare} {
			body := certRep{signer: signer, content: content}.bytes(t)
			p.answer["GetNextCACert"] = answers(http.StatusOK, "application/x-x509-next-ca-cert", string(body))
			if got, err := c.GetNextCACert(t.Context()); err != nil || len(got) != 1 || !got[0].Equal(next) {
				t.Errorf("%s: %d certificates, %v", name, len(got), err)
			}
		}
		beside := edit(t, certRep{signer: signer}.bytes(t), func(v asn1.RawValue) []byte {
			return element(0xa0, slices.Concat(v.Bytes, next.Raw))
		}, signedCertificates...)
		p.answer["GetNextCACert"] = answers(http.StatusOK, "application/x-x509-next-ca-cert", string(beside))
		var bad *scep.ReplyError
		if _, err := c.GetNextCACert(t.Context()); !errors.As(err, &bad) {
			t.Errorf("beside the content: %v", err)
		}
	},
	"A12": func(t *testing.T) {
		r := issues(t, scep.Settings{PasswordRecipient: true, Renewal: true})
		key := ecKey(t)
		m := r.messageBy(key)
		m.Content = sceptest.CSR(t, key, sceptest.CSROptions{ChallengePassword: "pässwörd"})
		e := r.ask(m).want(scep.StatusSuccess).envelope()
		if plaintext, err := e.DecryptWithPassword(e.PasswordRecipients[0], []byte("pässwörd")); err != nil || !plaintext.Sound {
			t.Errorf("in UTF-8: %v", err)
		}
		m.Content = sceptest.CSR(t, key, sceptest.CSROptions{})
		for _, n := range []string{"17", "19"} {
			m.Type = n
			if text := r.ask(m).wantFail(scep.BadRequest).explanation(); !strings.Contains(text, "challenge password is needed") {
				t.Errorf("type %s without a password: %q", n, text)
			}
		}
		off := standard(t)
		off.ask(off.messageBy(key)).wantFail(scep.BadAlg)
	},
	"A13": func(t *testing.T) {
		r := standard(t)
		m := r.message()
		m.Signer = sceptest.SelfSigned(t, &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature}, device(t))
		wantRecipient(t, r.ask(m).want(scep.StatusSuccess).SignedData, m.Signer)
		// From RSA to EC: the signer is still RSA.
		c, _ := r.client()
		r.renew(c, renewal(t, r.enrol(c, enrolment(t)).Certificate, ecKey(t)))
	},
	"A14": func(t *testing.T) {
		r := standard(t)
		for _, digest := range []crypto.Hash{crypto.SHA1, crypto.SHA512} {
			for _, cipher := range []scep.Cipher{scep.TripleDESCBC, scep.AES256CBC} {
				m := r.message()
				m.Digest, m.Cipher, m.Transport = digest, cipher, scep.OAEPSHA256
				p := r.ask(m).want(scep.StatusSuccess)
				if got, err := p.Digest(); got != digest || p.envelope().Cipher() != cipher {
					t.Errorf("%v, %v are answered with %v, %v (%v)", cipher, digest, p.envelope().Cipher(), got, err)
				}
				wantText(t, at(t, p.Content, 1, 0, 1, 0, 2, 0), "1.2.840.113549.1.1.1")
			}
		}
	},
	"A15": func(t *testing.T) {
		r := standard(t)
		texts := map[string]bool{}
		for _, spoil := range []func(*sceptest.Message){
			func(m *sceptest.Message) { m.Content = []byte("no PKCS #10") },
			func(m *sceptest.Message) { m.Content = m.Content[:100] },
			func(m *sceptest.Message) {
				m.Envelope = func(der []byte) []byte { der[len(der)-1] ^= 1; return der } // the padding
			},
			func(m *sceptest.Message) {
				stranger := *m.Recipient
				stranger.PublicKey = sceptest.RSAKey(t, 3).Public() // the key
				m.Recipient = &stranger
			},
		} {
			m := r.message()
			spoil(&m)
			texts[r.ask(m).wantFail(scep.BadRequest).explanation()] = true
		}
		if len(texts) != 1 {
			t.Errorf("different answers: %v", texts)
		}
		m := r.message()
		m.Recipient = r.CA.Certificate
		if text := r.ask(m).wantFail(scep.BadRequest).explanation(); !strings.Contains(text, "GetCACert") {
			t.Errorf("unknown recipient: %q", text)
		}
	},
	"A18": func(t *testing.T) {
		for _, settings := range []scep.Settings{{}, {GetCert: true}, {GetCRL: true}} {
			r := newRig(t, sceptest.Options{Settings: settings, Backend: backend(
				func(*scep.Request) (*scep.Reply, error) { return scep.Fail(scep.BadCertID, "asked"), nil })})
			for n, allowed := range map[string]bool{"21": settings.GetCert, "22": settings.GetCRL} {
				p := r.ask(r.ofType(n, serialOf(t, r.CA.Certificate))).want(scep.StatusFailure)
				if asked := p.explanation() == "asked"; asked != allowed {
					t.Errorf("type %s with %+v: %q", n, settings, p.explanation())
				}
			}
		}
	},
	"A20": func(t *testing.T) {
		now := time.Now()
		at := func(when time.Time) sceptest.Message {
			m := standard(t).message()
			m.Extra = []cms.Attribute{{Type: signingTime, Value: element(asn1.TagUTCTime, []byte(when.UTC().Format("060102150405Z")))}}
			return m
		}
		for _, test := range []struct {
			limit time.Duration
			when  time.Time
			want  scep.PKIStatus
		}{
			{0, now.AddDate(-20, 0, 0), scep.StatusSuccess},
			{time.Hour, now.Add(time.Minute), scep.StatusSuccess},
			{time.Hour, now.AddDate(0, 0, -2), scep.StatusFailure},
		} {
			r := newRig(t, sceptest.Options{Challenge: password, Settings: scep.Settings{MaxSigningTimeSkew: test.limit}})
			m := at(test.when)
			m.Recipient = r.Identity().Active.Encryption.Certificate
			if p := r.ask(m).want(test.want); test.want == scep.StatusFailure {
				p.wantFail(scep.BadTime)
			}
		}
		r := standard(t)
		twice := func(v asn1.RawValue) []byte { return slices.Concat(v.FullBytes, v.FullBytes) }
		if a := r.post(edit(t, r.message().Bytes(t), twice, signerInfo...)); a.status != http.StatusBadRequest {
			t.Errorf("two signers: HTTP %d", a.status)
		}
		m := r.message()
		m.Content = sceptest.CSR(t, device(t), sceptest.CSROptions{ChallengePassword: password, Template: &x509.CertificateRequest{}})
		r.ask(m).want(scep.StatusSuccess) // an empty subject is the Backend's affair
	},
}
