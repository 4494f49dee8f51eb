package scep_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// patience is what a client is given with a hostile server: far more than it may
// take where it is to find out by itself.
const patience = time.Minute

// A CertRep is believed only if all of it fits.
func TestClientRefusesCertReps(t *testing.T) {
	t.Parallel()
	stranger := sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 3))
	for name, test := range map[string]struct {
		lie    func(*sceptest.Answer)
		reason string
	}{
		"another recipientNonce": {func(a *sceptest.Answer) { a.RecipientNonce = []byte("sixteen octets..") }, "recipientNonce differs"},
		"no recipientNonce":      {func(a *sceptest.Answer) { a.RecipientNonce = nil }, "recipientNonce differs"},
		"another transactionID":  {func(a *sceptest.Answer) { a.TransactionID += "0" }, "transactionID differs"},
		"no transactionID":       {func(a *sceptest.Answer) { a.TransactionID = "" }, "transactionID differs"},
		"a request":              {func(a *sceptest.Answer) { a.Type = "19" }, "messageType is not CertRep"},
		"no messageType":         {func(a *sceptest.Answer) { a.Type = "" }, "messageType is not CertRep"},
		"pkiStatus 1":            {func(a *sceptest.Answer) { a.Status = "1" }, "unknown pkiStatus"},
		"pkiStatus of a word":    {func(a *sceptest.Answer) { a.Status = "SUCCESS" }, "unknown pkiStatus"},
		"pkiStatus padded":       {func(a *sceptest.Answer) { a.Status = "00" }, "unknown pkiStatus"},
		"no pkiStatus":           {func(a *sceptest.Answer) { a.Status = "" }, "unknown pkiStatus"},
		"failInfo 5": {func(a *sceptest.Answer) {
			a.Without(scep.StatusFailure)
			a.FailInfo = "5"
		}, "unknown failInfo"},
		"huge failInfo": {func(a *sceptest.Answer) {
			a.Without(scep.StatusFailure)
			a.FailInfo = strings.Repeat("9", 1000)
		}, "unknown failInfo"},
		"no failInfo":          {func(a *sceptest.Answer) { a.Without(scep.StatusFailure) }, "unknown failInfo"},
		"two statuses":         {func(a *sceptest.Answer) { a.Extra = append(a.Extra, attribute(3, "2")) }, "unknown pkiStatus"},
		"SUCCESS of nothing":   {func(a *sceptest.Answer) { a.Without(scep.StatusSuccess) }, "envelope"},
		"SUCCESS of no certs":  {func(a *sceptest.Answer) { a.Content = sceptest.Bundle(t) }, "no certificate for the requested key"},
		"another certificate":  {func(a *sceptest.Answer) { a.Content = sceptest.Bundle(t, stranger) }, "no certificate for the requested key"},
		"junk in the envelope": {func(a *sceptest.Answer) { a.Content = []byte("<html>") }, "certificates"},
		"an empty envelope":    {func(a *sceptest.Answer) { a.Content = nil }, "certificates"},
		"nesting":              {func(a *sceptest.Answer) { a.Content = sceptest.Nested(100) }, "certificates"},
		"more than 16 certificates": {func(a *sceptest.Answer) {
			a.Content = sceptest.Bundle(t, manyTimes(stranger, 17)...)
		}, "certificates"},
		"more than 64 attributes": {func(a *sceptest.Answer) {
			for range 65 {
				a.Extra = append(a.Extra, attribute(9, "x"))
			}
		}, "not a message"},
		"encrypted to another": {func(a *sceptest.Answer) { a.Recipient = stranger }, "envelope"},
		"encrypted to another of the same name": {func(a *sceptest.Answer) {
			twin := *a.Recipient
			twin.PublicKey = stranger.PublicKey
			a.Recipient = &twin
		}, "envelope"},
		"changed envelope": {func(a *sceptest.Answer) { a.Envelope = flipAt(-1) }, "envelope"},
		"signed by another": {func(a *sceptest.Answer) {
			a.Signer, a.SignerKey = stranger, sceptest.RSAKey(t, 3)
		}, "not signed by the RA"},
		"signed by another in the RA's name": {func(a *sceptest.Answer) { a.SignerKey = sceptest.RSAKey(t, 3) }, "not signed by the RA"},
		"changed":                            {func(a *sceptest.Answer) { a.Message.Message = flipAt(-1) }, "not signed by the RA"},
		"cut":                                {func(a *sceptest.Answer) { a.Message.Message = func(b []byte) []byte { return b[:len(b)/2] } }, "not a message"},
		"twice":                              {func(a *sceptest.Answer) { a.Message.Message = func(b []byte) []byte { return append(b, b...) } }, "not a message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceptest.NewHostileServer(t, sceptest.Options{}, sceptest.Hostility{CertRep: test.lie})
			_, err := enrolAt(t, s)
			wantReplyError(t, err, test.reason)
		})
	}
}

