package rfc8894_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var wireCases = map[string]func(*testing.T){
	"W1": func(t *testing.T) {
		wantAttribute(t, sentFirst(t), messageType, "13023139")
		wantAttribute(t, answeredWith(t, scep.Pending()).SignedData, messageType, "130133")
	},
	"W2": func(t *testing.T) {
		wantAttribute(t, answeredWith(t, scep.Fail(scep.BadTime, "")).SignedData, pkiStatus, "130132")
	},
	"W3": func(t *testing.T) {
		wantAttribute(t, answeredWith(t, scep.Fail(scep.BadTime, "")).SignedData, failInfo, "130133")
	},
	"W4": func(t *testing.T) {
		for _, m := range []*cms.SignedData{sentFirst(t), answeredWith(t, scep.Pending()).SignedData} {
			if der, _ := m.Attribute(senderNonce); len(der) != 18 || !bytes.HasPrefix(der, []byte{asn1.TagOctetString, 16}) {
				t.Errorf("senderNonce %x", der)
			}
		}
	},
	"W5": func(t *testing.T) {
		r := decides(t, scep.Pending())
		m := r.message()
		der, _ := r.ask(m).Attribute(recipientNonce)
		if want := append([]byte{asn1.TagOctetString, 16}, m.SenderNonce...); !bytes.Equal(der, want) {
			t.Errorf("recipientNonce %x, want %x", der, want)
		}
	},
	"W6": func(t *testing.T) {
		r := decides(t, scep.Pending())
		m := r.message()
		m.TransactionID = "ab"
		wantAttribute(t, r.ask(m).SignedData, transactionID, "13026162")
		value(t, sentFirst(t), transactionID, asn1.TagPrintableString)
	},
	"W7": func(t *testing.T) {
		wantAttribute(t, answeredWith(t, scep.Fail(scep.BadRequest, "nö")).SignedData, failInfoText, "0c036ec3b6")
	},
	"W8": func(t *testing.T) {
		p := answeredWith(t, scep.Success(sceptest.SelfSigned(t, nil, device(t))))
		for _, m := range []*cms.SignedData{sentFirst(t), p.SignedData} {
			if der, _ := m.Attribute(contentType); !bytes.Equal(der, encodedOID(t, idData)) {
				t.Errorf("contentType %x", der)
			}
			sum := sha256.Sum256(m.Content)
			if der, _ := m.Attribute(messageDigest); !bytes.Equal(der, append([]byte{asn1.TagOctetString, 32}, sum[:]...)) {
				t.Errorf("messageDigest %x", der)
			}
		}
		r := standard(t) // one message's content under the signature of another
		other := at(t, r.message().Bytes(t), signedContent...).FullBytes
		r.askDER(edit(t, r.message().Bytes(t), replaced(other), signedContent...)).wantFail(scep.BadMessageCheck)
	},
	"W9": func(t *testing.T) {
		for password, tag := range map[string]byte{"plain text": asn1.TagPrintableString, "pässwörd_1": asn1.TagUTF8String} {
			der := sceptest.CSR(t, device(t), sceptest.CSROptions{ChallengePassword: password})
			want := slices.Concat(encodedOID(t, challengePassword), element(asn1.TagSet|0x20, element(tag, []byte(password))))
			if !bytes.Contains(der, want) {
				t.Errorf("%q: no %x in %x", password, want, der)
			}
			r := newRig(t, sceptest.Options{Challenge: password})
			m := r.message()
			m.Content = der
			r.ask(m).want(scep.StatusSuccess)
		}
	},
	"W10": func(t *testing.T) {
		for want, kind := range map[int]scep.MessageType{
			3: scep.CertRep, 17: scep.RenewalReq, 19: scep.PKCSReq, 20: scep.CertPoll, 21: scep.GetCert, 22: scep.GetCRL,
		} {
			if int(kind) != want {
				t.Errorf("%v is %d, want %d", kind, int(kind), want)
			}
		}
	},
	"W11": func(t *testing.T) {
		for want, tell := range map[string]*scep.Reply{
			"0": scep.Success(sceptest.SelfSigned(t, nil, device(t))), "2": scep.Fail(scep.BadAlg, ""), "3": scep.Pending(),
		} {
			if got := answeredWith(t, tell).text(pkiStatus); got != want {
				t.Errorf("%v is %s", tell.Status, got)
			}
		}
	},
	"W12": func(t *testing.T) {
		for n, info := range []scep.FailInfo{scep.BadAlg, scep.BadMessageCheck, scep.BadRequest, scep.BadTime, scep.BadCertID} {
			if got := answeredWith(t, scep.Fail(info, "")).text(failInfo); got != decimal(n) {
				t.Errorf("%v is %s", info, got)
			}
		}
	},
	"W13": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		r.enrol(c, enrolment(t))
		request := p.requests(r)[0]
		if !bytes.Equal(request.Signer.RawIssuer, request.Signer.RawSubject) || !request.SignedByCSRKey() {
			t.Errorf("signed by %v", request.Signer.Subject)
		}
		wantRecipient(t, p.messages()[0], r.Identity().Active.Encryption.Certificate)
	},
	"W14": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		first := r.enrol(c, enrolment(t)).Certificate
		for n, key := range []crypto.Signer{sceptest.RSAKey(t, 2), device(t)} {
			r.renew(c, renewal(t, first, key))
			request := p.requests(r)[n+1]
			if request.MessageType != scep.RenewalReq || !request.Signer.Equal(first) || !bytes.Equal(request.CSR.RawSubjectPublicKeyInfo, spki(t, key)) {
				t.Errorf("%v signed by %v", request.MessageType, request.Signer.Subject)
			}
			wantRecipient(t, p.messages()[n+1], r.Identity().Active.Encryption.Certificate)
		}
	},
	"W15": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Challenge: password, Pending: 1})
		c, p := r.client()
		r.enrol(c, enrolment(t))
		content := contentOf(t, r, p.messages()[1])
		if parts := decode(t, decode(t, content)[0].Bytes); len(parts) != 2 || content[0] != asn1.TagSequence|0x20 ||
			!bytes.Equal(parts[0].FullBytes, r.CA.Certificate.RawSubject) || !bytes.Equal(parts[1].FullBytes, name(t, "device")) {
			t.Errorf("CertPoll holds %x", content)
		}
		if requests := p.requests(r); !requests[0].Signer.Equal(requests[1].Signer) {
			t.Error("polls with another signer")
		}
	},
	"W16": func(t *testing.T) {
		r := answersCert(t)
		c, p := r.client()
		q := query(t, r.CA.Certificate)
		result, err := c.GetCert(t.Context(), q)
		r.success(result, err)
		message := p.messages()[0]
		if got, want := contentOf(t, r, message), serialOf(t, r.CA.Certificate); !bytes.Equal(got, want) {
			t.Errorf("GetCert holds %x, want %x", got, want)
		}
		if signer, _, err := message.SignerCertificate(); err != nil || !signer.Equal(q.Certificate) {
			t.Errorf("signed by %v, %v", signer, err)
		}
	},
	"W17": func(t *testing.T) {
		r := standard(t)
		m := r.message()
		p := r.ask(m).want(scep.StatusSuccess) // signed by the RA, for ask verifies it
		wantRecipient(t, p.SignedData, m.Signer)
		if inner := parse(t, p.opened(device(t))); len(inner.Certificates) != 1 || len(inner.Content) != 0 {
			t.Errorf("%d certificates, content %x", len(inner.Certificates), inner.Content)
		}
	},
	"W18": wantNoEnvelope(scep.Pending(), scep.Fail(scep.BadCertID, "")),
	"W19": func(t *testing.T) {
		r, _ := rollsOver(t)
		body := r.get("operation=GetNextCACert").body
		s := parse(t, body)
		for _, oid := range []asn1.ObjectIdentifier{messageType, transactionID, senderNonce, pkiStatus} {
			if _, ok := s.Attribute(oid); ok {
				t.Errorf("attribute %v", oid)
			}
		}
		if bytes.Contains(body, encodedOID(t, idEnvelopedData)) {
			t.Error("an envelope")
		}
	},
	"W20": func(t *testing.T) {
		r := standard(t)
		c, p := r.client()
		r.enrol(c, enrolment(t))
		sent := p.of("PKIOperation")[0].body
		for who, der := range map[string][]byte{"client": sent, "server": r.ask(r.message()).want(scep.StatusSuccess).der} {
			wantOID(t, at(t, der, 0), idSignedData)
			wantOID(t, at(t, der, signedContentType...), idData)
			octets := at(t, der, 1, 0, 2, 1, 0)
			if octets.Tag != asn1.TagOctetString || octets.IsCompound {
				t.Errorf("%s: content of type %d", who, octets.Tag)
			}
			wantOID(t, at(t, octets.Bytes, 0), idEnvelopedData)
			wantOID(t, at(t, octets.Bytes, encryptedType...), idData)
		}
	},
	"W21": func(t *testing.T) {
		for digest, want := range map[crypto.Hash]string{
			crypto.SHA256: "0420e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			crypto.SHA1:   "0414da39a3ee5e6b4b0d3255bfef95601890afd80709",
		} {
			r := decides(t, scep.Pending())
			m := r.message()
			m.Digest = digest
			wantAttribute(t, r.ask(m).SignedData, messageDigest, want)
		}
	},
	"W22": func(t *testing.T) {
		r := standard(t)
		der := r.ask(r.message()).want(scep.StatusSuccess).der
		for what, path := range map[string][]int{"SignedData": {1, 0, 0}, "SignerInfo": slices.Concat(signerInfo, []int{0})} {
			if v := at(t, der, path...); !bytes.Equal(v.Bytes, []byte{1}) {
				t.Errorf("%s of version %x", what, v.Bytes)
			}
		}
		envelope := at(t, der, 1, 0, 2, 1, 0).Bytes
		for what, path := range map[string][]int{"EnvelopedData": {1, 0, 0}, "KeyTransRecipientInfo": {1, 0, 1, 0, 0}} {
			if v := at(t, envelope, path...); !bytes.Equal(v.Bytes, []byte{0}) {
				t.Errorf("%s of version %x", what, v.Bytes)
			}
		}
		attributes := decode(t, at(t, der, signedAttributes...).Bytes)
		if !slices.IsSortedFunc(attributes, func(a, b asn1.RawValue) int { return bytes.Compare(a.FullBytes, b.FullBytes) }) {
			t.Error("attributes are not sorted")
		}
		// Sent in another order than signed.
		unsorted := edit(t, r.message().Bytes(t), func(v asn1.RawValue) []byte {
			attributes := decode(t, v.Bytes)
			slices.Reverse(attributes)
			var contents []byte
			for _, a := range attributes {
				contents = append(contents, a.FullBytes...)
			}
			return element(0xa0, contents)
		}, signedAttributes...)
		r.askDER(unsorted).want(scep.StatusSuccess)
	},
	"W23": func(t *testing.T) {
		r := standard(t)
		m := r.message()
		m.Envelope = func(der []byte) []byte { return sceptest.Indefinite(der, 100) }
		r.askDER(sceptest.Indefinite(m.Bytes(t), 1000)).want(scep.StatusSuccess)
		// The client reads the same.
		c, p := r.client()
		p.answer["PKIOperation"] = func(s seen) *http.Response { return pkiMessage(sceptest.Indefinite(r.post(s.body).body, 10)) }
		r.enrol(c, enrolment(t))
	},
	"W24": func(t *testing.T) {
		r := standard(t)
		digestAlgorithm := slices.Concat(signerInfo, []int{2})
		sent := r.message().Bytes(t)
		for _, der := range [][]byte{sent, r.ask(r.message()).der} {
			if v := at(t, der, digestAlgorithm...); len(decode(t, v.Bytes)) != 1 {
				t.Errorf("parameters are written: %x", v.FullBytes)
			}
		}
		withNull := func(v asn1.RawValue) []byte {
			return element(asn1.TagSequence|0x20, slices.Concat(v.Bytes, []byte{asn1.TagNull, 0}))
		}
		r.askDER(edit(t, sent, withNull, digestAlgorithm...)).want(scep.StatusSuccess)
	},
	"W25": func(t *testing.T) {
		r := standard(t)
		signatureAlgorithm := slices.Concat(signerInfo, []int{4})
		sent := r.message().Bytes(t)
		rsaEncryption := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
		sha256WithRSA := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
		for _, oid := range []asn1.ObjectIdentifier{rsaEncryption, sha256WithRSA} {
			identifier := element(asn1.TagSequence|0x20, slices.Concat(encodedOID(t, oid), []byte{asn1.TagNull, 0}))
			r.askDER(edit(t, sent, replaced(identifier), signatureAlgorithm...)).want(scep.StatusSuccess)
		}
		wantOID(t, at(t, r.ask(r.message()).der, slices.Concat(signatureAlgorithm, []int{0})...), rsaEncryption)
	},
	"W26": func(t *testing.T) {
		r := standard(t)
		for cipher, want := range map[scep.Cipher]struct {
			oid string
			iv  int
		}{scep.AES128CBC: {"2.16.840.1.101.3.4.1.2", 16}, scep.TripleDESCBC: {"1.2.840.113549.3.7", 8}} {
			m := r.message()
			m.Cipher = cipher
			algorithm := at(t, r.ask(m).want(scep.StatusSuccess).Content, 1, 0, 2, 1)
			parts := decode(t, algorithm.Bytes)
			wantText(t, parts[0], want.oid)
			if parts[1].Tag != asn1.TagOctetString || len(parts[1].Bytes) != want.iv {
				t.Errorf("%v: parameters %x", cipher, parts[1].FullBytes)
			}
		}
		for digest, oid := range map[crypto.Hash]string{
			crypto.SHA1: "1.3.14.3.2.26", crypto.SHA256: "2.16.840.1.101.3.4.2.1", crypto.SHA512: "2.16.840.1.101.3.4.2.3",
		} {
			m := r.message()
			m.Digest = digest
			wantText(t, at(t, r.ask(m).der, slices.Concat(signerInfo, []int{2, 0})...), oid)
		}
		recipient := at(t, r.ask(r.message()).Content, 1, 0, 1, 0)
		wantText(t, at(t, recipient.FullBytes, 2, 0), "1.2.840.113549.1.1.1")
	},
	"W27": func(t *testing.T) {
		r := issues(t, scep.Settings{PasswordRecipient: true})
		envelope := at(t, r.ask(r.messageBy(ecKey(t))).want(scep.StatusSuccess).Content, 1, 0).FullBytes
		if v := at(t, envelope, 0); !bytes.Equal(v.Bytes, []byte{3}) {
			t.Errorf("EnvelopedData of version %x", v.Bytes)
		}
		recipient := at(t, envelope, 1, 0)
		parts := decode(t, recipient.Bytes)
		if recipient.Class != asn1.ClassContextSpecific || recipient.Tag != 3 || len(parts) != 4 || !bytes.Equal(parts[0].Bytes, []byte{0}) {
			t.Fatalf("recipient %x", recipient.FullBytes)
		}
		wantText(t, decode(t, parts[1].Bytes)[0], "1.2.840.113549.1.5.12")     // PBKDF2
		wantText(t, decode(t, parts[2].Bytes)[0], "1.2.840.113549.1.9.16.3.9") // PWRI-KEK
		cipher := decode(t, parts[2].Bytes)[1]
		wantText(t, decode(t, cipher.Bytes)[0], "2.16.840.1.101.3.4.1.2")
		if parts[3].Tag != asn1.TagOctetString || len(parts[3].Bytes)%16 != 0 || len(parts[3].Bytes) < 32 {
			t.Errorf("encryptedKey of %d octets", len(parts[3].Bytes))
		}
	},
	"W28": func(t *testing.T) {
		r := issues(t, scep.Settings{PasswordRecipient: true})
		c, p := r.client()
		e := enrolment(t)
		e.Key = ecKey(t)
		r.enrol(c, e) // to the RA by key transport, back by password
		sent, err := cms.ParseEnvelopedData(p.messages()[0].Content)
		if err != nil || len(sent.Recipients) != 1 || len(sent.PasswordRecipients) != 0 {
			t.Errorf("sent to %v, %v", sent.Recipients, err)
		}
		// After PENDING it is the Backend that remembers the password.
		var stored string
		slow := newRig(t, sceptest.Options{Settings: scep.Settings{PasswordRecipient: true}, Backend: backend(func(r *scep.Request) (*scep.Reply, error) {
			if r.CSR != nil {
				stored = r.ChallengePassword
				return scep.Pending(), nil
			}
			reply := scep.Success(sceptest.SelfSigned(t, nil, device(t)))
			reply.Password = stored
			return reply, nil
		})})
		m := slow.messageBy(ecKey(t))
		slow.ask(m).want(scep.StatusPending)
		if e := slow.ask(slow.poll(m)).want(scep.StatusSuccess).envelope(); len(e.PasswordRecipients) != 1 {
			t.Errorf("%d recipients by password", len(e.PasswordRecipients))
		}
	},
	"W29": func(t *testing.T) {
		a := standard(t).get("operation=GetCACaps")
		if a.status != http.StatusOK || a.mediaType != "text/plain" || !bytes.HasPrefix(a.body, []byte("AES\nDES3\n")) {
			t.Errorf("HTTP %d %q %q", a.status, a.mediaType, a.body)
		}
	},
	"W30": func(t *testing.T) {
		for mediaType, r := range map[string]rig{"application/x-x509-ca-cert": singleCA(t), "application/x-x509-ca-ra-cert": standard(t)} {
			if a := r.get("operation=GetCACert"); a.status != http.StatusOK || a.mediaType != mediaType || a.body[0] != 0x30 {
				t.Errorf("HTTP %d %q %x", a.status, a.mediaType, a.body[:8])
			}
		}
	},
	"W31": func(t *testing.T) {
		r, _ := rollsOver(t)
		a := r.get("operation=GetNextCACert")
		if a.status != http.StatusOK || a.mediaType != "application/x-x509-next-ca-cert" {
			t.Errorf("HTTP %d %q", a.status, a.mediaType)
		}
		if err := parse(t, a.body).Verify(r.Identity().Active.Signing.Certificate); err != nil {
			t.Error(err)
		}
	},
	"W32": func(t *testing.T) {
		r := standard(t)
		a := r.post(r.message().Bytes(t))
		if a.status != http.StatusOK || a.mediaType != "application/x-pki-message" || a.body[0] != 0x30 {
			t.Errorf("HTTP %d %q %x", a.status, a.mediaType, a.body[:8])
		}
	},
	"W33": func(t *testing.T) {
		message, query := sentByGET(t)
		if len(message) == 0 || query.Get("operation") != "PKIOperation" || len(query) != 2 {
			t.Errorf("query %v", query)
		}
	},
	"W34": func(t *testing.T) {
		r := standard(t)
		active := r.Identity().Active
		want := []*x509.Certificate{active.Signing.Certificate, active.Encryption.Certificate, r.CA.Certificate, r.CA.Root}
		for n, raw := range parse(t, r.get("operation=GetCACert").body).Certificates {
			if !bytes.Equal(raw, want[n].Raw) {
				t.Errorf("certificate %d is not %v", n, want[n].Subject)
			}
		}
	},
	"W35": func(t *testing.T) {
		r := standard(t)
		before := r.get("operation=GetCACert").body
		id := *r.Identity()
		id.NextCA = []*x509.Certificate{namesake(t, r.CA.Certificate, 3)}
		r.SetIdentity(&id)
		if !bytes.Equal(r.get("operation=GetCACert").body, before) {
			t.Error("GetCACert has changed")
		}
	},
	"W36": func(t *testing.T) {
		wantUsed(t, answers(http.StatusOK, "text/plain", "SCEPStandard\n"), used{scep.AES128CBC, crypto.SHA256, http.MethodPost})
		for _, keyword := range []string{"SCEPStandard", "AES", "POSTPKIOperation", "SHA-256"} {
			if !slices.Contains(keywords(newRig(t, sceptest.Options{})), keyword) {
				t.Errorf("%s is not announced", keyword)
			}
		}
	},
	"W37": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Settings: scep.Settings{GetCert: true}, Backend: backend(
			func(*scep.Request) (*scep.Reply, error) { return scep.Fail(scep.BadCertID, ""), nil })})
		c, p := r.client()
		for range 2 {
			if _, err := c.GetCert(t.Context(), query(t, r.CA.Certificate)); err != nil {
				t.Fatal(err)
			}
		}
		e := enrolment(t)
		e.TransactionID = "the client's choice"
		if _, err := c.Enrol(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		ids := make([]string, 3)
		for n, m := range p.messages() {
			ids[n] = value(t, m, transactionID, asn1.TagPrintableString)
		}
		if ids[0] == ids[1] || ids[2] != e.TransactionID {
			t.Errorf("transactionIDs %q", ids)
		}
	},
	"W38": func(t *testing.T) {
		r := newRig(t, sceptest.Options{Challenge: password, Pending: 2})
		c, p := r.client()
		r.enrol(c, enrolment(t))
		for _, m := range p.messages() {
			if _, ok := m.Attribute(recipientNonce); ok {
				t.Error("the client sends a recipientNonce")
			}
		}
		m := r.message()
		r.ask(m).want(scep.StatusPending)
		again := r.poll(m)
		again.SenderNonce = m.SenderNonce // an old nonce, and one that means nothing
		again.Extra = []cms.Attribute{{Type: recipientNonce, Value: element(asn1.TagOctetString, []byte("whatever"))}}
		r.ask(again).want(scep.StatusPending)
	},
	"W39": func(t *testing.T) {
		r := approvedAfter(t, 1, nil)
		c, p := r.client()
		c.PollLimit = 0
		waits, err := c.Enrol(t.Context(), enrolment(t))
		if err != nil || waits.Status != scep.StatusPending || waits.Certificate != nil {
			t.Errorf("%+v, %v", waits, err)
		}
		if has := r.enrol(c, enrolment(t)); has.Certificate == nil || len(p.of("PKIOperation")) != 2 {
			t.Errorf("%+v", has)
		}
	},
}

