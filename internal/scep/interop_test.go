package scep_test

import (
	"bufio"
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// What real clients do that other servers fail on, and that no other test here is
// about.

// A plus is a plus, and whatever else became of the base64 on its way.
func TestBase64OfGETAsClientsWriteIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: backend(pending)})
	message := b.message(t).Bytes(t)
	standard := base64.StdEncoding.EncodeToString(message)
	urlSafe := base64.URLEncoding.EncodeToString(message)
	var lines strings.Builder
	for line := range slices.Chunk([]byte(standard), 64) {
		lines.Write(append(line, '\n'))
	}
	for name, parameter := range map[string]string{
		"Android, jscep: nothing escaped":    standard,
		"macOS, Cisco: only padding escaped": strings.ReplaceAll(standard, "=", "%3D"),
		"RFC 8894: escaped":                  url.QueryEscape(standard),
		"micromdm: URL-safe":                 urlSafe,
		"URL-safe, not padded":               strings.TrimRight(urlSafe, "="),
		"not padded":                         strings.TrimRight(standard, "="),
		"sscep, strongSwan: lines":           url.QueryEscape(lines.String()),
		"form decoded by a proxy":            strings.ReplaceAll(standard, "+", "%20"),
		"escaped again by a proxy":           url.QueryEscape(url.QueryEscape(standard)),
		"lines, escaped again":               url.QueryEscape(url.QueryEscape(lines.String())),
	} {
		t.Run(name, func(t *testing.T) {
			get(t, s.URL+"?operation=PKIOperation&message="+parameter).want(t, http.StatusOK, mediaMessage)
		})
	}
}

// Windows, iOS, jscep and others name a CA or a profile that nobody knows.
func TestMessageOfTheGetOperationsIsIgnored(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{})
	for operation, media := range map[string]string{
		"GetCACaps": "text/plain", "GetCACert": "application/x-x509-ca-ra-cert", "GETCACERT": "application/x-x509-ca-ra-cert",
	} {
		for _, message := range []string{"", "&message", "&message=", "&message=default", "&message=SCEP%20Authority", "&message=ca", "&message=%zz"} {
			get(t, s.URL+"?operation="+operation+message).want(t, http.StatusOK, media)
		}
	}
}

// Paths and queries as administrators type them and clients extend them; nothing
// is redirected.
func TestURLsAsTheyAreTyped(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{Paths: scep.HistoricalPaths})
	host := strings.TrimSuffix(s.URL, "/scep")
	for _, path := range []string{
		"/scep", "/scep/", "/SCEP", "/scep/corp", "/scep/pkiclient.exe", "/scep:8080/pkiclient.exe", "/scep//x/../pkiclient.exe",
		"/certsrv/mscep", "/certsrv/mscep/", "/certsrv/mscep/mscep.dll", "/CertSrv/mscep/mscep.dll/pkiclient.exe",
		"/cgi-bin/pkiclient.exe", "/cgi-bin/PKICLIENT.EXE", "/cgi-bin/pkiclient.exe/",
	} {
		for _, query := range []string{"?operation=GetCACaps", "?profile=x&operation=GetCACaps", "?profile=x?operation=GetCACaps"} {
			get(t, host+path+query).want(t, http.StatusOK, "text/plain")
		}
	}
}

// Routers speak HTTP/1.0 and name no host, also when they POST.
func TestHTTP10WithoutHost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: backend(pending)})
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	message := b.message(t).Bytes(t)
	encoded := url.QueryEscape(base64.StdEncoding.EncodeToString(message))
	for name, request := range map[string]string{
		"POST": fmt.Sprintf("POST /cgi-bin/pkiclient.exe?operation=PKIOperation HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(message), message),
		"GET":  "GET /cgi-bin/pkiclient.exe?operation=PKIOperation&message=" + encoded + " HTTP/1.0\r\n\r\n",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", target.Host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || response.ContentLength != int64(len(body)) {
			t.Errorf("%s: HTTP %d, %d bytes of %d, %v", name, response.StatusCode, len(body), response.ContentLength, err)
		}
		_ = response.Body.Close()
		_ = conn.Close()
	}
}

