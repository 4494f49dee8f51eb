package scep_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// between is a server in front of another that may answer in its place.
func between(t *testing.T, s *sceptest.Server, answer func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			s.Handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func isOperation(r *http.Request, name string) bool {
	return strings.Contains(r.URL.RawQuery, "operation="+name)
}

func TestCapabilitiesAsRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status    int
		body      string
		has, lack string
	}{
		"CRLF":         {http.StatusOK, "AES\r\nDES3\r\n", "DES3", "SHA-256"},
		"lower case":   {http.StatusOK, "aes\nsha-256", "SHA-256", "SHA-512"},
		"junk":         {http.StatusOK, "Example.com-Frobnicate\nRenewal\n\n", "Renewal", "AES"},
		"a sentence":   {http.StatusOK, "this server has no AES\nDES3", "DES3", "AES"},
		"odd spaces":   {http.StatusOK, "\r\n  AES\t\r\r\nDES3", "AES", "SHA-1"},
		"BOM":          {http.StatusOK, "\ufeffAES\nDES3", "AES", "SHA-1"},
		"SCEPStandard": {http.StatusOK, "SCEPStandard", "AES", "DES3"},
		"empty":        {http.StatusOK, "", "", "AES"},
		"HTTP 404":     {http.StatusNotFound, "AES", "", "AES"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
		}))
		t.Cleanup(server.Close)
		got, err := (&scep.Client{VerifyCA: scep.TrustAnyCA, URL: server.URL}).GetCACaps(t.Context())
		if err != nil || test.has != "" && !got.Has(test.has) || got.Has(test.lack) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// A server that closes the connection, as NDES does, has no capabilities; one
// that cannot be reached has none either, but that is an error.
func TestNoCapabilities(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(server.Close)
	got, err := (&scep.Client{URL: server.URL}).GetCACaps(t.Context())
	if err != nil || len(got) != 0 {
		t.Errorf("closed connection: %v, %v", got, err)
	}
	for _, url := range []string{"http://127.0.0.1:0", "", "no url", "http://[bad"} {
		if _, err := (&scep.Client{URL: url}).GetCACaps(t.Context()); err == nil {
			t.Errorf("%q answered", url)
		}
	}
}

// A server that says nothing gets what the oldest drafts did.
func TestClientFallsBack(t *testing.T) {
	t.Parallel()
	o := &observed{}
	s := sceptest.NewServer(t, sceptest.Options{Settings: everything, Observer: o})
	url := between(t, s, func(w http.ResponseWriter, r *http.Request) bool {
		if isOperation(r, "GetCACaps") {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	r := newRequest(t)
	r.ChallengePassword = ""
	wantSuccess(t, mustEnrol(t, &scep.Client{VerifyCA: scep.TrustAnyCA, URL: url + "/a?profile=x"}, r), s.CA)
	for _, e := range o.events {
		if e.HTTPMethod != http.MethodGet {
			t.Errorf("%s by %s", e.Step, e.HTTPMethod)
		}
	}
}

func TestClientRefusesReplies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stranger := sceptest.NewIdentity(t, b.ca, sceptest.Pair)
	request := func(r *scep.Request) *scep.Request { c := *r; return &c }
	for name, test := range map[string]struct {
		answer func(r *scep.Request) ([]byte, error)
		reason string
	}{
		"another nonce": {func(r *scep.Request) ([]byte, error) {
			c := request(r)
			c.SenderNonce = []byte("another nonce 16")
			return c.Respond(b.id, scep.Pending())
		}, "recipientNonce"},
		"another transaction": {func(r *scep.Request) ([]byte, error) {
			c := request(r)
			c.TransactionID = "another"
			return c.Respond(b.id, scep.Pending())
		}, "transactionID"},
		"another signer": {func(r *scep.Request) ([]byte, error) {
			c := request(r)
			c.Generation = nil
			foreign := *stranger.Active
			foreign.Signing = b.id.Active.Encryption
			return c.Respond(&scep.Identity{Active: &foreign}, scep.Pending())
		}, "not signed by the RA"},
		"another certificate": {func(r *scep.Request) ([]byte, error) {
			return r.Respond(b.id, scep.Success(b.ca.Certificate))
		}, "no certificate for the requested key"},
		"encrypted to another": {func(r *scep.Request) ([]byte, error) {
			c := request(r)
			c.Signer = b.id.Active.Encryption.Certificate
			return c.Respond(b.id, scep.Success(b.ca.Certificate))
		}, "envelope"},
		"no message": {func(*scep.Request) ([]byte, error) { return []byte("<html>"), nil }, "not a message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id})
			url := between(t, s, func(w http.ResponseWriter, r *http.Request) bool {
				return isOperation(r, "PKIOperation") && answerWith(t, w, r, b.id, scep.Settings{}, test.answer)
			})
			_, err := (&scep.Client{VerifyCA: scep.TrustAnyCA, URL: url}).Enrol(t.Context(), newRequest(t))
			var bad *scep.ReplyError
			if !errors.As(err, &bad) || !strings.Contains(bad.Error(), test.reason) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func answerWith(t *testing.T, w http.ResponseWriter, r *http.Request, id *scep.Identity, s scep.Settings, answer func(*scep.Request) ([]byte, error)) bool {
	message, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	request, err := scep.Open(message, id, s)
	if err != nil {
		t.Error(err)
		return false
	}
	der, err := answer(request)
	if err != nil {
		t.Error(err)
	}
	_, _ = w.Write(der)
	return true
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{Pending: 1_000_000})
	r := newRequest(t)
	r.ChallengePassword = ""

	busy := between(t, s, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		return isOperation(r, "")
	})
	_, err := (&scep.Client{VerifyCA: scep.TrustAnyCA, URL: busy}).Enrol(t.Context(), r)
	var status *scep.HTTPError
	if !errors.As(err, &status) || status.StatusCode != http.StatusServiceUnavailable || status.RetryAfter != "7" {
		t.Errorf("HTTP 503: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = (&scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL, PollInterval: time.Millisecond, PollLimit: -1}).Enrol(ctx, r)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("endless PENDING: %v", err)
	}

	distrust := errors.New("another fingerprint")
	c := &scep.Client{URL: s.URL, VerifyCA: func(*scep.CACertificates) error { return distrust }}
	if _, err := c.Enrol(t.Context(), r); !errors.Is(err, distrust) {
		t.Errorf("distrusted CA: %v", err)
	}
	if _, err := (&scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL}).Renew(t.Context(), r); err == nil {
		t.Error("a renewal without a certificate")
	}
	if _, err := (&scep.Client{VerifyCA: scep.TrustAnyCA, URL: "http://127.0.0.1:0"}).GetCACert(t.Context()); err == nil || strings.Contains(err.Error(), "operation=") {
		t.Errorf("no server: %v", err)
	}
}

func TestClientOverHTTPS(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{})
	server := httptest.NewTLSServer(s.Handler)
	t.Cleanup(server.Close)
	r := newRequest(t)
	r.ChallengePassword = ""
	for _, method := range []scep.ClientMethod{scep.MethodPOST, scep.MethodGET} {
		c := &scep.Client{URL: server.URL + "/scep", HTTP: server.Client(), Method: method, VerifyCA: scep.TrustAnyCA}
		wantSuccess(t, mustEnrol(t, c, r), s.CA)
	}
	if _, err := (&scep.Client{URL: server.URL, VerifyCA: scep.TrustAnyCA}).Enrol(t.Context(), r); err == nil {
		t.Error("a TLS certificate of nobody's is trusted")
	}
}

// What a client asks for, to the letter.
func TestClientRequests(t *testing.T) {
	t.Parallel()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.RequestURI) }))
	t.Cleanup(server.Close)
	for _, c := range []*scep.Client{
		{URL: server.URL},
		{URL: server.URL + "/"},
		{URL: server.URL + "/scep"},
		{URL: server.URL + "/scep?profile=a%20b", CAIdentifier: "my CA+"},
	} {
		if _, err := c.GetCACert(t.Context()); err == nil {
			t.Error("nothing is taken for a certificate")
		}
	}
	want := []string{
		"/cgi-bin/pkiclient.exe?operation=GetCACert",
		"/cgi-bin/pkiclient.exe?operation=GetCACert",
		"/scep?operation=GetCACert",
		"/scep?profile=a%20b&operation=GetCACert&message=my%20CA%2B",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked for %q", asked)
	}
}