func wantReplyError(t *testing.T, err error, reason string) {
	t.Helper()
	var bad *scep.ReplyError
	if !errors.As(err, &bad) || !strings.Contains(bad.Error(), reason) {
		t.Errorf("got %v, want a ReplyError about %q", err, reason)
	}
}

// attribute is a text attribute of SCEP.
func attribute(last int, value string) cms.Attribute {
	return cms.Attribute{Type: oid(last), Value: append([]byte{0x13, byte(len(value))}, value...)}
}

func manyTimes(c *x509.Certificate, n int) []*x509.Certificate {
	all := make([]*x509.Certificate, n)
	for i := range all {
		all[i] = c
	}
	return all
}

// enrolAt enrols without polling, within a client's patience.
func enrolAt(t *testing.T, s *sceptest.Server) (*scep.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := (&scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}).Enrol(ctx, scep.EnrolRequest{Key: sceptest.RSAKey(t, 1)})
	if errors.Is(err, context.DeadlineExceeded) {
		t.Error("the client did not find out by itself")
	}
	return result, err
}

// The same server tells the truth if it is not asked to lie: what is refused above
// is refused for the lie alone.
func TestClientBelievesAnHonestCertRep(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*sceptest.Answer){
		"SUCCESS": func(*sceptest.Answer) {},
		"SUCCESS in BER": func(a *sceptest.Answer) {
			a.Message.Message = func(b []byte) []byte { return sceptest.Indefinite(b, 10) }
		},
		"SUCCESS, UTF8":     func(a *sceptest.Answer) { a.TextTag = 12 },
		"SUCCESS with more": func(a *sceptest.Answer) { a.Extra = []cms.Attribute{attribute(9, "extension")} },
		"another cipher":    func(a *sceptest.Answer) { a.Cipher, a.Digest = scep.AES256CBC, crypto.SHA512 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceptest.NewHostileServer(t, sceptest.Options{}, sceptest.Hostility{CertRep: change})
			result, err := enrolAt(t, s)
			if err != nil {
				t.Fatal(err)
			}
			wantSuccess(t, result, s.CA)
		})
	}
}

// A SUCCESS of an earlier enrolment, with the same key and transactionID, is good
// for that one only.
func TestClientRefusesAReplay(t *testing.T) {
	t.Parallel()
	var recorded atomic.Pointer[[]byte]
	s := sceptest.NewHostileServer(t, sceptest.Options{}, sceptest.Hostility{CertRep: func(a *sceptest.Answer) {
		a.Message.Message = func(der []byte) []byte {
			if recorded.CompareAndSwap(nil, &der) {
				return der
			}
			return *recorded.Load()
		}
	}})
	client := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}
	request := scep.EnrolRequest{Key: sceptest.RSAKey(t, 1), TransactionID: "the same"}
	wantSuccess(t, mustEnrol(t, client, request), s.CA)
	_, err := client.Enrol(t.Context(), request)
	wantReplyError(t, err, "recipientNonce differs")
}

// hostileHTTP is what any operation may be answered with.
func hostileHTTP() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"page":      sceptest.Typed("text/html", []byte("<html>Welcome to the Internet! Please log in.</html>")),
		"nothing":   sceptest.Typed("application/x-pki-message", nil),
		"zeros":     sceptest.Typed("application/x-pki-message", make([]byte, 500<<10)),
		"nesting":   sceptest.Typed("application/x-pki-message", sceptest.Nested(200_000)),
		"endless":   sceptest.Endless,
		"cut short": sceptest.CutShort,
		"teapot":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"loop":      func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) },
	}
}

