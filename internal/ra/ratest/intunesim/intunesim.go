// Package intunesim is one tenant of Microsoft Entra ID, Graph and Intune for
// tests. It checks what it is sent as strictly as the real services, as far as
// those are known, and it can fail in many ways.
package intunesim

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
)

// The tenant and its application.
const (
	TenantID     = "11111111-2222-3333-4444-555555555555"
	ClientID     = "99999999-8888-7777-6666-555555555555"
	ClientSecret = "client~secret~of~the~application"
	// FederatedToken is the service account token that the application trusts.
	FederatedToken = "federated-token-of-the-service-account"
	// Challenge is one that Intune gave to a device.
	Challenge = "TWljcm9zb2Z0LUludHVuZS1jaGFsbGVuZ2UtdGhhdC1pcy1sb25nLWFuZC1lbmNyeXB0ZWQ"
)

// The scopes of the simulated services.
const (
	graphScope  = "https://graph.sim/.default"
	intuneScope = "https://intune.sim//.default"
)

// Notification is what Intune was told about a transaction.
type Notification struct {
	TransactionID    string `json:"transactionId"`
	Request          []byte `json:"certificateRequest"`
	Thumbprint       string `json:"certificateThumbprint"`
	SerialNumber     string `json:"certificateSerialNumber"`
	Expiration       string `json:"certificateExpirationDateUtc"`
	IssuingAuthority string `json:"issuingCertificateAuthority"`
	CAConfiguration  string `json:"caConfiguration"`
	Authority        string `json:"certificateAuthority"`
	HResult          int64  `json:"hResult"`
	Description      string `json:"errorDescription"`
	CallerInfo       string `json:"callerInfo"`
}

// Tenant is the simulation.
type Tenant struct {
	// Entra, Graph and Intune can be broken one by one.
	Entra, Graph, Intune faults.Switch
	// Notify breaks the success notification alone.
	Notify faults.Switch

	t            testing.TB
	entra, graph *httptest.Server

	mu          sync.Mutex // guards what follows
	intune      *httptest.Server
	certificate *x509.Certificate // that the application registered
	tokens      map[string]string // scope by token
	issued      int
	services    string // answer of the discovery, if it is another
	verdicts    map[string]intune.Code
	successes   []Notification
	failures    []Notification
	validated   []string
	revocations []intune.RevocationRequest
	results     []intune.RevocationResult
	problems    []string
}

// Start starts a tenant.
func Start(t testing.TB) *Tenant {
	t.Helper()
	s := &Tenant{t: t, tokens: map[string]string{}, verdicts: map[string]intune.Code{}}
	s.entra = s.start(&s.Entra, s.entraHandler())
	s.graph = s.start(&s.Graph, http.HandlerFunc(s.discover))
	s.intune = s.start(&s.Intune, s.intuneHandler())
	t.Cleanup(func() {
		for _, problem := range s.Problems() {
			t.Errorf("Microsoft would complain: %s", problem)
		}
	})
	return s
}

func (s *Tenant) start(broken *faults.Switch, handler http.Handler) *httptest.Server {
	server := httptest.NewTLSServer(broken.Wrap(handler))
	s.t.Cleanup(server.Close)
	return server
}

// URLs are where the tenant's services are.
func (s *Tenant) URLs() intune.URLs {
	return intune.URLs{Authority: s.entra.URL, Graph: s.graph.URL, GraphScope: graphScope, IntuneScope: intuneScope}
}

// Application is the one that may call Intune.
func (s *Tenant) Application() intune.Application {
	return intune.Application{Authority: s.entra.URL, TenantID: TenantID, ClientID: ClientID}
}

// RootsPEM is what the servers' certificates chain to.
func (s *Tenant) RootsPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.entra.Certificate().Raw})
}

// Roots is RootsPEM as a pool.
func (s *Tenant) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.entra.Certificate())
	return pool
}

// Register lets the application authenticate by a certificate.
func (s *Tenant) Register(c *x509.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.certificate = c
}

