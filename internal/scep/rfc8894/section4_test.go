package rfc8894_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var section4Cases = map[string]func(*testing.T){
	"R4.1-1": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		c.URL = strings.TrimSuffix(c.URL, "/scep")
		r.enrol(c, enrolment(t))
		for _, s := range p.of("GetCACert") {
			if s.path != "/cgi-bin/pkiclient.exe" {
				t.Errorf("path %s", s.path)
			}
		}
	},
	"R4.1-2": func(t *testing.T) {
		r := standard(t)
		want := r.get("operation=GetCACert")
		base := strings.TrimSuffix(r.URL, "/scep")
		for _, path := range []string{"", "/", "/scep/", "/scep/pkiclient.exe", "/cgi-bin/pkiclient.exe", "/certsrv/mscep/mscep.dll/pkiclient.exe", "//scep"} {
			if got := r.do(http.MethodGet, base+path+"?operation=GetCACert", "", nil); !bytes.Equal(got.body, want.body) {
				t.Errorf("%q: HTTP %d", path, got.status)
			}
		}
	},
	"R4.1-3": func(t *testing.T) {
		for _, list := range []string{"POSTPKIOperation\n", "SCEPStandard\n"} {
			r := newRig(t, sceptest.Options{Settings: tolerant, Challenge: password, Pending: 1})
			c, p := r.client()
			p.answer["GetCACaps"] = answers(http.StatusOK, "text/plain", list)
			r.enrol(c, enrolment(t))
			_, _ = c.GetNextCACert(t.Context()) // there is none, but it is asked for
			for _, s := range p.log {
				if wantPOST := s.operation == "PKIOperation"; (s.method == http.MethodPost) != wantPOST {
					t.Errorf("%s by %s", s.operation, s.method)
				}
			}
		}
	},
	"R4.1-4": func(t *testing.T) {
		message, query := sentByGET(t)
		encoded := query.Get("message")
		if got, err := base64.StdEncoding.Strict().DecodeString(encoded); err != nil || !bytes.Equal(got, message) {
			t.Errorf("message parameter: %v", err)
		}
		r := standard(t)
		m := r.message().Bytes(t)
		for name, encoding := range map[string]*base64.Encoding{"as the RFC says": base64.StdEncoding, "for URLs": base64.URLEncoding} {
			r.answered(r.get("operation=PKIOperation&message=" + url.QueryEscape(encoding.EncodeToString(m)))).want(scep.StatusSuccess)
			t.Log(name)
		}
	},
	"R4.1-5": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		c.Method = scep.MethodGET
		r.enrol(c, enrolment(t))
		_, raw, _ := strings.Cut(p.of("PKIOperation")[0].query, "message=")
		if strings.ContainsAny(raw, "+/= ") {
			t.Errorf("unescaped: %.80s", raw)
		}
		bare := base64.StdEncoding.EncodeToString(r.message().Bytes(t))
		for !strings.Contains(bare, "+") || !strings.Contains(bare, "/") {
			bare = base64.StdEncoding.EncodeToString(r.message().Bytes(t))
		}
		for _, written := range []string{bare, url.QueryEscape(bare), url.QueryEscape(url.QueryEscape(bare))} {
			r.answered(r.get("operation=PKIOperation&message=" + written)).want(scep.StatusSuccess)
		}
	},
	"R4.1-6": func(t *testing.T) {
		r := standard(t)
		m := r.message()
		chain := make([]byte, 0, 20_000)
		for len(chain) < 12_000 {
			chain = append(chain, r.CA.Certificate.Raw...)
		}
		long := edit(t, m.Bytes(t), func(v asn1.RawValue) []byte { return element(0xa0, slices.Concat(v.Bytes, chain)) }, signedCertificates...)
		r.answered(r.get("operation=PKIOperation&message=" + url.QueryEscape(base64.StdEncoding.EncodeToString(long)))).want(scep.StatusSuccess)
	},
	"R4.2-1": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		r.enrol(c, enrolment(t))
		if got := p.of("GetCACert")[0]; got.query != "operation=GetCACert" || got.method != http.MethodGet {
			t.Errorf("%s ?%s", got.method, got.query)
		}
	},
	"R4.2.1-1": func(t *testing.T) {
		a := singleCA(t).get("operation=GetCACert")
		if _, err := x509.ParseCertificate(a.body); err != nil || a.mediaType != "application/x-x509-ca-cert" {
			t.Errorf("%q, %v", a.mediaType, err)
		}
	},
	"R4.2.1-2": func(t *testing.T) {
		r := standard(t)
		a := r.get("operation=GetCACert")
		if a.mediaType != "application/x-x509-ca-ra-cert" || len(parse(t, a.body).Certificates) != 4 {
			t.Errorf("%q with %d certificates", a.mediaType, len(parse(t, a.body).Certificates))
		}
		ca, err := scep.ParseCACertificates(a.body)
		if err != nil || !ca.Encryption.Equal(r.Identity().Active.Encryption.Certificate) {
			t.Errorf("the leaf is %v, %v", ca, err)
		}
	},
	"R4.3-1": asksFor(0),
	"R4.4-1": asksFor(1),
	"R4.5-1": asksFor(2),
	"R4.6-1": asksFor(3),
	"R4.3-2": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		r.enrol(c, enrolment(t))
		if s := p.of("PKIOperation")[0]; s.mediaType != "application/x-pki-message" || s.body[0] != 0x30 {
			t.Errorf("%q %x", s.mediaType, s.body[:8])
		}
		for _, query := range []string{"?operation=PKIOperation", "", "?operation=pkioperation", "?message="} {
			for _, mediaType := range []string{"application/x-pki-message", "", "application/octet-stream", "text/plain"} {
				r.answered(r.do(http.MethodPost, r.URL+query, mediaType, r.message().Bytes(t))).want(scep.StatusSuccess)
			}
		}
	},
	"R4.3.1-1": func(t *testing.T) {
		for _, tell := range everyStatus(t) {
			r := decides(t, tell)
			r.ask(r.message()).want(tell.Status) // which also wants HTTP 200 and the media type
		}
	},
	"R4.3.1-2": func(t *testing.T) {
		r := approvedAfter(t, 1, nil)
		m := r.message()
		r.ask(m).want(scep.StatusPending)
		r.ask(r.poll(m)).want(scep.StatusSuccess)
	},
	"R4.4-2": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Settings: tolerant, Challenge: password, Pending: 2})
		c, p := r.client()
		r.renew(c, renewal(t, r.enrol(c, enrolment(t)).Certificate, sceptest.RSAKey(t, 2)))
		requests := p.requests(r)
		for n, request := range requests {
			if begun := requests[n/3*3]; request.TransactionID != begun.TransactionID || (request.CSR == nil) != (n%3 != 0) {
				t.Errorf("message %d is a %v of %s", n, request.MessageType, request.TransactionID)
			}
		}
	},
	"R4.4-3": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Challenge: password, Pending: 1})
		r.ask(r.poll(r.message())).wantFail(scep.BadCertID)
	},
	"R4.4-4": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Challenge: password, Pending: 1})
		first, second := r.message(), r.messageBy(sceptest.RSAKey(t, 2))
		r.ask(first).want(scep.StatusPending)
		r.ask(second).want(scep.StatusPending)
		wantLeaf(t, r.ask(r.poll(second)), sceptest.RSAKey(t, 2))
		wantLeaf(t, r.ask(r.poll(first)), device(t))
	},
	"R4.4-5": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Challenge: password, Pending: 1 << 30})
		c, p := r.client()
		c.PollLimit = 3
		result, err := c.Enrol(t.Context(), enrolment(t))
		if err != nil || result.Status != scep.StatusPending || len(p.of("PKIOperation")) != 4 {
			t.Errorf("%+v, %v after %d messages", result, err, len(p.of("PKIOperation")))
		}
		c.PollLimit = -1
		limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Enrol(limited, enrolment(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	},
	"R4.5.1-1": func(t *testing.T) {
		r := answersCert(t)
		unknown := serialOf(t, sceptest.SelfSigned(t, nil, device(t)))
		r.ask(r.ofType("21", serialOf(t, r.CA.Certificate))).want(scep.StatusSuccess)
		r.ask(r.ofType("21", unknown)).wantFail(scep.BadCertID)
		slow := newRig(t, sceptest.Options{Settings: scep.Settings{GetCert: true}, Backend: backend(
			func(*scep.Request) (*scep.Reply, error) { return scep.Pending(), nil })})
		if a := slow.post(slow.ofType("21", unknown).Bytes(t)); a.status == http.StatusOK {
			t.Error("GetCert was answered PENDING")
		}
		c, p := r.client()
		p.answer["PKIOperation"] = func(s seen) *http.Response {
			request, err := scep.Open(s.body, r.Identity(), scep.Settings{GetCert: true})
			if err != nil {
				t.Error(err)
			}
			return pkiMessage(r.pending(request).bytes(t))
		}
		var bad *scep.ReplyError
		if _, err := c.GetCert(t.Context(), query(t, r.CA.Certificate)); !errors.As(err, &bad) {
			t.Errorf("the client takes PENDING: %v", err)
		}
	},
	"R4.6.1-1": func(t *testing.T) {
		r := answersCRL(t)
		c, _ := r.client()
		result, err := c.GetCRL(t.Context(), query(t, r.CA.Certificate))
		if err != nil || result.CRL == nil || result.CRL.Number.Int64() != 7 || len(result.Chain) != 0 {
			t.Fatalf("%+v, %v", result, err)
		}
	},
	"R4.7-1": func(t *testing.T) {
		r, next := rollsOver(t)
		c, p := r.client()
		got, err := c.GetNextCACert(t.Context())
		if err != nil || len(got) != 1 || !got[0].Equal(next) {
			t.Errorf("got %d certificates, %v", len(got), err)
		}
		if s := p.of("GetNextCACert")[0]; s.query != "operation=GetNextCACert" || s.method != http.MethodGet {
			t.Errorf("%s ?%s", s.method, s.query)
		}
	},
	"R4.7.1-1": func(t *testing.T) {
		r, next := rollsOver(t)
		id := *r.Identity()
		id.NextCASigner = &scep.Credential{Certificate: r.CA.Certificate, Key: r.CA.Key}
		for _, signer := range []*x509.Certificate{id.Active.Signing.Certificate, r.CA.Certificate} {
			a := r.get("operation=GetNextCACert")
			outer := parse(t, a.body)
			inner, err := cms.ParseCertificates(outer.Content, cms.Limits{Nesting: 32, Certificates: 16})
			if err != nil || len(inner) != 1 || !inner[0].Equal(next) || a.mediaType != "application/x-x509-next-ca-cert" {
				t.Errorf("%q with %d certificates, %v", a.mediaType, len(inner), err)
			}
			if err := outer.Verify(signer); err != nil {
				t.Errorf("%v: %v", signer.Subject, err)
			}
			r.SetIdentity(&id)
		}
	},
	"R4.7.1-2": func(t *testing.T) {
		r, next := rollsOver(t)
		nextKey := &scep.Credential{Certificate: next, Key: sceptest.RSAKey(t, 3)}
		stranger := &scep.Credential{Certificate: sceptest.SelfSigned(t, nil, device(t)), Key: device(t)}
		c, p := r.client()
		for _, signer := range []*scep.Credential{nextKey, stranger} {
			forged := certRep{signer: signer, content: bundle(t, next)}
			p.answer["GetNextCACert"] = answers(http.StatusOK, "application/x-x509-next-ca-cert", string(forged.bytes(t)))
			var bad *scep.ReplyError
			if got, err := c.GetNextCACert(t.Context()); !errors.As(err, &bad) || got != nil {
				t.Errorf("signed by %v: %d certificates, %v", signer.Certificate.Subject, len(got), err)
			}
		}
	},
	"R5.1-1": func(t *testing.T) {
		ca := sceptest.NewCA(t)
		now, next := sceptest.NewGeneration(t, ca, sceptest.Pair), sceptest.NewGeneration(t, ca, sceptest.Combined)
		var asked *scep.Generation
		r := newRig(t, sceptest.Options{
			CA: ca, Identity: &scep.Identity{Active: now, Others: []*scep.Generation{next}, CAChain: ca.Chain()},
			Backend: backend(func(r *scep.Request) (*scep.Reply, error) { asked = r.Generation; return scep.Pending(), nil }),
		})
		m := r.message()
		for _, meant := range []*scep.Generation{now, next} {
			m.Recipient = meant.Encryption.Certificate
			signer, _, err := parse(t, r.post(m.Bytes(t)).body).SignerCertificate()
			if err != nil || !signer.Equal(meant.Signing.Certificate) || asked != meant {
				t.Errorf("another generation answers: %v, %v", signer, err)
			}
		}
	},
	"R5.2-1": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Challenge: password, Pending: 2})
		c, p := r.client()
		p.answer["PKIOperation"] = func(s seen) *http.Response {
			if len(p.of("PKIOperation")) == 2 { // the first poll
				return answer(http.StatusBadGateway, "text/html", nil)
			}
			return nil
		}
		var status *scep.HTTPError
		if _, err := c.Enrol(t.Context(), enrolment(t)); !errors.As(err, &status) {
			t.Fatalf("got %v", err)
		}
		r.enrol(c, enrolment(t))
		requests := p.requests(r)
		if again := requests[2]; again.MessageType != scep.PKCSReq || again.TransactionID == requests[0].TransactionID {
			t.Errorf("goes on with %v of %s", again.MessageType, again.TransactionID)
		}
	},
	"R5.2-2": func(t *testing.T) {
		r := standard(t)
		m := r.message()
		first := r.ask(m).certificates(device(t))[0]
		for _, again := range []sceptest.Message{m, r.poll(m)} {
			if got := r.ask(again).want(scep.StatusSuccess).certificates(device(t))[0]; !got.Equal(first) {
				t.Errorf("type %s: another certificate", again.Type)
			}
		}
	},
	"R6-1": func(t *testing.T) {
		registered := []string{
			"AES", "DES3", "GetNextCACert", "POSTPKIOperation", "Renewal", "SCEPStandard",
			"SHA-1", "SHA-256", "SHA-512",
		}
		r, _ := rollsOver(t)
		for _, keyword := range keywords(r) {
			if !slices.Contains(registered, keyword) && keyword != "SHA-384" {
				t.Errorf("%s is not registered", keyword)
			}
		}
	},
}