// Whatever a server answers any operation with, the client ends by itself with an
// error that says which operation it was, or which answer.
func TestClientSurvivesAnyAnswer(t *testing.T) {
	t.Parallel()
	key := sceptest.RSAKey(t, 1)
	for operation, call := range map[string]func(context.Context, *scep.Client, *x509.Certificate) error{
		"GetCACert": func(ctx context.Context, c *scep.Client, _ *x509.Certificate) error {
			_, err := c.GetCACert(ctx)
			return err
		},
		"GetNextCACert": func(ctx context.Context, c *scep.Client, _ *x509.Certificate) error {
			_, err := c.GetNextCACert(ctx)
			return err
		},
		"PKIOperation": func(ctx context.Context, c *scep.Client, _ *x509.Certificate) error {
			_, err := c.Enrol(ctx, scep.EnrolRequest{Key: key})
			return err
		},
		"PKIOperation (GetCRL)": func(ctx context.Context, c *scep.Client, own *x509.Certificate) error {
			_, err := c.GetCRL(ctx, scep.CertQuery{SerialNumber: big.NewInt(1), Certificate: own, CertificateKey: key})
			return err
		},
	} {
		for name, answer := range hostileHTTP() {
			t.Run(operation+", "+name, func(t *testing.T) {
				t.Parallel()
				asked, _, _ := strings.Cut(operation, " ")
				s := sceptest.NewHostileServer(t, sceptest.Options{}, sceptest.Hostility{HTTP: map[string]http.HandlerFunc{asked: answer}})
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				client := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}
				err := call(ctx, client, sceptest.SelfSigned(t, nil, key))
				if ctx.Err() != nil || !typedClientError(err, asked) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// typedClientError says whether a caller can tell what went wrong.
func typedClientError(err error, operation string) bool {
	var reply *scep.ReplyError
	var status *scep.HTTPError
	var certificates *scep.CACertificateError
	return err != nil && (errors.As(err, &reply) || errors.As(err, &status) || errors.As(err, &certificates) ||
		errors.Is(err, cms.ErrEncoding) || strings.Contains(err.Error(), operation))
}

// GetCACaps says nothing that a client depends on: junk is nothing.
func TestClientShrugsAtJunkCapabilities(t *testing.T) {
	t.Parallel()
	for name, answer := range hostileHTTP() {
		if name == "endless" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceptest.NewHostileServer(t, sceptest.Options{Settings: everything},
				sceptest.Hostility{HTTP: map[string]http.HandlerFunc{"GetCACaps": answer}})
			result, err := enrolAt(t, s)
			if err != nil {
				if name != "loop" {
					t.Fatal(err)
				}
				return
			}
			wantSuccess(t, result, s.CA)
		})
	}
}

// A server that stops in the middle holds its client no longer than that wants.
func TestClientLeavesAStalledServer(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"GetCACaps", "GetCACert", "PKIOperation"} {
		s := sceptest.NewHostileServer(t, sceptest.Options{},
			sceptest.Hostility{HTTP: map[string]http.HandlerFunc{operation: sceptest.Stalled}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := (&scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}).Enrol(ctx, scep.EnrolRequest{Key: sceptest.RSAKey(t, 1)})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

// counter counts what is read from it, which is as much as anybody wants.
type counter struct{ n int }

func (c *counter) Read(b []byte) (int, error) {
	c.n += len(b)
	return len(b), nil
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(c), Request: r, Header: http.Header{}}, nil
}

// However much a server sends, a client reads a mebibyte of it.
func TestClientReadsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	c := &counter{}
	client := &scep.Client{URL: "http://scep.example.com/scep", HTTP: &http.Client{Transport: c}}
	_, err := client.GetCACert(t.Context())
	wantReplyError(t, err, "1 MiB")
	if c.n > 2<<20 {
		t.Errorf("%d bytes were read", c.n)
	}
}

// A server that says PENDING for ever is left after PollLimit polls, and one that
// says "come again in ten years" when the context ends.
func TestClientTiresOfPolling(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := sceptest.NewHostileServer(t, sceptest.Options{}, sceptest.Hostility{CertRep: func(a *sceptest.Answer) {
		asked.Add(1)
		a.Without(scep.StatusPending)
	}})
	request := scep.EnrolRequest{Key: sceptest.RSAKey(t, 1)}
	client := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA, PollInterval: time.Millisecond, PollLimit: 3}
	if result := mustEnrol(t, client, request); result.Status != scep.StatusPending || asked.Load() != 4 {
		t.Errorf("%v after %d messages", result.Status, asked.Load())
	}

	busy := sceptest.NewHostileServer(t, sceptest.Options{}, sceptest.Hostility{HTTP: map[string]http.HandlerFunc{
		"PKIOperation": func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 5 {
				s.Handler.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Retry-After", fmt.Sprint(10*365*24*3600))
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	}})
	busy.SetIdentity(s.Identity())
	client.URL, client.PollLimit = busy.URL, -1
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := client.Enrol(ctx, request); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// What GetCACert answers may keep a client busy no longer than it takes to read:
// a modulus of a million bits fits into the answer.
func TestClientRefusesCACertificates(t *testing.T) {
	t.Parallel()
	ca := sceptest.NewCA(t)
	twin := sceptest.SelfSigned(t, &x509.Certificate{Subject: ca.Certificate.Subject, IsCA: true, BasicConstraintsValid: true}, sceptest.RSAKey(t, 3))
	id := sceptest.NewIdentity(t, ca, sceptest.Pair)
	ra := id.Active.Encryption.Certificate
	expired := sceptest.SelfSigned(t, &x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
	}, sceptest.RSAKey(t, 3))
	for name, test := range map[string]struct {
		body   []byte
		reason string
	}{
		"no certificate":        {sceptest.Bundle(t), "no certificate in the answer"},
		"only an RA's":          {sceptest.Bundle(t, id.Active.Signing.Certificate, ra), "no CA certificate"},
		"another CA":            {sceptest.Bundle(t, ra, twin), "no CA certificate"},
		"expired":               {expired.Raw, "expired"},
		"too many certificates": {sceptest.Bundle(t, manyTimes(ca.Root, 17)...), "too large a set of certificates"},
		"huge key":              {sceptest.HugeCertificates(t, 1<<19), "bits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceptest.NewHostileServer(t, sceptest.Options{CA: ca, Identity: id},
				sceptest.Hostility{HTTP: map[string]http.HandlerFunc{"GetCACert": sceptest.Typed("application/x-x509-ca-ra-cert", test.body)}})
			if _, err := enrolAt(t, s); err == nil || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("got %v, want something about %q", err, test.reason)
			}
		})
	}
}

