package intune_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/ra/ratest/intunesim"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type fixture struct {
	*intunesim.Tenant
	clock   *clock
	client  *intune.Client
	request intune.Request
	issued  *x509.Certificate
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newImpatientFixture(t, patience)
}

// patience is the timeout of calls that are answered; machines may be busy.
const patience = 20 * time.Second

func newImpatientFixture(t *testing.T, timeout time.Duration) *fixture {
	t.Helper()
	tenant := intunesim.Start(t)
	return connect(t, tenant, tenant.Application().Secret(intunesim.ClientSecret), outbound.Options{Timeout: timeout, Roots: tenant.Roots()})
}

func newFixtureWith(t *testing.T, tenant *intunesim.Tenant, credential intune.CredentialFunc, roots *x509.CertPool) *fixture {
	t.Helper()
	return connect(t, tenant, credential, outbound.Options{Timeout: patience, Roots: roots})
}

func connect(t *testing.T, tenant *intunesim.Tenant, credential intune.CredentialFunc, o outbound.Options) *fixture {
	t.Helper()
	o.MaxAnswer = 64 << 10
	f := &fixture{Tenant: tenant, clock: &clock{now: time.Now()}}
	f.client = intune.New(intune.Options{
		URLs:       tenant.URLs(),
		Credential: credential,
		Caller:     "Scepter test",
		Outbound:   outbound.New(o),
		Now:        f.clock.Now,
	})
	f.request = intune.Request{TransactionID: "transaction-1", CSR: sceptest.Request(t, sceptest.RSAKey(t, 3), sceptest.CSROptions{ChallengePassword: intunesim.Challenge})}
	ca := sceptest.NewCA(t)
	issued, err := ca.Issue(&x509.Certificate{RawSubject: f.request.CSR.RawSubject, KeyUsage: x509.KeyUsageDigitalSignature}, f.request.CSR.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	f.issued = issued
	return f
}

func (f *fixture) validate(t *testing.T) error {
	t.Helper()
	return f.client.Validate(t.Context(), f.request)
}

func (f *fixture) notify(t *testing.T) error {
	t.Helper()
	return f.client.NotifySuccess(t.Context(), f.request, f.issued, intune.CA{Configuration: "pki/corp", Authority: "CN=CA"})
}

func TestCredentialKinds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(intunesim.FederatedToken), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	certificate := sceptest.SelfSigned(t, &x509.Certificate{Subject: pkix.Name{CommonName: "application"}}, key)
	cases := map[string]func(intune.Application) intune.CredentialFunc{
		"client secret": func(a intune.Application) intune.CredentialFunc { return a.Secret(intunesim.ClientSecret) },
		"certificate": func(a intune.Application) intune.CredentialFunc {
			return a.Certificate([]*x509.Certificate{certificate}, key)
		},
		"workload federation": func(a intune.Application) intune.CredentialFunc { return a.Federated(file) },
	}
	for name, credential := range cases {
		t.Run(name, func(t *testing.T) {
			tenant := intunesim.Start(t)
			tenant.Register(certificate)
			f := newFixtureWith(t, tenant, credential(tenant.Application()), tenant.Roots())
			if err := f.validate(t); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestNotificationsCarryWhatIntuneWants(t *testing.T) {
	f := newFixture(t)
	if err := f.validate(t); err != nil {
		t.Fatal(err)
	}
	if err := f.notify(t); err != nil {
		t.Fatal(err)
	}
	if err := f.client.NotifyFailure(t.Context(), f.request, intune.EFail, strings.Repeat("ü", 200)); err != nil {
		t.Fatal(err)
	}
	success := f.Successes()[0]
	want := intunesim.Notification{
		TransactionID:    "transaction-1",
		Request:          f.request.CSR.Raw,
		Thumbprint:       success.Thumbprint, // below
		SerialNumber:     strings.ToUpper(hex.EncodeToString(f.issued.SerialNumber.Bytes())),
		Expiration:       f.issued.NotAfter.UTC().Format("2006-01-02T15:04:05.000") + "Z",
		IssuingAuthority: f.issued.Issuer.String(),
		CAConfiguration:  "pki/corp",
		Authority:        "CN=CA",
		CallerInfo:       "Scepter test",
	}
	if string(success.Request) != string(want.Request) {
		t.Error("the CSR is another")
	}
	success.Request, want.Request = nil, nil
	if got, wanted := toText(success), toText(want); got != wanted {
		t.Errorf("notified %s\nwant %s", got, wanted)
	}
	if len(success.Thumbprint) != 40 || success.Thumbprint != strings.ToUpper(success.Thumbprint) {
		t.Errorf("thumbprint %q is not upper-case SHA-1", success.Thumbprint)
	}
	if failure := f.Failures()[0]; failure.HResult != -2147467259 || len(failure.Description) > 255 {
		t.Errorf("failure: %+v", failure)
	}
	if calls := f.Graph.Calls(); calls != 1 {
		t.Errorf("discovery was asked %d times, want once", calls)
	}
}

func toText(n intunesim.Notification) string {
	return strings.Join([]string{n.TransactionID, n.Thumbprint, n.SerialNumber, n.Expiration, n.IssuingAuthority, n.CAConfiguration, n.Authority, n.CallerInfo}, "|")
}

// codes are all that Microsoft's library knows, and one that it does not.
var codes = []intune.Code{
	intune.Unknown, intune.CertificateRequestDecodingFailed, intune.ChallengePasswordMissing,
	intune.ChallengeDeserializationError, intune.ChallengeDecryptionError, intune.ChallengeDecodingError,
	intune.ChallengeInvalidTimestamp, intune.ChallengeExpired, intune.SubjectNameMissing, intune.SubjectNameMismatch,
	intune.SubjectAltNameMissing, intune.SubjectAltNameMismatch, intune.KeyUsageMismatch, intune.KeyLengthMismatch,
	intune.EnhancedKeyUsageMissing, intune.EnhancedKeyUsageMismatch, intune.AadKeyIdentifierListMissing,
	intune.RegisteredKeyMismatch, intune.SigningCertThumbprintMismatch, intune.ScepProfileNoLongerTargetedToTheClient,
	intune.SignatureValidationFailed, intune.BadCertificateRequestIDInChallenge, intune.BadDeviceIDInChallenge,
	intune.BadUserIDInChallenge, "SomethingNew",
}

func TestEveryCodeButSuccessIsANo(t *testing.T) {
	f := newFixture(t)
	for _, code := range codes {
		f.Answer("validateRequest", code)
		f.Answer("successNotification", code)
		for what, err := range map[string]error{"validate": f.validate(t), "notify": f.notify(t)} {
			var refused *intune.Refused
			if !errors.As(err, &refused) || refused.Code != code || refused.ActivityID == "" {
				t.Errorf("%s %s: %v", what, code, err)
				continue
			}
			checkSecrets(t, f.Tenant, f.request.CSR, err)
		}
	}
	if len(f.Validated()) != 0 || len(f.Successes()) != 0 {
		t.Error("something was allowed")
	}
}

func checkSecrets(t *testing.T, tenant *intunesim.Tenant, csr *x509.CertificateRequest, err error) {
	t.Helper()
	for _, secret := range append(tenant.Secrets(), base64.StdEncoding.EncodeToString(csr.Raw)) {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("the error has several lines: %q", err)
	}
}

func TestOutagesOfIntune(t *testing.T) {
	testOutages(t, append([]faults.Case{
		{Name: "no code", Fault: faults.JSON(`{"errorDescription":""}`), Says: "has no code"},
		{Name: "code is null", Fault: faults.JSON(`{"code":null}`), Says: "has no code"},
		{Name: "code is a number", Fault: faults.JSON(`{"code":0}`), Says: "cannot be read"},
		{Name: "token refused", Fault: faults.Echo(http.StatusUnauthorized), Says: "HTTP 401", Passes: true},
		{Name: "moved and gone", Fault: faults.Status(http.StatusGone), Says: "HTTP 410", Passes: true},
		{Name: "not found", Fault: faults.Status(http.StatusNotFound), Says: "HTTP 404", Passes: true},
		{Name: "misdirected", Fault: faults.Status(http.StatusMisdirectedRequest), Says: "HTTP 421", Passes: true},
		{Name: "redirect to another address", Fault: faults.Redirect(http.StatusPermanentRedirect, "https://elsewhere.invalid/"), Says: "HTTP 308", Passes: true},
	}, faults.Cases...), func(f *fixture) *faults.Switch { return &f.Intune })
}

func TestOutagesOfGraph(t *testing.T) {
	testOutages(t, append([]faults.Case{
		{Name: "token refused", Fault: faults.Echo(http.StatusUnauthorized), Says: "HTTP 401", Passes: true},
		{Name: "no services", Fault: faults.JSON(`{"value":[]}`), Says: "does not list"},
		{Name: "no list", Fault: faults.JSON(`{}`), Says: "does not list"},
		{Name: "another service only", Fault: faults.JSON(`{"value":[{"providerName":"Other","uri":"https://other.invalid"}]}`), Says: "does not list"},
		{Name: "service without TLS", Fault: faults.JSON(`{"value":[{"providerName":"ScepRequestValidationFEService","uri":"http://127.0.0.1:1/x"}]}`), Says: "only https"},
		{Name: "service with a password", Fault: faults.JSON(`{"value":[{"providerName":"ScepRequestValidationFEService","uri":"https://u:p@127.0.0.1:1/x"}]}`), Says: "not usable"},
		{Name: "service on an unknown host", Fault: faults.JSON(`{"value":[{"providerName":"ScepRequestValidationFEService","uri":"https://intune.invalid"}]}`), Says: "unknown host", Passes: true},
		{Name: "service where nobody listens", Fault: faults.JSON(`{"value":[{"providerName":"ScepRequestValidationFEService","uri":"https://127.0.0.1:1"}]}`), Says: "not reachable", Passes: true},
	}, faults.Cases...), func(f *fixture) *faults.Switch { return &f.Graph })
}

func TestOutagesOfEntra(t *testing.T) {
	cases := []faults.Case{
		{Name: "token refused", Fault: faults.Echo(http.StatusUnauthorized), Says: "HTTP 401"},
		{Name: "an error with 200", Fault: faults.JSON(`{"error":"invalid_client"}`), Says: "no access token"},
	}
	for _, c := range faults.Cases {
		c.Passes = false // no second try: accounts are locked after many
		if c.Name != "wrong content type" {
			cases = append(cases, c)
		}
	}
	testOutages(t, cases, func(f *fixture) *faults.Switch { return &f.Entra })
}

// testOutages shows every fault for good, and then once, to a client that knows
// nothing yet. No fault may pass for a yes.
func testOutages(t *testing.T, list []faults.Case, at func(*fixture) *faults.Switch) {
	t.Helper()
	for _, o := range list {
		t.Run(o.Name, func(t *testing.T) {
			t.Parallel()
			testForGood(t, o, at)
			testOnce(t, o, at)
		})
	}
}

func testForGood(t *testing.T, o faults.Case, at func(*fixture) *faults.Switch) {
	t.Helper()
	f := newImpatientFixture(t, timeoutOf(o))
	at(f).Break(o.Fault)
	for _, err := range []error{f.validate(t), f.notify(t), f.validate(t)} {
		if err == nil {
			t.Fatal("passed for a yes")
		}
		var refused *intune.Refused
		if errors.As(err, &refused) || !strings.Contains(err.Error(), o.Says) {
			t.Errorf("got %v, want %q and no verdict", err, o.Says)
		}
		checkSecrets(t, f.Tenant, f.request.CSR, err)
	}
	if len(f.Validated()) != 0 || len(f.Successes()) != 0 {
		t.Error("something was allowed")
	}
	at(f).Mend()
	f.clock.step(time.Minute)
	if isService := strings.HasPrefix(o.Name, "service "); isService || o.Name == slow {
		return // believed for a day, or too impatient for a busy machine
	}
	if err := f.validate(t); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

// slow is the fault of which only impatience hears.
const slow = "slow"

func timeoutOf(o faults.Case) time.Duration {
	if o.Name == slow {
		return 200 * time.Millisecond
	}
	return patience
}

func testOnce(t *testing.T, o faults.Case, at func(*fixture) *faults.Switch) {
	t.Helper()
	f := newImpatientFixture(t, timeoutOf(o))
	at(f).BreakOnce(o.Fault)
	if err := f.validate(t); (err == nil) != o.Passes {
		t.Errorf("shown once: %v, want it to pass: %v", err, o.Passes)
	}
}

func TestThrottlingIsPassedOn(t *testing.T) {
	f := newFixture(t)
	f.Intune.Break(faults.Throttled(http.StatusTooManyRequests, 7))
	failed, ok := outbound.As(f.validate(t))
	if !ok || failed.RetryAfter != 7*time.Second {
		t.Errorf("got %+v", failed)
	}
}

// A throttled Graph or a wrong secret is not asked again by every device.
func TestHoldOff(t *testing.T) {
	f := newFixture(t)
	f.Graph.Break(faults.Throttled(http.StatusTooManyRequests, 60))
	for range 5 {
		if f.validate(t) == nil {
			t.Fatal("passed for a yes")
		}
	}
	if calls := f.Graph.Calls(); calls != 1 {
		t.Errorf("Graph was called %d times while it throttles", calls)
	}
	f.Graph.Mend()
	f.clock.step(59 * time.Second)
	if f.validate(t) == nil {
		t.Error("came before Retry-After")
	}
	f.clock.step(2 * time.Second)
	if err := f.validate(t); err != nil {
		t.Error(err)
	}
}

func TestTokensAreReplaced(t *testing.T) {
	f := newFixture(t)
	if err := f.validate(t); err != nil {
		t.Fatal(err)
	}
	f.RevokeTokens()
	if err := f.notify(t); err != nil {
		t.Errorf("a token that expired mid-way: %v", err)
	}
	before := f.Entra.Calls()
	f.clock.step(2 * time.Hour)
	if err := f.validate(t); err != nil {
		t.Error(err)
	}
	if f.Entra.Calls() == before {
		t.Error("the token was used beyond its end")
	}
}

func TestMovedService(t *testing.T) {
	f := newFixture(t)
	if err := f.validate(t); err != nil {
		t.Fatal(err)
	}
	f.Move()
	f.clock.step(time.Minute)
	if err := f.validate(t); err != nil {
		t.Errorf("after the move: %v", err)
	}
}

func TestUntrustedServers(t *testing.T) {
	tenant := intunesim.Start(t)
	f := newFixtureWith(t, tenant, tenant.Application().Secret(intunesim.ClientSecret), sceptest.NewCA(t).Pool())
	err := f.validate(t)
	if err == nil || !strings.Contains(err.Error(), "TLS handshake failed") {
		t.Errorf("got %v", err)
	}
	if tenant.Entra.Calls() != 0 {
		t.Error("a server that is not trusted was told something")
	}
}

func TestWrongSecret(t *testing.T) {
	tenant := intunesim.Start(t)
	const wrong = "another~secret"
	f := newFixtureWith(t, tenant, tenant.Application().Secret(wrong), tenant.Roots())
	err := f.validate(t)
	if err == nil || !strings.Contains(err.Error(), "invalid_client AADSTS7000215") {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), wrong) {
		t.Errorf("the error holds the secret: %v", err)
	}
}

func TestMissingTokenFile(t *testing.T) {
	tenant := intunesim.Start(t)
	f := newFixtureWith(t, tenant, tenant.Application().Federated("/nowhere/token"), tenant.Roots())
	if err := f.validate(t); err == nil || !strings.Contains(err.Error(), "/nowhere/token") {
		t.Errorf("got %v", err)
	}
}

func TestRevocations(t *testing.T) {
	f := newFixture(t)
	wanted := []intune.RevocationRequest{
		{RequestContext: "a", SerialNumber: "01", IssuerName: "CN=CA"},
		{RequestContext: "b", SerialNumber: "02", IssuerName: "CN=Other"},
	}
	f.WantRevoked(wanted...)
	got, err := f.client.DownloadRevocations(t.Context(), intune.MaxRevocations, "CN=CA")
	if err != nil || len(got) != 1 || got[0] != wanted[0] {
		t.Fatalf("got %v, %v", got, err)
	}
	results := []intune.RevocationResult{{RequestContext: "a", Succeeded: true}}
	if err := f.client.UploadRevocations(t.Context(), results); err != nil {
		t.Fatal(err)
	}
	if got, err = f.client.DownloadRevocations(t.Context(), 1, ""); err != nil || len(got) != 1 || got[0] != wanted[1] {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestBadRevocations(t *testing.T) {
	f := newFixture(t)
	if _, err := f.client.DownloadRevocations(t.Context(), 0, ""); err == nil {
		t.Error("no limit was accepted")
	}
	for name, r := range map[string]intune.RevocationResult{
		"succeeded with a code":   {Succeeded: true, Code: intune.RevocationRetryable},
		"failed without one":      {},
		"with an impossible code": {Code: 12},
	} {
		if err := f.client.UploadRevocations(t.Context(), []intune.RevocationResult{r}); err == nil {
			t.Errorf("a result that %s was uploaded", name)
		}
	}
	f.Intune.Break(faults.JSON(`{}`))
	if _, err := f.client.DownloadRevocations(t.Context(), 1, ""); err == nil {
		t.Error("an answer without a list passed for an empty one")
	}
	if err := f.client.UploadRevocations(t.Context(), []intune.RevocationResult{{Succeeded: true}}); err == nil {
		t.Error("an answer without a value passed for a yes")
	}
}
