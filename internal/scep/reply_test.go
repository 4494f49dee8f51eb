package scep_test

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// oid is an attribute of SCEP.
func oid(last int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, last}
}

func failInfoText() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 24, 1} }

func parseReply(t *testing.T, der []byte, signer *scep.Credential) *cms.SignedData {
	t.Helper()
	s, err := cms.ParseSignedData(der, cms.Limits{Certificates: 16, Attributes: 64})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(signer.Certificate); err != nil {
		t.Fatal(err)
	}
	return s
}

func wantText(t *testing.T, s *cms.SignedData, oid asn1.ObjectIdentifier, tag byte, want string) {
	t.Helper()
	got, ok := s.Attribute(oid)
	if wanted := append([]byte{tag, byte(len(want))}, want...); !ok || !bytes.Equal(got, wanted) {
		t.Errorf("attribute %v is %x, want %x", oid, got, wanted)
	}
}

func (b bench) reply(t *testing.T, r *scep.Request, reply *scep.Reply) []byte {
	t.Helper()
	der, err := r.Respond(b.id, reply)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// The attributes in the types Apple, Windows and MikroTik insist on.
func TestReplyAttributes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := mustOpen(t, b.message(t).Bytes(t), b.id, scep.Settings{})
	cert := sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 1))
	for status, reply := range map[string]*scep.Reply{
		"0": scep.Success(cert), "2": scep.Fail(scep.BadCertID, "no näme"), "3": scep.Pending(),
	} {
		s := parseReply(t, b.reply(t, r, reply), b.id.Active.Signing)
		wantText(t, s, oid(2), asn1.TagPrintableString, "3")
		wantText(t, s, oid(3), asn1.TagPrintableString, status)
		wantText(t, s, oid(6), asn1.TagOctetString, string(r.SenderNonce))
		wantText(t, s, oid(7), asn1.TagPrintableString, r.TransactionID)
		nonce, _ := s.Attribute(oid(5))
		if len(nonce) != 18 || nonce[0] != asn1.TagOctetString || bytes.Equal(nonce[2:], r.SenderNonce) {
			t.Errorf("senderNonce %x", nonce)
		}
		if status == "2" {
			wantText(t, s, oid(4), asn1.TagPrintableString, "4")
			wantText(t, s, failInfoText(), asn1.TagUTF8String, "no näme")
		} else if _, ok := s.Attribute(oid(4)); ok {
			t.Errorf("status %s has a failInfo", status)
		}
		if len(s.Certificates) != 1 {
			t.Errorf("%d certificates", len(s.Certificates))
		}
	}
}

func TestReplyNonceIsFresh(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := mustOpen(t, b.message(t).Bytes(t), b.id, scep.Settings{})
	seen := map[string]bool{}
	for range 10 {
		nonce, _ := parseReply(t, b.reply(t, r, scep.Pending()), b.id.Active.Signing).Attribute(oid(5))
		seen[string(nonce)] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d different nonces in 10 replies", len(seen))
	}
}

// OpenSSL, certmonger and others cannot read a refusal without eContent.
func TestReplyContentIsPresentAndEmpty(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := mustOpen(t, b.message(t).Bytes(t), b.id, scep.Settings{})
	idData, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(idData, []byte{0xa0, 0x02, 0x04, 0x00})
	for _, reply := range []*scep.Reply{scep.Pending(), scep.Fail(scep.BadRequest, "")} {
		if der := b.reply(t, r, reply); !bytes.Contains(der, want) {
			t.Errorf("%v: no empty eContent in %x", reply.Status, der)
		}
	}
}

// strongSwan 5.9 takes plain rsaEncryption only.
func TestReplySignatureAlgorithm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := mustOpen(t, b.message(t).Bytes(t), b.id, scep.Settings{})
	der := b.reply(t, r, scep.Pending())
	signerInfo := der[bytes.LastIndex(der, r.SenderNonce):]
	rsaEncryption := []byte{0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00}
	if !bytes.Contains(signerInfo, rsaEncryption) {
		t.Errorf("no rsaEncryption in %x", signerInfo)
	}
}