// Answer makes an operation ("validateRequest", "successNotification",
// "failureNotification") answer a code; Success for what it would do anyway.
func (s *Tenant) Answer(operation string, code intune.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdicts[operation] = code
}

// List makes discovery answer something else; "" for what it would anyway.
func (s *Tenant) List(services string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services = services
}

// RevokeTokens makes Graph and Intune refuse the tokens that were issued so far.
func (s *Tenant) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Move moves Intune to another address. At the old one nobody listens any more.
func (s *Tenant) Move() {
	moved := s.start(&s.Intune, s.intuneHandler())
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.intune
	s.intune = moved
	go old.Close() // waits for the requests that it serves
}

// Successes are the success notifications that were accepted.
func (s *Tenant) Successes() []Notification {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.successes)
}

// Failures are the failure notifications that were accepted.
func (s *Tenant) Failures() []Notification {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.failures)
}

// Validated are the transactions that were allowed, one entry each time.
func (s *Tenant) Validated() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.validated)
}

// WantRevoked puts requests into the list of certificates to be revoked.
func (s *Tenant) WantRevoked(r ...intune.RevocationRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revocations = append(s.revocations, r...)
}

// Results are the results of revocations that were uploaded.
func (s *Tenant) Results() []intune.RevocationResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.results)
}

// Secrets are what must be in no log and no error.
func (s *Tenant) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(slices.Collect(maps.Keys(s.tokens)), ClientSecret, FederatedToken, Challenge, faults.Leak)
}

// Problems are breaches of the protocol that were seen.
func (s *Tenant) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

// complain records a breach of the protocol. The caller holds the lock.
func (s *Tenant) complain(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// discover answers as Microsoft Graph.
func (s *Tenant) discover(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.authorised(r, graphScope) {
		refuseToken(w)
		return
	}
	if want := "/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints"; r.URL.Path != want {
		s.complain("Graph: path %s", r.URL.Path)
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json; odata.metadata=minimal; charset=utf-8")
	if s.services != "" {
		_, _ = io.WriteString(w, s.services)
		return
	}
	_, _ = fmt.Fprintf(w, `{"@odata.context":"x","value":[
		{"providerName":"Other","uri":"https://other.invalid"},
		{"providerName":"scepRequestValidationFEService","uri":"%s/StatelessScepRequestValidationService"},
		{"providerName":"PkiConnectorFEService","uri":"%s/PkiConnector/"}]}`, s.intune.URL, s.intune.URL)
}

// authorised checks the bearer token. The caller holds the lock.
func (s *Tenant) authorised(r *http.Request, scope string) bool {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return found && s.tokens[token] == scope
}

func refuseToken(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, `{"error":{"code":"InvalidAuthenticationToken","message":"`+faults.Leak+`"}}`)
}

func (s *Tenant) intuneHandler() http.Handler {
	const scep, pki = "/StatelessScepRequestValidationService/ScepActions/", "/PkiConnector/CertificateAuthorityRequests/"
	mux := http.NewServeMux()
	mux.Handle("POST "+scep+"validateRequest", s.operation("2018-02-20", s.validate))
	mux.Handle("POST "+scep+"successNotification", s.Notify.Wrap(s.operation("2018-02-20", s.succeeded)))
	mux.Handle("POST "+scep+"failureNotification", s.operation("2018-02-20", s.failed))
	mux.Handle("POST "+pki+"downloadRevocationRequests", s.operation("5019-05-05", s.download))
	mux.Handle("POST "+pki+"uploadRevocationResults", s.operation("5019-05-05", s.upload))
	return mux
}

// operation checks what is common, and answers what the operation returns.
func (s *Tenant) operation(version string, do func(body []byte) any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.authorised(r, intuneScope) {
			refuseToken(w)
			return
		}
		s.checkHeader(r.Header, version)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(do(body))
	})
}