// sentFirst is the first message of a client.
func sentFirst(t *testing.T) *cms.SignedData {
	t.Helper()
	r := standard(t)
	c, p := r.client()
	r.enrol(c, enrolment(t))
	return p.messages()[0]
}

func answeredWith(t *testing.T, tell *scep.Reply) reply {
	t.Helper()
	r := decides(t, tell)
	return r.ask(r.message())
}

// wantAttribute wants the DER of an attribute's value, in hexadecimal.
func wantAttribute(t *testing.T, s *cms.SignedData, oid asn1.ObjectIdentifier, want string) {
	t.Helper()
	if der, _ := s.Attribute(oid); hexadecimal(der) != want {
		t.Errorf("attribute %v is %x, want %s", oid, der, want)
	}
}

func wantRecipient(t *testing.T, s *cms.SignedData, want *x509.Certificate) {
	t.Helper()
	e, err := cms.ParseEnvelopedData(s.Content)
	if err != nil || len(e.Recipients) != 1 || !e.Recipients[0].ID.Matches(want) {
		t.Errorf("encrypted to %v, %v, want %v", e.Recipients, err, want.Subject)
	}
}

// contentOf decrypts a message with the RA's key.
func contentOf(t *testing.T, r rig, s *cms.SignedData) []byte {
	t.Helper()
	p := reply{s, t, nil}
	return p.opened(r.Identity().Active.Encryption.Key)
}

// wantText wants an OID, in dots.
func wantText(t *testing.T, v asn1.RawValue, want string) {
	t.Helper()
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(v.FullBytes, &oid); err != nil || oid.String() != want {
		t.Errorf("OID %v (%v), want %s", oid, err, want)
	}
}

func hexadecimal(b []byte) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}