// sentByGET is a message as a client sends it by GET.
func sentByGET(t *testing.T) (message []byte, query url.Values) {
	t.Helper()
	r := standard(t)
	c, p := r.client()
	c.Method = scep.MethodGET
	r.enrol(c, enrolment(t))
	s := p.of("PKIOperation")[0]
	query, err := url.ParseQuery(s.query)
	if err != nil {
		t.Fatal(err)
	}
	return s.body, query
}

// query asks about a certificate.
func query(t *testing.T, about *x509.Certificate) scep.CertQuery {
	t.Helper()
	return scep.CertQuery{
		Issuer: about.RawIssuer, SerialNumber: about.SerialNumber,
		Certificate: sceptest.SelfSigned(t, nil, device(t)), CertificateKey: device(t),
	}
}

// asksFor looks with which operation a client sends its n-th kind of message, by
// both methods.
func asksFor(n int) func(*testing.T) {
	return func(t *testing.T) {
		wanted := []string{"19", "20", "21", "22"}[n]
		settings := scep.Settings{GetCert: true, GetCRL: true}
		for _, method := range []scep.ClientMethod{scep.MethodGET, scep.MethodPOST} {
			r := newRig(t, sceptest.Options{Settings: settings, Backend: backend(func(r *scep.Request) (*scep.Reply, error) {
				if r.MessageType == scep.PKCSReq {
					return scep.Pending(), nil
				}
				return scep.Fail(scep.BadCertID, ""), nil
			})})
			c, p := r.client()
			c.Method = method
			_, enrolErr := c.Enrol(t.Context(), enrolment(t))
			_, certErr := c.GetCert(t.Context(), query(t, r.CA.Certificate))
			_, crlErr := c.GetCRL(t.Context(), query(t, r.CA.Certificate))
			if err := errors.Join(enrolErr, certErr, crlErr); err != nil {
				t.Fatal(err)
			}
			// Every message is counted: what is sent with another operation is not here.
			var types []string
			for _, m := range p.messages() {
				types = append(types, value(t, m, messageType, asn1.TagPrintableString))
			}
			if !slices.Contains(types, wanted) {
				t.Errorf("with operation=PKIOperation come messages of types %v", types)
			}
		}
	}
}
