package rfc8894_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var section3Cases = map[string]func(*testing.T){
	"R3-1": wantNoEnvelope(scep.Pending(), scep.Fail(scep.BadRequest, "no")),
	"R3.1-1": func(t *testing.T) {
		r := issues(t, scep.Settings{PasswordRecipient: true})
		m := r.message()
		e := r.ask(m).want(scep.StatusSuccess).envelope()
		if len(e.Recipients) != 1 || len(e.PasswordRecipients) != 0 {
			t.Errorf("RSA: %d recipients, %d by password", len(e.Recipients), len(e.PasswordRecipients))
		}
		// A message to an RSA key from one that cannot decrypt mixes both forms.
		byEC := r.messageBy(ecKey(t))
		e = r.ask(byEC).want(scep.StatusSuccess).envelope()
		if len(e.Recipients) != 0 || len(e.PasswordRecipients) != 1 {
			t.Fatalf("EC: %d recipients, %d by password", len(e.Recipients), len(e.PasswordRecipients))
		}
		plaintext, err := e.DecryptWithPassword(e.PasswordRecipients[0], []byte(password))
		if err != nil || !plaintext.Sound {
			t.Errorf("EC: %v", err)
		}
	},
	"R3.1-2": func(t *testing.T) {
		r := standard(t)
		m := r.message()
		m.Envelope = func([]byte) []byte { return m.Content }
		r.ask(m).wantFail(scep.BadRequest)
		// Not even if a Backend forgets the password.
		forgetful := newRig(t, sceptest.Options{Settings: scep.Settings{PasswordRecipient: true}, Backend: backend(
			func(*scep.Request) (*scep.Reply, error) { return scep.Success(r.CA.Certificate), nil })})
		if a := forgetful.post(forgetful.messageBy(ecKey(t)).Bytes(t)); a.status != http.StatusInternalServerError {
			t.Errorf("HTTP %d", a.status)
		}
	},
	"R3.2-1": func(t *testing.T) {
		r := standard(t)
		m := r.message()
		answer := r.ask(m).want(scep.StatusSuccess)
		wantOID(t, at(t, answer.der, signedContentType...), idData)
		wantOID(t, at(t, m.Bytes(t), signedContentType...), idData)
		wrong := edit(t, m.Bytes(t), replaced(encodedOID(t, idEnvelopedData)), signedContentType...)
		if a := r.post(wrong); a.status != http.StatusBadRequest {
			t.Errorf("HTTP %d for another content type", a.status)
		}
	},
	"R3.2-2": mixedPairs,
	"R3.2-3": func(t *testing.T) {
		r := standard(t)
		wrong := edit(t, r.message().Bytes(t), drop, signedAttributes...)
		if a := r.post(wrong); a.status != http.StatusBadRequest {
			t.Errorf("HTTP %d without attributes", a.status)
		}
	},
	"R3.2.1-1": func(t *testing.T) {
		r := standard(t)
		answer := r.ask(r.message()).want(scep.StatusSuccess)
		for _, test := range []struct {
			oid  asn1.ObjectIdentifier
			want int
		}{
			{transactionID, http.StatusBadRequest}, // nothing to answer to
			{senderNonce, http.StatusBadRequest},
			{messageType, http.StatusOK},
			{contentType, http.StatusOK},
			{messageDigest, http.StatusOK},
		} {
			a := r.post(without(t, r.message().Bytes(t), test.oid))
			if a.status != test.want {
				t.Errorf("without %v: HTTP %d, want %d", test.oid, a.status, test.want)
			} else if a.status == http.StatusOK {
				r.answered(a).want(scep.StatusFailure)
			}
			if !answer.has(test.oid) {
				t.Errorf("an answer without %v", test.oid)
			}
		}
		if r.Issued() != 1 {
			t.Errorf("%d certificates", r.Issued())
		}
	},
	"R3.2.1-2": func(t *testing.T) {
		for _, tell := range everyStatus(t) {
			r := decides(t, tell)
			m := r.message()
			p := r.ask(m).want(tell.Status)
			if p.octets(recipientNonce) != string(m.SenderNonce) {
				t.Errorf("%v: another recipientNonce", tell.Status)
			}
			if p.has(failInfo) != (tell.Status == scep.StatusFailure) {
				t.Errorf("%v: failInfo is %v", tell.Status, p.has(failInfo))
			}
		}
	},
	"R3.2.1.1-1": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		r.enrol(c, enrolment(t))
		r.enrol(c, enrolment(t))
		var ids []string
		for _, m := range p.messages() {
			ids = append(ids, value(t, m, transactionID, asn1.TagPrintableString))
		}
		if ids[0] == ids[1] || len(ids[0]) < 20 {
			t.Errorf("transactionIDs %q", ids)
		}
	},
	"R3.2.1.1-2": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Settings: tolerant, Challenge: password, Pending: 2})
		c, p := r.client()
		r.enrol(c, enrolment(t))
		for _, request := range p.requests(r) {
			if request.TransactionID != p.requests(r)[0].TransactionID {
				t.Errorf("%v with another transactionID", request.MessageType)
			}
		}
		m := r.message()
		m.TransactionID = "Yn7ycvujlIVZLkazX3Q8D/urqG0="
		if got := r.ask(m).text(transactionID); got != m.TransactionID {
			t.Errorf("answer with transactionID %q", got)
		}
		clientRefuses(t, "transactionID", func(c *certRep) { c.id += "x" })
	},
	"R3.2.1.1-3": func(t *testing.T) {
		r := standard(t)
		for _, id := range []string{"1", "printer in room 4", "00:11:22:33:44:55", strings.Repeat("5A", 32)} {
			m := r.message()
			m.TransactionID = id
			r.ask(m).want(scep.StatusSuccess)
		}
	},
	"R3.2.1.2-1": func(t *testing.T) {
		r := standard(t)
		r.ask(r.ofType("", nil)).wantFail(scep.BadRequest)
	},
	"R3.2.1.2-2": func(t *testing.T) {
		r := standard(t)
		for _, n := range []string{"0", "1", "3", "4", "16", "23", "99", "-19", "019", " 19", "x"} {
			r.ask(r.ofType(n, nil)).wantFail(scep.BadRequest)
		}
		for _, settings := range []scep.Settings{{}, tolerant} {
			r := issues(t, settings)
			for _, n := range []string{"17", "18"} {
				want := map[bool]scep.PKIStatus{false: scep.StatusFailure, true: scep.StatusSuccess}[settings.Renewal]
				r.ask(r.ofType(n, nil)).want(want)
			}
			if slices.Contains(keywords(r), "Update") {
				t.Error("UpdateReq is announced")
			}
		}
		clientRefuses(t, "messageType", func(c *certRep) { c.messageType = "19" })
	},
	"R3.2.1.3-1": func(t *testing.T) {
		for _, tell := range everyStatus(t) {
			r := decides(t, tell)
			if got := r.ask(r.message()).text(pkiStatus); got != strconv.Itoa(int(tell.Status)) {
				t.Errorf("pkiStatus %q for %v", got, tell.Status)
			}
		}
	},
	"R3.2.1.3-2": func(t *testing.T) {
		r := decides(t, scep.Fail(scep.BadTime, ""))
		r.ask(r.message()).wantFail(scep.BadTime)
	},
	"R3.2.1.3-3": func(t *testing.T) {
		for _, status := range []string{"1", "4", "-1", "x", ""} {
			clientRefuses(t, "pkiStatus", func(c *certRep) { c.status = status })
		}
	},
	"R3.2.1.4-1": func(t *testing.T) {
		for info := scep.BadAlg; info <= scep.BadCertID; info++ {
			r := decides(t, scep.Fail(info, ""))
			r.ask(r.message()).wantFail(info)
		}
	},
	"R3.2.1.4-2": func(t *testing.T) {
		for _, info := range []string{"5", "-1", "x", ""} {
			clientRefuses(t, "failInfo", func(c *certRep) { c.status, c.failInfo = "2", info })
		}
	},
	"R3.2.1.4-3": func(t *testing.T) {
		r := standard(t)
		for _, text := range []string{"", "SUCCESS", "pkiStatus=0\x00"} {
			c, _ := r.replies(func(request *scep.Request) certRep {
				f := failure(r, request)
				f.extra = []cms.Attribute{{Type: failInfoText, Value: element(asn1.TagUTF8String, []byte(text))}}
				return f
			})
			result, err := c.Enrol(t.Context(), enrolment(t))
			if err != nil || result.Status != scep.StatusFailure || result.FailInfo != scep.BadRequest || result.FailInfoText != text {
				t.Errorf("%q: %+v, %v", text, result, err)
			}
		}
	},
	"R3.2.1.5-1": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Settings: tolerant, Challenge: password, Pending: 3})
		c, p := r.client()
		r.enrol(c, enrolment(t))
		nonces := map[string]bool{}
		for _, m := range p.messages() {
			nonces[value(t, m, senderNonce, asn1.TagOctetString)] = true
		}
		for range 3 {
			nonces[r.ask(r.message()).octets(senderNonce)] = true
		}
		for nonce := range nonces {
			if len(nonce) != 16 {
				t.Errorf("a nonce of %d bytes", len(nonce))
			}
		}
		if len(nonces) != 7 {
			t.Errorf("%d different nonces in 7 messages", len(nonces))
		}
	},
	"R3.2.1.5-2": func(t *testing.T) {
		for _, tell := range everyStatus(t) {
			r := decides(t, tell)
			m := r.message()
			if got := r.ask(m).octets(recipientNonce); got != string(m.SenderNonce) {
				t.Errorf("%v: recipientNonce %x, want %x", tell.Status, got, m.SenderNonce)
			}
		}
		r := standard(t) // refused before a Backend sees it
		m := r.message()
		m.Digest = crypto.MD5
		if got := r.ask(m).wantFail(scep.BadAlg).octets(recipientNonce); got != string(m.SenderNonce) {
			t.Errorf("recipientNonce %x, want %x", got, m.SenderNonce)
		}
	},
	"R3.2.1.5-3": func(t *testing.T) {
		clientRefuses(t, "recipientNonce", func(c *certRep) {
			c.recipientNonce = bytes.Clone(c.recipientNonce)
			c.recipientNonce[7] ^= 1
		})
	},
	"R3.2.1.5-4": func(t *testing.T) {
		clientRefuses(t, "recipientNonce", func(c *certRep) { c.recipientNonce = nil })
		clientRefuses(t, "recipientNonce", func(c *certRep) { c.recipientNonce = c.recipientNonce[:15] })
		// An old SUCCESS, sent again.
		r := standard(t)
		c, p := r.client()
		e := enrolment(t)
		e.TransactionID = "twice"
		r.enrol(c, e)
		old := r.post(p.of("PKIOperation")[0].body)
		p.answer["PKIOperation"] = func(seen) *http.Response { return pkiMessage(old.body) }
		var bad *scep.ReplyError
		if _, err := c.Enrol(t.Context(), e); !errors.As(err, &bad) || !strings.Contains(bad.Reason, "recipientNonce") {
			t.Errorf("replayed SUCCESS: %v", err)
		}
	},
	"R3.2.2-1": func(t *testing.T) {
		r := standard(t)
		wantOID(t, at(t, r.ask(r.message()).want(scep.StatusSuccess).Content, encryptedType...), idData)
		wantOID(t, at(t, sentFirst(t).Content, encryptedType...), idData)
	},
	"R3.2.2-2": mixedPairs,
	"R3.3-1": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Settings: tolerant, Challenge: password, Pending: 1})
		m := r.message()
		m.Content = names(r.CA.Certificate.RawSubject, m.Signer.RawSubject) // looks like a poll
		r.ask(m).wantFail(scep.BadRequest)
		m.Type = "20"
		r.ask(m).wantFail(scep.BadCertID) // is one, for a transaction that is not known
	},
	"R3.3.1-1": func(t *testing.T) {
		csr := firstRequest(t, enrolment(t)).CSR
		if csr.Subject.CommonName != "device" || csr.PublicKey == nil || !bytes.Contains(csr.Raw, []byte(password)) {
			t.Errorf("CSR of %v", csr.Subject)
		}
		r := standard(t)
		der := sceptest.CSR(t, device(t), sceptest.CSROptions{ChallengePassword: password})
		for part, path := range map[string][]int{"subject": {0, 1}, "public key": {0, 2}, "signature": {2}} {
			m := r.message()
			m.Content = edit(t, der, drop, path...)
			if e := r.ask(m).wantFail(scep.BadRequest).explanation(); e == "" {
				t.Errorf("without %s: no text", part)
			}
		}
		m := r.message()
		m.Content = sceptest.CSR(t, device(t), sceptest.CSROptions{})
		r.ask(m).wantFail(scep.BadRequest)
	},
	"R3.3.1-2": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Settings: tolerant, Challenge: password, Pending: 1})
		c, p := r.client()
		r.renew(c, renewal(t, r.enrol(c, enrolment(t)).Certificate, sceptest.RSAKey(t, 2)))
		for n, m := range p.messages() {
			if got, want := value(t, m, messageType, asn1.TagPrintableString), []string{"19", "20", "17", "20"}[n]; got != want {
				t.Errorf("message %d is of type %s, want %s", n, got, want)
			}
			for _, oid := range []asn1.ObjectIdentifier{transactionID, senderNonce, contentType, messageDigest} {
				if _, ok := m.Attribute(oid); !ok {
					t.Errorf("message %d has no %v", n, oid)
				}
			}
		}
		for _, n := range []string{"17", "19", "20", "21", "22"} {
			m := r.ofType(n, nil)
			m.SenderNonce = nil
			_, err := scep.Open(m.Bytes(t), r.Identity(), tolerant)
			var refused *scep.MessageError
			if !errors.As(err, &refused) {
				t.Errorf("type %s without a nonce: %v", n, err)
			}
		}
	},
}