// A server that is busy while a client polls is asked again.
func TestPollingABusyServer(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{Pending: 2})
	var posts atomic.Int32
	url := between(t, s, func(w http.ResponseWriter, r *http.Request) bool {
		if !isOperation(r, "PKIOperation") || posts.Add(1)%2 == 1 {
			return false
		}
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	r := newRequest(t)
	r.ChallengePassword = ""
	c := &scep.Client{URL: url, VerifyCA: scep.TrustAnyCA, PollInterval: time.Millisecond}
	for limit, want := range map[int]scep.PKIStatus{1: scep.StatusPending, 4: scep.StatusSuccess} {
		posts.Store(0)
		c.PollLimit = limit
		if got := mustEnrol(t, c, r); got.Status != want {
			t.Errorf("at most %d polls: %v", limit, got.Status)
		}
	}
}

// An answer without end is not read to its end.
func TestClientRefusesHugeAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for chunk := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	_, err := (&scep.Client{URL: server.URL}).GetCACert(t.Context())
	var bad *scep.ReplyError
	if !errors.As(err, &bad) || !strings.Contains(bad.Reason, "more than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

// A server that announces no Renewal gets a PKCSReq signed with the certificate.
func TestRenewWithoutRenewal(t *testing.T) {
	t.Parallel()
	for renewal, want := range map[bool]scep.MessageType{true: scep.RenewalReq, false: scep.PKCSReq} {
		o := &observed{}
		s := sceptest.NewServer(t, sceptest.Options{Challenge: challenge, Settings: scep.Settings{Renewal: renewal}, Observer: o})
		c := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}
		first := mustEnrol(t, c, newRequest(t))
		r := scep.EnrolRequest{Key: sceptest.RSAKey(t, 2), Certificate: first.Certificate, CertificateKey: sceptest.RSAKey(t, 1)}
		result, err := c.Renew(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		wantSuccess(t, result, s.CA)
		if last := o.events[len(o.events)-1]; last.MessageType != want {
			t.Errorf("Renewal announced %v: sent %v", renewal, last.MessageType)
		}
	}
	if _, err := (&scep.Client{URL: "http://a", VerifyCA: scep.TrustAnyCA}).Enrol(t.Context(), scep.EnrolRequest{}); err == nil {
		t.Error("an enrolment without a key")
	}
}
