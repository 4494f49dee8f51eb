package conformance

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Apple's transaction identifier
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// A family is a kind of device that cannot be run here. Its whole way of enrolling is
// imitated, as its makers and those who served it have described it in public: what it
// makes of GetCACert, what it sends and how, and what it will not take for an answer.
type family struct {
	name   string
	legacy legacy
	layout sceptest.Layout
	path   string // of the URL in its profile, and what it adds to that
	ca     string // the message parameter of GetCACert
	choose func([]*x509.Certificate) (signing, encryption *x509.Certificate)
	change func(*testing.T, *sceptest.Message)
	carry  carrier
	// want are cipher and digest of the answer.
	want [2]string
}

var families = []family{
	{
		name: "Apple", path: "/scep", ca: "SCEP%20Authority", choose: asApple,
		change: likeApple, carry: byGET(paddingEscaped), want: [2]string{"AES-128-CBC", "SHA-256"},
	},
	{
		name: "Apple, one RA certificate", layout: sceptest.Combined, path: "/scep", ca: "SCEP%20Authority", choose: asApple,
		change: likeApple, carry: byPOST("application/x-pki-message"), want: [2]string{"AES-128-CBC", "SHA-256"},
	},
	{
		name: "Windows", path: "/certsrv/mscep/mscep.dll/pkiclient.exe", ca: "default", choose: byKeyUsage,
		change: func(_ *testing.T, m *sceptest.Message) { m.Cipher, m.Transport = scep.AES256CBC, scep.OAEPSHA1 },
		carry:  byPOST("application/x-pki-message"), want: [2]string{"AES-256-CBC", "SHA-256"},
	},
	{
		name: "Android, jscep", path: "/scep/pkiclient.exe", ca: "ca", choose: byKeyUsage,
		change: inPieces, carry: byGET(unescaped), want: [2]string{"AES-128-CBC", "SHA-256"},
	},
	{
		name: "ChromeOS", path: "/certsrv/mscep/mscep.dll", ca: "ca", choose: byKeyUsage,
		change: inPieces, carry: byPOST("application/octet-stream"), want: [2]string{"AES-128-CBC", "SHA-256"},
	},
	{
		name: "Cisco IOS", path: "/cgi-bin/pkiclient.exe", ca: "router", choose: byKeyUsage,
		legacy: legacy{v1alpha1.SHA1, v1alpha1.TripleDES},
		change: func(_ *testing.T, m *sceptest.Message) { m.Cipher, m.Digest = scep.TripleDESCBC, crypto.SHA1 },
		carry:  withoutHost, want: [2]string{"3DES", "SHA-1"},
	},
	{
		name: "MikroTik", path: "/scep/", ca: "", choose: byKeyUsage,
		change: func(*testing.T, *sceptest.Message) {}, carry: byGET(inLines), want: [2]string{"AES-128-CBC", "SHA-256"},
	},
	{
		name: "Juniper", path: "/scep", ca: "ca-identity", choose: byKeyUsage,
		legacy: legacy{v1alpha1.SHA1, v1alpha1.TripleDES},
		change: func(_ *testing.T, m *sceptest.Message) { m.Cipher, m.Digest = scep.TripleDESCBC, crypto.SHA1 },
		carry:  byPOST(""), want: [2]string{"3DES", "SHA-1"},
	},
}

// TestFamilies enrols and renews as each family does. Renewal is by a PKCSReq that the
// old certificate signs: none of these families makes a RenewalReq.
func TestFamilies(t *testing.T) {
	described, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			if kind, _, _ := strings.Cut(f.name, ","); !strings.Contains(string(described), "| "+kind) {
				t.Errorf("%s has no row for %s", page, kind)
			}
			f.enrolAndRenew(t)
		})
	}
}

func (f family) enrolAndRenew(t *testing.T) {
	s := newScene(t, sceptest.Options{Settings: f.legacy.settings(), Layout: f.layout, Paths: scep.HistoricalPaths})
	target := strings.TrimSuffix(s.URL, "/scep") + f.path
	signing, encryption := f.choose(getCACert(t, target+"?operation=GetCACert&message="+f.ca))
	key := sceptest.RSAKey(t, 21)

	m := sceptest.NewMessage(t, s.Identity(), sceptest.CSR(t, key, sceptest.CSROptions{ChallengePassword: challenge}), key)
	m.Recipient = encryption
	f.change(t, &m)
	first := f.exchange(t, target, m, key, signing)

	m = sceptest.NewMessage(t, s.Identity(), sceptest.CSR(t, key, sceptest.CSROptions{}), key)
	m.Recipient = encryption
	f.change(t, &m)
	m.Signer = first
	if second := f.exchange(t, target, m, key, signing); second.Equal(first) {
		t.Error("the renewal brought the same certificate")
	}
}

// exchange sends a message, and takes the answer only as the strictest clients do.
func (f family) exchange(t *testing.T, target string, m sceptest.Message, key *rsa.PrivateKey, signing *x509.Certificate) *x509.Certificate {
	t.Helper()
	body := f.carry(t, target+"?operation=PKIOperation", m.Bytes(t))
	reply := readMessage(body)
	if reply == nil {
		t.Fatalf("the answer is no pkiMessage: %.80q", body)
	}
	for attribute, want := range map[string]string{
		attributeMessageType: "3", attributeStatus: "0", attributeTransaction: m.TransactionID,
	} {
		if got := reply.attributes[attribute]; got.Tag != asn1.TagPrintableString || string(got.Bytes) != want {
			t.Errorf("attribute %s is %q with tag %d, want the PrintableString %q", attribute, got.Bytes, got.Tag, want)
		}
	}
	if got := reply.attributes[attributeRecipient]; got.Tag != asn1.TagOctetString || !bytes.Equal(got.Bytes, m.SenderNonce) {
		t.Error("recipientNonce is not our senderNonce")
	}
	if got := reply.attributes[attributeSenderNonce]; got.Tag != asn1.TagOctetString || len(got.Bytes) != 16 || bytes.Equal(got.Bytes, m.SenderNonce) {
		t.Error("senderNonce is not 16 new bytes")
	}
	if reply.signer.Serial.Cmp(signing.SerialNumber) != 0 || reply.signature != "PKCS #1 v1.5" {
		t.Errorf("signed by %v with %s", reply.signer.Serial, reply.signature)
	}
	if got := [2]string{reply.cipher, reply.digest}; got != f.want {
		t.Errorf("answered with %v, want %v", got, f.want)
	}
	return issued(t, reply, key)
}