// The certificates to come are those that the RA or CA of today signed.
func TestClientRefusesNextCACertificates(t *testing.T) {
	t.Parallel()
	ca, next := sceptest.NewCA(t), sceptest.NewCA(t)
	id := sceptest.NewIdentity(t, ca, sceptest.Pair)
	id.NextCA = next.Chain()
	good, err := id.NextCACertificates()
	if err != nil {
		t.Fatal(err)
	}
	foreign := *id
	foreign.NextCASigner = &scep.Credential{Certificate: id.Active.Signing.Certificate, Key: sceptest.RSAKey(t, 3)}
	forged, err := foreign.NextCACertificates()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		body   []byte
		reason string
	}{
		"good":          {good, ""},
		"good in BER":   {sceptest.Indefinite(good, 100), ""},
		"forged":        {forged, "not signed by the current CA or its RA"},
		"not signed":    {sceptest.Bundle(t, next.Certificate), "next CA certificates"},
		"changed":       {flipAt(-1)(bytes.Clone(good)), "not signed by the current CA or its RA"},
		"a certificate": {next.Certificate.Raw, "next CA certificates"},
		"cut":           {good[:len(good)/2], "next CA certificates"},
	} {
		s := sceptest.NewHostileServer(t, sceptest.Options{CA: ca, Identity: id}, sceptest.Hostility{
			HTTP: map[string]http.HandlerFunc{"GetNextCACert": sceptest.Typed("application/x-x509-next-ca-cert", test.body)},
		})
		certificates, err := (&scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}).GetNextCACert(t.Context())
		switch {
		case test.reason != "":
			wantReplyError(t, err, test.reason)
		case err != nil || len(certificates) != 2 || !certificates[0].Equal(next.Certificate):
			t.Errorf("%s: %d certificates, %v", name, len(certificates), err)
		}
	}
}
