package scep_test

import (
	"context"
	"crypto"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// The active RA signs what comes next, or whoever is appointed.
func TestGetNextCACert(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	next := sceptest.NewCA(t)
	for name, signer := range map[string]*scep.Credential{
		"the RA": nil,
		"the CA": {Certificate: b.ca.Certificate, Key: b.ca.Key},
	} {
		id := *b.id
		id.NextCA, id.NextCASigner = next.Chain(), signer
		s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: &id})
		get(t, s.URL+"?operation=getnextcacert&message=CA").want(t, http.StatusOK, "application/x-x509-next-ca-cert")
		got, err := (&scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}).GetNextCACert(t.Context())
		if err != nil || len(got) != 2 || !got[0].Equal(next.Certificate) || !got[1].Equal(next.Root) {
			t.Errorf("%s: %d certificates, %v", name, len(got), err)
		}
	}
}

func TestNoNextCACert(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{})
	_, err := (&scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}).GetNextCACert(t.Context())
	var status *scep.HTTPError
	if !errors.As(err, &status) || status.StatusCode != http.StatusNotFound {
		t.Errorf("got %v", err)
	}
	if _, err := s.Identity().NextCACertificates(); err == nil {
		t.Error("an answer without certificates")
	}
}

// Signing takes its turn like all cryptography; a key that does not work breaks
// one exchange.
func TestGetNextCACertCannotBeSigned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := *b.id
	id.NextCA = b.ca.Chain()
	broken := id
	broken.NextCASigner = &scep.Credential{Certificate: b.ca.Certificate, Key: brokenKey{b.ca.Key}}
	for want, c := range map[int]scep.HandlerConfig{
		http.StatusServiceUnavailable: {
			Identity: func() *scep.Identity { return &id },
			Guard:    func(context.Context, func()) error { return errors.New("full") },
		},
		http.StatusInternalServerError: {Identity: func() *scep.Identity { return &broken }},
	} {
		c.Settings = func() scep.Settings { return scep.Settings{} }
		c.Logger = slog.New(slog.DiscardHandler)
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/scep?operation=GetNextCACert", http.NoBody)
		scep.NewHandler(c).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("HTTP %d, want %d", w.Code, want)
		}
	}
}

// brokenKey is a key whose token was pulled out.
type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no token")
}

// An answer that the present CA has not signed is worth nothing, also if the next
// one has.
func TestNextCACertSignedByAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	next := sceptest.NewCA(t)
	for name, signer := range map[string]*scep.Credential{
		"the next CA":    {Certificate: next.Certificate, Key: sceptest.RSAKey(t, 5)},
		"a stranger":     {Certificate: sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 1)), Key: sceptest.RSAKey(t, 1)},
		"the RA, forged": {Certificate: b.id.Active.Signing.Certificate, Key: sceptest.RSAKey(t, 1)},
	} {
		id := *b.id
		id.NextCA, id.NextCASigner = next.Chain(), signer
		s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: &id})
		_, err := (&scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}).GetNextCACert(t.Context())
		var bad *scep.ReplyError
		if !errors.As(err, &bad) || !errors.Is(err, cms.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseNextCACertificates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	current, err := scep.ParseCACertificates(mustMarshal(t, b.id.CertificatesFor(scep.RAAndChain)))
	if err != nil {
		t.Fatal(err)
	}
	signed := func(content []byte) []byte {
		der, err := cms.Sign(content, nil, cms.Signer{
			Certificate: b.ca.Certificate, Key: b.ca.Key, Digest: crypto.SHA256,
		})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	chain := mustMarshal(t, b.ca.Chain())
	for name, body := range map[string][]byte{
		"as it should be": signed(chain),
		"BER":             sceptest.Indefinite(signed(chain), 100),
	} {
		if got, err := scep.ParseNextCACertificates(body, current); err != nil || len(got) != 2 {
			t.Errorf("%s: %d certificates, %v", name, len(got), err)
		}
	}
	for name, body := range map[string][]byte{
		"nothing":            nil,
		"text":               []byte("<html>"),
		"not signed":         chain,
		"nothing signed":     signed(nil),
		"no certificate":     signed(mustMarshal(t, nil)),
		"something signed":   signed([]byte("hello")),
		"a bare certificate": b.ca.Certificate.Raw,
	} {
		_, err := scep.ParseNextCACertificates(body, current)
		var bad *scep.ReplyError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
