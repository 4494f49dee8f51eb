package revocation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// noon is the time of the tests, unless they move the clock.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a CA, its server on the loopback interface, and a checker with a clock.
type world struct {
	t       testing.TB
	ca      *x509.Certificate
	key     *ecdsa.PrivateKey
	server  *httptest.Server
	mux     *http.ServeMux
	calls   atomic.Int64
	clock   atomic.Int64 // seconds after noon
	checker *Checker
	grace   time.Duration // of want
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, key: newKey(t), mux: http.NewServeMux()}
	w.ca = w.newCA(w.key, "CA")
	w.server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.calls.Add(1)
		w.mux.ServeHTTP(out, r)
	}))
	t.Cleanup(w.server.Close)
	w.checker = New(Options{Now: w.now})
	return w
}

func (w *world) now() time.Time { return noon.Add(time.Duration(w.clock.Load()) * time.Second) }

func (w *world) pass(d time.Duration) { w.clock.Add(int64(d / time.Second)) }

func (w *world) newCA(key crypto.Signer, name string) *x509.Certificate {
	w.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, SubjectKeyId: []byte(name),
		NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(5, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return w.certify(template, template, key.Public(), key)
}

func (w *world) certify(template, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	w.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// device is a certificate with its sources: paths of the server, or whole URLs.
func (w *world) device(serial int64, lists, responders []string) *x509.Certificate {
	w.t.Helper()
	return w.deviceUntil(noon.AddDate(0, 6, 0), serial, lists, responders)
}

func (w *world) deviceUntil(end time.Time, serial int64, lists, responders []string) *x509.Certificate {
	w.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "device"},
		NotBefore: noon.AddDate(0, -6, 0), NotAfter: end,
		CRLDistributionPoints: w.urls(lists), OCSPServer: w.urls(responders),
	}
	return w.certify(template, w.ca, newKey(w.t).Public(), w.key)
}

func (w *world) urls(paths []string) []string {
	var out []string
	for _, p := range paths {
		if p[0] == '/' {
			p = w.server.URL + p
		}
		out = append(out, p)
	}
	return out
}

// serve answers a path with bytes that may change from call to call.
func (w *world) serve(path string, answer func() []byte) {
	w.mux.HandleFunc(path, func(out http.ResponseWriter, _ *http.Request) { _, _ = out.Write(answer()) })
}

func fixed(der []byte) func() []byte { return func() []byte { return der } }

// crl is a list of the CA with changes; it revokes certificate 13.
func (w *world) crl(change func(*x509.RevocationList)) []byte {
	w.t.Helper()
	return w.crlBy(w.ca, w.key, change)
}

func (w *world) crlBy(issuer *x509.Certificate, key crypto.Signer, change func(*x509.RevocationList)) []byte {
	w.t.Helper()
	template := &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: w.now().Add(-time.Minute), NextUpdate: w.now().Add(24 * time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(13), RevocationTime: noon.Add(-time.Hour), ReasonCode: 1}},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, issuer, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return der
}

// respond makes an OCSP response about a certificate; its signer is the CA.
func (w *world) respond(c *x509.Certificate, change func(*ocsp.Response)) []byte {
	w.t.Helper()
	return w.respondBy(w.ca, w.key, c, change)
}

func (w *world) respondBy(signer *x509.Certificate, key crypto.Signer, c *x509.Certificate, change func(*ocsp.Response)) []byte {
	w.t.Helper()
	template := ocsp.Response{
		Status: ocsp.Good, SerialNumber: c.SerialNumber,
		ThisUpdate: w.now().Add(-time.Minute), NextUpdate: w.now().Add(24 * time.Hour),
	}
	if signer != w.ca {
		template.Certificate = signer
	}
	if change != nil {
		change(&template)
	}
	der, err := ocsp.CreateResponse(w.ca, signer, template, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return der
}

func marshal(t testing.TB, v any, params string) []byte {
	t.Helper()
	der, err := asn1.MarshalWithParams(v, params)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