// issued decrypts the one certificate of an answer: Juniper will not have more.
func issued(t *testing.T, reply *message, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	envelope, err := cms.ParseEnvelopedData(reply.envelope)
	if err != nil {
		t.Fatal(err)
	}
	content, err := envelope.Decrypt(envelope.Recipients[0], key)
	if err != nil || !content.Sound {
		t.Fatalf("decrypt: %v", err)
	}
	certificates, err := cms.ParseCertificates(content.Bytes, cms.Limits{Nesting: 32, Certificates: 16, Attributes: 64})
	if err != nil || len(certificates) != 1 {
		t.Fatalf("%d certificates, %v", len(certificates), err)
	}
	return certificates[0]
}

// asApple chooses by key usage alone: one certificate that may do both, or one that
// may only sign and one that may only encrypt.
func asApple(all []*x509.Certificate) (signing, encryption *x509.Certificate) {
	const both = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	for _, c := range all {
		switch c.KeyUsage & both {
		case both:
			return c, c
		case x509.KeyUsageDigitalSignature:
			if !c.IsCA {
				signing = c
			}
		case x509.KeyUsageKeyEncipherment:
			encryption = c
		}
	}
	return signing, encryption
}

// byKeyUsage chooses as jscep does: the first that is no CA and has the usage.
func byKeyUsage(all []*x509.Certificate) (signing, encryption *x509.Certificate) {
	first := func(usage x509.KeyUsage) *x509.Certificate {
		for _, c := range all {
			if !c.IsCA && c.KeyUsage&usage != 0 {
				return c
			}
		}
		return nil
	}
	return first(x509.KeyUsageDigitalSignature), first(x509.KeyUsageKeyEncipherment)
}

// likeApple signs with a certificate of another subject than the CSR's, names the
// transaction after the key, and writes BER in pieces.
func likeApple(t *testing.T, m *sceptest.Message) {
	t.Helper()
	public, err := x509.MarshalPKIXPublicKey(m.SignerKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	m.TransactionID = fmt.Sprintf("%X", sha1.Sum(public)) //nolint:gosec // as above
	m.Signer = sceptest.SelfSigned(t, &x509.Certificate{Subject: pkix.Name{CommonName: "3F2504E0-4F89-11D3-9A0C-0305E82C3301"}}, m.SignerKey)
	inPieces(t, m)
}

// inPieces writes the message, and the envelope in it, with indefinite lengths and its
// OCTET STRINGs in pieces, as BouncyCastle (jscep) and iOS do.
func inPieces(_ *testing.T, m *sceptest.Message) {
	pieces := func(der []byte) []byte { return sceptest.Indefinite(der, 1000) }
	m.Envelope, m.Message = pieces, pieces
}

func getCACert(t *testing.T, target string) []*x509.Certificate {
	t.Helper()
	body := fetch(t, http.MethodGet, target, "", nil, "application/x-x509-ca-ra-cert")
	certificates, err := cms.ParseCertificates(body, cms.Limits{Nesting: 32, Certificates: 16, Attributes: 64})
	if err != nil {
		t.Fatal(err)
	}
	return certificates
}

// carrier brings a message to the RA and returns the body of the answer.
type carrier func(t *testing.T, target string, message []byte) []byte

func byPOST(contentType string) carrier {
	return func(t *testing.T, target string, message []byte) []byte {
		t.Helper()
		return fetch(t, http.MethodPost, target, contentType, message, "application/x-pki-message")
	}
}

func byGET(encode func([]byte) string) carrier {
	return func(t *testing.T, target string, message []byte) []byte {
		t.Helper()
		return fetch(t, http.MethodGet, target+"&message="+encode(message), "", nil, "application/x-pki-message")
	}
}

func unescaped(message []byte) string { return base64.StdEncoding.EncodeToString(message) }

func paddingEscaped(message []byte) string {
	return strings.ReplaceAll(unescaped(message), "=", "%3D")
}

func inLines(message []byte) string {
	var lines strings.Builder
	for rest := unescaped(message); rest != ""; {
		line := rest[:min(64, len(rest))]
		lines.WriteString(line + "\n")
		rest = rest[len(line):]
	}
	return url.QueryEscape(lines.String())
}

func fetch(t *testing.T, method, target, contentType string, body []byte, wantType string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != wantType {
		t.Fatalf("%s: %s %q, %v", method, response.Status, response.Header.Get("Content-Type"), err)
	}
	return got
}

// withoutHost speaks HTTP/1.0 and names no host.
func withoutHost(t *testing.T, target string, message []byte) []byte {
	t.Helper()
	parsed, err := url.Parse(target + "&message=" + inLines(message))
	if err != nil {
		t.Fatal(err)
	}
	connection, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", parsed.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := fmt.Fprintf(connection, "GET %s HTTP/1.0\r\n\r\n", parsed.RequestURI()); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(connection)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !bytes.Contains(head, []byte(" 200 OK")) {
		t.Fatalf("got %.200q", head)
	}
	return body
}
