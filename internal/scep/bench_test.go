package scep_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// maxOverhead is how much longer than its RSA operations an enrolment may keep
// the server busy.
const maxOverhead = 1.15

// fewPairs are too few to judge by: a run of that length is for a look only.
const fewPairs = 50

// enrolment is one message and all that is needed to answer it.
type enrolment struct {
	bench
	settings scep.Settings
	message  []byte
	signed   *cms.SignedData
	request  *scep.Request
	reply    *scep.Reply
}

var benchLimits = cms.Limits{Nesting: 32, Certificates: 16, Attributes: 64}

func newEnrolment(b *testing.B) enrolment {
	b.Helper()
	e := enrolment{bench: newBench(b)}
	e.message = e.bench.message(b).Bytes(b)
	var err error
	if e.request, err = scep.Open(e.message, e.id, scep.Settings{}); err != nil {
		b.Fatal(err)
	}
	if e.signed, err = parseSignedData(e.message); err != nil {
		b.Fatal(err)
	}
	issued, err := e.ca.Issue(&x509.Certificate{RawSubject: e.request.CSR.RawSubject}, e.request.CSR.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	e.reply = scep.Success(issued)
	return e
}

func parseSignedData(message []byte) (*cms.SignedData, error) {
	der, err := cms.Normalize(message, benchLimits.Nesting)
	if err != nil {
		return nil, err
	}
	return cms.ParseSignedData(der, benchLimits)
}

// measure runs one step again and again.
func measure(b *testing.B, step func() error) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if err := step(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	e := newEnrolment(b)
	b.SetBytes(int64(len(e.message)))
	measure(b, func() error {
		_, err := parseSignedData(e.message)
		return err
	})
}

// The same message as iOS and Android write it.
func BenchmarkParseBER(b *testing.B) {
	e := newEnrolment(b)
	message := sceptest.Indefinite(e.message, 100)
	b.SetBytes(int64(len(message)))
	measure(b, func() error {
		_, err := cms.Normalize(message, benchLimits.Nesting)
		return err
	})
}

func BenchmarkVerify(b *testing.B) {
	e := newEnrolment(b)
	measure(b, func() error {
		signer, _, err := e.signed.SignerCertificate()
		if err != nil {
			return err
		}
		return e.signed.Verify(signer)
	})
}

func BenchmarkDecrypt(b *testing.B) {
	e := newEnrolment(b)
	measure(b, func() error {
		envelope, err := cms.ParseEnvelopedData(e.signed.Content)
		if err != nil {
			return err
		}
		_, err = envelope.Decrypt(envelope.Recipients[0], decrypter(b, e.id.Active.Encryption))
		return err
	})
}

func BenchmarkCSR(b *testing.B) {
	e := newEnrolment(b)
	measure(b, func() error {
		csr, err := x509.ParseCertificateRequest(e.csr)
		if err != nil {
			return err
		}
		return csr.CheckSignature()
	})
}

// BenchmarkOpen is all of the above.
func BenchmarkOpen(b *testing.B) {
	e := newEnrolment(b)
	measure(b, func() error {
		_, err := scep.Open(e.message, e.id, scep.Settings{})
		return err
	})
}

func BenchmarkRespond(b *testing.B) {
	e := newEnrolment(b)
	measure(b, func() error {
		_, err := e.request.Respond(e.id, e.reply)
		return err
	})
}

// BenchmarkEnrolment is everything from the device's CSR to its certificate,
// over loopback: both sides, and the CA.
func BenchmarkEnrolment(b *testing.B) {
	s := sceptest.NewServer(b, sceptest.Options{})
	key := sceptest.RSAKey(b, 1)
	client := &scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL, Logger: slog.New(slog.DiscardHandler)}
	measure(b, func() error {
		_, err := client.Enrol(b.Context(), scep.EnrolRequest{Key: key})
		return err
	})
}

func decrypter(b *testing.B, c *scep.Credential) crypto.Decrypter {
	b.Helper()
	key, ok := c.Key.(crypto.Decrypter)
	if !ok {
		b.Fatalf("the key is a %T", c.Key)
	}
	return key
}

// bareRSA is what no server can do without for an enrolment: it decrypts the
// content-encryption key, verifies message and CSR, and signs the answer.
type bareRSA struct {
	device              *rsa.PrivateKey
	decryption, signing *rsa.PrivateKey
	block, sum, proof   []byte
}

func newBareRSA(b *testing.B, e enrolment) bareRSA {
	b.Helper()
	sum := sha256.Sum256(e.message)
	r := bareRSA{device: sceptest.RSAKey(b, 1), sum: sum[:]}
	var ok, also bool
	r.decryption, ok = e.id.Active.Encryption.Key.(*rsa.PrivateKey)
	r.signing, also = e.id.Active.Signing.Key.(*rsa.PrivateKey)
	if !ok || !also {
		b.Fatal("the RA's keys are no RSA keys")
	}
	var err error
	if r.block, err = rsa.EncryptPKCS1v15(rand.Reader, &r.decryption.PublicKey, make([]byte, 16)); err != nil { //nolint:staticcheck // all of SCEP uses it
		b.Fatal(err)
	}
	if r.proof, err = rsa.SignPKCS1v15(nil, r.device, crypto.SHA256, r.sum); err != nil {
		b.Fatal(err)
	}
	return r
}

