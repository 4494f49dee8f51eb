// Package hooksim is a webhook service for tests: it checks what it is sent as
// services written for step-ca do, and it can fail in many ways.
package hooksim

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
)

// SigningSecret is what the service checks signatures with, as step-ca prints it.
var SigningSecret = base64.StdEncoding.EncodeToString([]byte("a secret that both sides know"))

// Request is the part of a request body that such services read.
type Request struct {
	Timestamp          string `json:"timestamp"`
	ProvisionerName    string `json:"provisionerName"`
	CertificateRequest *Raw   `json:"x509CertificateRequest"`
	Certificate        *Raw   `json:"x509Certificate"`
	Challenge          string `json:"scepChallenge"`
	TransactionID      string `json:"scepTransactionID"`
	Template           string `json:"scepTemplate"`
	ErrorCode          int    `json:"scepErrorCode"`
	ErrorDescription   string `json:"scepErrorDescription"`

	// Header and Peer are of the HTTP request.
	Header http.Header         `json:"-"`
	Peer   []*x509.Certificate `json:"-"`
}

// Raw is a CSR or certificate in DER.
type Raw struct {
	Raw []byte `json:"raw"`
}

// Service is the webhook service.
type Service struct {
	faults.Switch
	URL string

	t      testing.TB
	server *httptest.Server

	mu     sync.Mutex // guards what follows
	allow  func(Request) any
	asked  []Request
	reject []Request
	pinned [][]byte // client certificates in DER; nil: any that the CAs vouch for
}

// Start starts a service that allows nothing until Allow says so. With
// clientCAs it insists on a client certificate.
func Start(t testing.TB, clientCAs *x509.CertPool) *Service {
	t.Helper()
	s := &Service{t: t, allow: func(Request) any { return map[string]any{"allow": false} }}
	s.server = httptest.NewUnstartedServer(s.Wrap(http.HandlerFunc(s.serve)))
	if clientCAs != nil {
		s.server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clientCAs, MinVersion: tls.VersionTLS12}
	}
	s.server.StartTLS()
	s.URL = s.server.URL + "/hook"
	t.Cleanup(s.server.Close)
	return s
}

// Roots are what the service's certificate chains to.
func (s *Service) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.server.Certificate())
	return pool
}

// RootsPEM is Roots as a file.
func (s *Service) RootsPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw})
}

// Allow decides what is answered from now on: a value that becomes JSON.
func (s *Service) Allow(decide func(Request) any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allow = decide
}

// AllowPassword allows one password and gives data for the template's rules. It
// accepts every notification.
func (s *Service) AllowPassword(password string, data map[string]any) {
	s.Allow(func(r Request) any {
		if r.Certificate != nil || r.ErrorDescription != "" {
			return map[string]any{"allow": true}
		}
		return map[string]any{"allow": r.Challenge == password, "data": data}
	})
}

// Asked are the requests with a good signature, so far.
func (s *Service) Asked() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.asked...)
}

// Rejected are the requests without one.
func (s *Service) Rejected() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.reject...)
}

// Pin answers HTTP 403 from now on to callers who show none of these client
// certificates, before anything of the request is read.
func (s *Service) Pin(certificates ...*x509.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pinned = [][]byte{}
	for _, c := range certificates {
		s.pinned = append(s.pinned, c.Raw)
	}
}

func (s *Service) isPinned(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pinned == nil || slices.ContainsFunc(s.pinned, func(der []byte) bool {
		return len(r.TLS.PeerCertificates) > 0 && bytes.Equal(der, r.TLS.PeerCertificates[0].Raw)
	})
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	if !s.isPinned(r) {
		http.Error(w, "not registered", http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var request Request
	if err := json.Unmarshal(body, &request); err != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	request.Header = r.Header
	request.Peer = r.TLS.PeerCertificates
	s.mu.Lock()
	defer s.mu.Unlock()
	if !signed(r, body) {
		s.reject = append(s.reject, request)
		http.Error(w, "bad signature", http.StatusUnauthorized)
		return
	}
	s.asked = append(s.asked, request)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.allow(request))
}

func signed(r *http.Request, body []byte) bool {
	key, err := base64.StdEncoding.DecodeString(SigningSecret)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	have, err := hex.DecodeString(r.Header.Get("X-Smallstep-Signature"))
	return err == nil && hmac.Equal(have, mac.Sum(nil))
}