// encryptedType is where an EnvelopedData names the type of what it holds.
var encryptedType = []int{1, 0, 2, 0}

func wantNoEnvelope(replies ...*scep.Reply) func(*testing.T) {
	return func(t *testing.T) {
		for _, tell := range replies {
			r := decides(t, tell)
			p := r.ask(r.message()).want(tell.Status)
			if len(p.Content) != 0 || bytes.Contains(p.der, encodedOID(t, idEnvelopedData)) {
				t.Errorf("%v has the content %x", tell.Status, p.Content)
			}
		}
	}
}

// mixedPairs sends every content under every type.
func mixedPairs(t *testing.T) {
	settings := tolerant
	settings.GetCert, settings.GetCRL = true, true
	r := newRig(t, sceptest.Options{Settings: settings, Backend: backend(
		func(*scep.Request) (*scep.Reply, error) { return scep.Fail(scep.BadCertID, "read"), nil })})
	csr := r.message().Content
	two := names(r.CA.Certificate.RawSubject, r.CA.Certificate.RawSubject)
	serial := serialOf(t, r.CA.Certificate)
	for kind, types := range map[string]struct {
		content []byte
		fits    []string
	}{
		"PKCS #10":              {csr, []string{"17", "18", "19"}},
		"IssuerAndSubject":      {two, []string{"20"}},
		"IssuerAndSerialNumber": {serial, []string{"21", "22"}},
		"a certificate":         {r.CA.Certificate.Raw, nil},
	} {
		for _, n := range []string{"17", "18", "19", "20", "21", "22"} {
			want := scep.BadRequest
			if slices.Contains(types.fits, n) {
				want = scep.BadCertID
			}
			if got := r.ask(r.ofType(n, types.content)).text(failInfo); got != decimal(int(want)) {
				t.Errorf("%s in a message of type %s: failInfo %s, want %v", kind, n, got, want)
			}
		}
	}
}