func (r bareRSA) run() error {
	if _, err := rsa.DecryptPKCS1v15(nil, r.decryption, r.block); err != nil { //nolint:staticcheck // all of SCEP uses it
		return err
	}
	for range 2 {
		if err := rsa.VerifyPKCS1v15(&r.device.PublicKey, crypto.SHA256, r.sum, r.proof); err != nil {
			return err
		}
	}
	_, err := rsa.SignPKCS1v15(nil, r.signing, crypto.SHA256, r.sum)
	return err
}

// BenchmarkOverhead compares all that the server does for one enrolment, from
// the HTTP request to the last byte of the answer, with the bare RSA operations.
// The two are measured in turns. "ratio" is the median over the pairs: whatever
// else the machine does slows both of a pair. "best-ratio" compares the best times
// of each: noise only adds to them. A server that does too much exceeds the limit
// in both; a busy machine at most in one. The CA's own signature is no work of the
// server and left out.
func BenchmarkOverhead(b *testing.B) {
	e := newEnrolment(b)
	bare := newBareRSA(b, e)
	server := e.handler()
	var ratios, served, floor []float64
	for b.Loop() {
		whole := timed(b, func() error { return post(b.Context(), server, e.message) })
		rsaOnly := timed(b, bare.run)
		ratios = append(ratios, whole/rsaOnly)
		served, floor = append(served, whole), append(floor, rsaOnly)
	}
	b.ReportMetric(median(served), "server-ns")
	b.ReportMetric(median(floor), "rsa-ns")
	ratio, best := median(ratios), slices.Min(served)/slices.Min(floor)
	b.ReportMetric(ratio, "ratio")
	b.ReportMetric(best, "best-ratio")
	if len(ratios) >= fewPairs && min(ratio, best) > maxOverhead {
		b.Errorf("an enrolment takes the server %.3f (at best %.3f) times as long as its RSA operations, limit %.2f", ratio, best, maxOverhead)
	}
}

// handler answers every request with the same certificate.
func (e enrolment) handler() http.Handler {
	return scep.NewHandler(scep.HandlerConfig{
		Identity: func() *scep.Identity { return e.id },
		Settings: func() scep.Settings { return e.settings },
		Backend:  backend(func(*scep.Request) (*scep.Reply, error) { return e.reply, nil }),
		Logger:   slog.New(slog.DiscardHandler),
	})
}

func post(ctx context.Context, h http.Handler, message []byte) error {
	if recorder := serve(ctx, h, message); recorder.Code != http.StatusOK {
		return &scep.HTTPError{Operation: "PKIOperation", StatusCode: recorder.Code}
	}
	return nil
}

// serve posts a message to a handler without a network.
func serve(ctx context.Context, h http.Handler, message []byte) *httptest.ResponseRecorder {
	return record(h, httptest.NewRequestWithContext(ctx, http.MethodPost, "/scep?operation=PKIOperation", bytes.NewReader(message)))
}

func record(h http.Handler, request *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder
}

// timed is how long step takes, in nanoseconds.
func timed(b *testing.B, step func() error) float64 {
	b.Helper()
	start := time.Now()
	if err := step(); err != nil {
		b.Fatal(err)
	}
	return float64(time.Since(start).Nanoseconds())
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkRefusal measures the best time of each refusal that must look the same
// from outside (see oracle_test.go), in turns, and reports it as a share of the
// first one's. It is not asserted: a busy machine would fail it. "another-key" may
// be quicker, if its block is a number that the RA's modulus says cannot be one.
func BenchmarkRefusal(b *testing.B) {
	bench := newBench(b)
	cases := bench.unreadable(b, scep.AES128CBC, scep.PKCS1v15)
	names := make([]string, 0, len(cases))
	for name := range cases {
		names = append(names, name)
	}
	slices.Sort(names)
	server := enrolment{bench: bench}.handler()
	times := map[string][]float64{}
	for b.Loop() {
		for _, name := range names {
			message := cases[name]
			times[name] = append(times[name], timed(b, func() error { return post(b.Context(), server, message) }))
		}
	}
	for _, name := range names {
		b.ReportMetric(slices.Min(times[name])/slices.Min(times[names[0]]), name+"-ratio")
	}
}

// steps is by how much the message of BenchmarkGreedy grows, and maxGrowth by how
// much the time may: halfway between linear and quadratic.
const (
	steps     = 4
	maxGrowth = 8
)

// BenchmarkGreedy opens messages that are made to cost more than others, of a
// quarter of the default limit and of all of it, and wants the time to grow as
// the size does. It compares the best times: a busy machine only adds to them.
func BenchmarkGreedy(b *testing.B) {
	scene := newBench(b)
	unbound := everything
	unbound.Limits.MaxMessageBytes = 1 << 20
	size := scep.DefaultLimits.MaxMessageBytes / steps
	longer := scene.greedy(b, steps*size)
	for name, message := range scene.greedy(b, size) {
		b.Run(name, func(b *testing.B) {
			var short, long []float64
			open := func(message []byte) float64 {
				return timed(b, func() error { _, _ = scep.Open(message, scene.id, unbound); return nil })
			}
			for b.Loop() {
				short, long = append(short, open(message)), append(long, open(longer[name]))
			}
			growth := slices.Min(long) / slices.Min(short)
			b.ReportMetric(slices.Min(long), "long-ns")
			b.ReportMetric(growth, "growth")
			if len(long) >= fewPairs && growth > maxGrowth {
				b.Errorf("a message %d times as long takes %.1f times as long", steps, growth)
			}
		})
	}
}