func (s *Tenant) checkHeader(h http.Header, version string) {
	if got := h.Get("api-version"); got != version {
		s.complain("api-version %q, want %q", got, version)
	}
	if got := h.Get("content-type"); got != "application/json" {
		s.complain("content-type %q", got)
	}
	if len(h.Get("client-request-id")) != len(TenantID) {
		s.complain("client-request-id %q is no UUID", h.Get("client-request-id"))
	}
	if h.Get("UserAgent") == "" {
		s.complain("no UserAgent")
	}
}

// verdict is Intune's answer to an operation.
func (s *Tenant) verdict(operation string, otherwise intune.Code) map[string]any {
	code := otherwise
	if set, ok := s.verdicts[operation]; ok && set != intune.Success {
		code = set
	}
	description := ""
	if code != intune.Success {
		description = "The challenge " + Challenge + " was\nnot accepted"
	}
	return map[string]any{"code": code, "errorDescription": description}
}

func (s *Tenant) validate(body []byte) any {
	var in struct {
		Request Notification `json:"request"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		s.complain("validateRequest: %v", err)
	}
	answer := s.verdict("validateRequest", s.judge(in.Request))
	if answer["code"] == intune.Success {
		s.validated = append(s.validated, in.Request.TransactionID)
	}
	return answer
}

// judge looks for the challenge within the CSR, as only Intune can.
func (s *Tenant) judge(n Notification) intune.Code {
	if _, err := x509.ParseCertificateRequest(n.Request); err != nil {
		return intune.CertificateRequestDecodingFailed
	}
	if n.TransactionID == "" || n.CallerInfo == "" {
		s.complain("transactionId %q, callerInfo %q", n.TransactionID, n.CallerInfo)
	}
	if !bytes.Contains(n.Request, []byte(Challenge)) {
		return intune.ChallengeDecryptionError
	}
	return intune.Success
}

func (s *Tenant) succeeded(body []byte) any {
	n := s.notification(body)
	if n.Thumbprint == "" || n.SerialNumber == "" || n.Expiration == "" || n.IssuingAuthority == "" {
		s.complain("successNotification lacks a field: %+v", n)
	}
	answer := s.verdict("successNotification", s.judge(n))
	if answer["code"] == intune.Success {
		s.successes = append(s.successes, n)
	}
	return answer
}

func (s *Tenant) failed(body []byte) any {
	n := s.notification(body)
	if n.HResult >= 0 || n.Description == "" || len(n.Description) > 255 {
		s.complain("failureNotification: hResult %d, description %q", n.HResult, n.Description)
	}
	answer := s.verdict("failureNotification", s.judge(n))
	if answer["code"] == intune.Success {
		s.failures = append(s.failures, n)
	}
	return answer
}

func (s *Tenant) notification(body []byte) Notification {
	var in struct {
		Notification Notification `json:"notification"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		s.complain("notification: %v", err)
	}
	return in.Notification
}

func (s *Tenant) download(body []byte) any {
	var in struct {
		Parameters struct {
			MaxRequests int     `json:"maxRequests"`
			IssuerName  *string `json:"issuerName"`
		} `json:"downloadParameters"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		s.complain("downloadRevocationRequests: %v", err)
	}
	wanted := []intune.RevocationRequest{}
	for _, r := range s.revocations {
		if len(wanted) < in.Parameters.MaxRequests && (in.Parameters.IssuerName == nil || *in.Parameters.IssuerName == r.IssuerName) {
			wanted = append(wanted, r)
		}
	}
	return map[string]any{"value": wanted}
}

func (s *Tenant) upload(body []byte) any {
	var in struct {
		Results []intune.RevocationResult `json:"results"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		s.complain("uploadRevocationResults: %v", err)
	}
	for _, result := range in.Results {
		s.results = append(s.results, result)
		s.revocations = slices.DeleteFunc(s.revocations, func(r intune.RevocationRequest) bool { return r.RequestContext == result.RequestContext })
	}
	return map[string]any{"value": true}
}