// without takes a signed attribute out of a message, and has the device sign the
// others.
func without(t *testing.T, message []byte, oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	var kept []byte
	for _, a := range decode(t, at(t, message, signedAttributes...).Bytes) {
		var parsed struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		if _, err := asn1.Unmarshal(a.FullBytes, &parsed); err != nil {
			t.Fatal(err)
		}
		if !parsed.Type.Equal(oid) {
			kept = append(kept, a.FullBytes...)
		}
	}
	sum := sha256.Sum256(element(asn1.TagSet|0x20, kept))
	signature, err := device(t).Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	message = edit(t, message, replaced(element(0xa0, kept)), signedAttributes...)
	return edit(t, message, replaced(element(asn1.TagOctetString, signature)), signatureValue...)
}

// clientRefuses gives a client a PENDING that was changed.
func clientRefuses(t *testing.T, reason string, change func(*certRep)) {
	t.Helper()
	r := standard(t)
	c, p := r.replies(func(request *scep.Request) certRep {
		reply := r.pending(request)
		change(&reply)
		return reply
	})
	var bad *scep.ReplyError
	result, err := c.Enrol(t.Context(), enrolment(t))
	if !errors.As(err, &bad) || !strings.Contains(bad.Error(), reason) || len(p.of("PKIOperation")) != 1 {
		t.Errorf("got %+v, %v, want an error about %s", result, err, reason)
	}
}