// The answer has the request's algorithms, but never single DES or MD5.
func TestReplyMirrorsAlgorithms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cert := sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 1))
	ciphers := map[scep.Cipher]scep.Cipher{scep.DESCBC: scep.AES128CBC}
	digests := map[crypto.Hash]crypto.Hash{crypto.MD5: crypto.SHA1}
	for _, cipher := range scep.KnownCiphers() {
		for _, digest := range scep.KnownDigests() {
			m := b.message(t)
			m.Cipher, m.Digest = cipher, digest
			r := mustOpen(t, m.Bytes(t), b.id, everything)
			s := parseReply(t, b.reply(t, r, scep.Success(cert)), b.id.Active.Signing)
			envelope, err := cms.ParseEnvelopedData(s.Content)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Digest()
			if err != nil || got != cmp.Or(digests[digest], digest) || envelope.Cipher() != cmp.Or(ciphers[cipher], cipher) {
				t.Errorf("%v, %v answered with %v, %v", cipher, digest, envelope.Cipher(), got)
			}
			if len(envelope.Recipients) != 1 || !envelope.Recipients[0].ID.Matches(m.Signer) {
				t.Errorf("recipients %v", envelope.Recipients)
			}
		}
	}
}

// MD5 is answered with the best that its sender is likely to know, and so are
// its refusals.
func TestMD5IsNeverWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.message(t)
	m.Digest = crypto.MD5
	for want, s := range map[crypto.Hash]scep.Settings{
		crypto.SHA1: {AllowMD5: true, AllowSHA1: true}, crypto.SHA256: {AllowMD5: true},
	} {
		r := mustOpen(t, m.Bytes(t), b.id, s)
		if got, err := parseReply(t, b.reply(t, r, scep.Pending()), b.id.Active.Signing).Digest(); err != nil || got != want {
			t.Errorf("%+v: %v, %v", s, got, err)
		}
	}
	refused := m
	refused.Type = "99"
	for want, s := range map[crypto.Hash]scep.Settings{
		crypto.SHA1: {AllowMD5: true, AllowSHA1: true}, crypto.SHA256: {},
	} {
		_, err := scep.Open(refused.Bytes(t), b.id, s)
		var e *scep.MessageError
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		der, err := e.Respond(b.id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseReply(t, der, b.id.Active.Signing).Digest(); err != nil || got != want {
			t.Errorf("%+v: refused with %v, %v", s, got, err)
		}
	}
}

// A refused digest is not used for the refusal.
func TestRefusalOfADigest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.message(t)
	m.Digest = crypto.SHA1
	e := openError(t, m.Bytes(t), b.id)
	der, err := e.Respond(b.id)
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := parseReply(t, der, b.id.Active.Signing).Digest(); err != nil || digest != crypto.SHA256 {
		t.Errorf("signed with %v, %v", digest, err)
	}
}

// Also a refusal is signed by the generation its reader knows.
func TestRefusalIsSignedByTheGenerationAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.message(t)
	m.SignerKey = sceptest.RSAKey(t, 2) // the signature will not verify
	previous := b.id.Active
	id := &scep.Identity{Active: sceptest.NewGeneration(t, b.ca, sceptest.Combined), Others: []*scep.Generation{previous}}
	der, err := openError(t, m.Bytes(t), id).Respond(id)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, parseReply(t, der, previous.Signing), oid(4), asn1.TagPrintableString, "1")
}

func TestRespondErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := mustOpen(t, b.message(t).Bytes(t), b.id, scep.Settings{})
	if _, err := r.Respond(b.id, scep.Success()); err == nil {
		t.Error("SUCCESS without a certificate")
	}
	s := parseReply(t, b.reply(t, r, scep.Fail(scep.BadRequest, strings.Repeat("ä", 500))), b.id.Active.Signing)
	if text, _ := s.Attribute(failInfoText()); len(text) > 300 {
		t.Errorf("failInfoText of %d bytes", len(text))
	}
}

func TestStrings(t *testing.T) {
	t.Parallel()
	for want, value := range map[string]fmt.Stringer{
		"PKCSReq": scep.PKCSReq, "messageType -1": scep.MessageType(-1), "messageType 99": scep.MessageType(99),
		"SUCCESS": scep.StatusSuccess, "pkiStatus 1": scep.PKIStatus(1),
		"badAlg": scep.BadAlg, "failInfo 5": scep.FailInfo(5),
		"UpdateReq": scep.UpdateReq, "messageType -9223372036854775808": scep.MessageType(math.MinInt),
		"AES-128-CBC": scep.AES128CBC, "cipher 0": scep.Cipher(0),
	} {
		if value.String() != want {
			t.Errorf("%s, want %s", value, want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	c := &scep.Credential{Certificate: &x509.Certificate{Raw: []byte("abc")}}
	if got := c.Fingerprint(); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("got %s", got)
	}
}

func TestUnavailableError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	if err := (&scep.UnavailableError{Err: cause}); !errors.Is(err, cause) || err.Error() != "scep: unavailable: cause" {
		t.Errorf("got %v", err)
	}
	if err := (&scep.UnavailableError{}); err.Error() != "scep: unavailable" {
		t.Errorf("got %v", err)
	}
}
