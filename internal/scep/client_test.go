package scep_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
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
		"unknown status":   {func(r *scep.Request) ([]byte, error) { return r.Respond(b.id, &scep.Reply{Status: 1}) }, "pkiStatus"},
		"unknown failInfo": {func(r *scep.Request) ([]byte, error) { return r.Respond(b.id, scep.Fail(5, "")) }, "failInfo"},
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