// micromdm's client never polls: it sends the bytes of its PKCSReq again.
func TestTheSameBytesAgainAreNoReplay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Challenge: challenge, Pending: 1})
	message := b.message(t).Bytes(t)
	for _, status := range []string{"3", "0", "0"} {
		a := send(t, http.MethodPost, s.URL, mediaMessage, bytes.NewReader(message))
		wantText(t, parseReply(t, a.body, b.id.Active.Signing), oid(3), asn1.TagPrintableString, status)
	}
	if s.Issued() != 1 {
		t.Errorf("%d certificates", s.Issued())
	}
}

// Some clients write the issuer of the RA certificate with other string types than
// it has.
func TestRecipientByAnotherEncodingOfItsIssuer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.message(t)
	retyped := *m.Recipient
	retyped.RawIssuer = bytes.ReplaceAll(m.Recipient.RawIssuer, []byte{asn1.TagPrintableString, 15}, []byte{asn1.TagUTF8String, 15})
	if bytes.Equal(retyped.RawIssuer, m.Recipient.RawIssuer) {
		t.Fatalf("nothing to retype in %x", m.Recipient.RawIssuer)
	}
	m.Recipient = &retyped
	if r := mustOpen(t, m.Bytes(t), b.id, scep.Settings{}); r.Generation != b.id.Active {
		t.Errorf("opened by %+v", r.Generation)
	}
}

// smallstep/pkcs7 puts GCM into an EnvelopedData, and cannot read the
// AuthEnvelopedData where it belongs: it is answered in CBC.
func TestGCMInAnEnvelopedData(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cert := sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 1))
	for cipher, want := range map[scep.Cipher]scep.Cipher{
		scep.AES128GCM: scep.AES128CBC, scep.AES192GCM: scep.AES192CBC, scep.AES256GCM: scep.AES256CBC,
	} {
		m := b.message(t)
		m.Cipher, m.Envelope = cipher, func(der []byte) []byte { return withMACInside(t, der) }
		r := mustOpen(t, m.Bytes(t), b.id, scep.Settings{})
		envelope, err := cms.ParseEnvelopedData(parseReply(t, b.reply(t, r, scep.Success(cert)), b.id.Active.Signing).Content)
		if err != nil || r.Cipher != cipher || envelope.Cipher() != want {
			t.Errorf("%v opened as %v, answered with %v, %v", cipher, r.Cipher, envelope.Cipher(), err)
		}
	}
}

// encryptedContent and the types after it are RFC 5652's and RFC 5083's.
type encryptedContent struct {
	Type      asn1.ObjectIdentifier
	Algorithm asn1.RawValue
	Content   asn1.RawValue
}

type authEnvelopedData struct {
	Type    asn1.ObjectIdentifier
	Content struct {
		Version    int
		Recipients asn1.RawValue
		Encrypted  encryptedContent
		MAC        []byte
	} `asn1:"explicit,tag:0"`
}

type envelopedData struct {
	Type    asn1.ObjectIdentifier
	Content struct {
		Version    int
		Recipients asn1.RawValue
		Encrypted  encryptedContent
	} `asn1:"explicit,tag:0"`
}

// withMACInside turns an AuthEnvelopedData into an EnvelopedData with the MAC at
// the end of the ciphertext.
func withMACInside(t *testing.T, der []byte) []byte {
	t.Helper()
	var from authEnvelopedData
	if rest, err := asn1.Unmarshal(der, &from); err != nil || len(rest) != 0 {
		t.Fatalf("%v, %x", err, rest)
	}
	to := envelopedData{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}}
	to.Content.Recipients, to.Content.Encrypted = from.Content.Recipients, from.Content.Encrypted
	ciphertext := slices.Concat(from.Content.Encrypted.Content.Bytes, from.Content.MAC)
	to.Content.Encrypted.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: ciphertext}
	out, err := asn1.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The drafts' UpdateReq is a renewal by another name.
func TestUpdateReqIsARenewal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.message(t)
	withType(scep.UpdateReq)(&m)
	r := mustOpen(t, m.Bytes(t), b.id, scep.Settings{Renewal: true})
	if r.MessageType != scep.UpdateReq || !r.Renews() || r.CSR == nil {
		t.Errorf("got %+v", r)
	}
	if e := openError(t, m.Bytes(t), b.id); e.Text != "UpdateReq is not supported here" {
		t.Errorf("without renewals: %q", e.Text)
	}
}
