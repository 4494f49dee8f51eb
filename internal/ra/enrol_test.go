package ra_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func TestMain(m *testing.M) { ratest.Main(m) }

// deviceName is one the template allows.
const deviceName = "d1.devices.example.com"

// fixture is one endpoint with one replica.
type fixture struct {
	*ratest.Cluster
	files  *ratest.Files
	server *ratest.Server
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	return &fixture{cluster, files, ratest.NewServer(t, cluster, files)}
}

// device is a SCEP client.
func device(url string) *scep.Client {
	return &scep.Client{VerifyCA: scep.TrustAnyCA, URL: url, PollInterval: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
}

// enrolment is a good request with its challenge.
func enrolment(t *testing.T, keyNumber int) scep.EnrolRequest {
	t.Helper()
	return scep.EnrolRequest{
		Key:               sceptest.RSAKey(t, keyNumber),
		Template:          &x509.CertificateRequest{Subject: pkix.Name{CommonName: deviceName}, DNSNames: []string{deviceName}},
		ChallengePassword: ratest.Password,
	}
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func enrol(t *testing.T, url string, request scep.EnrolRequest) *scep.Result {
	t.Helper()
	result, err := device(url).Enrol(limited(t), request)
	if err != nil {
		t.Fatalf("enrol: %v", err)
	}
	return result
}

// wantCertificate fails the test if there is none for the key.
func wantCertificate(t *testing.T, result *scep.Result, key crypto.Signer) *x509.Certificate {
	t.Helper()
	if result.Status != scep.StatusSuccess {
		t.Fatalf("status %v, failInfo %v %q, want SUCCESS", result.Status, result.FailInfo, result.FailInfoText)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(result.Certificate.PublicKey) {
		t.Fatal("the certificate is for another key")
	}
	return result.Certificate
}

func wantFailure(t *testing.T, result *scep.Result, text string) {
	t.Helper()
	if result.Status != scep.StatusFailure || result.FailInfoText != text {
		t.Fatalf("status %v, failInfoText %q, want FAILURE with %q", result.Status, result.FailInfoText, text)
	}
}

func (f *fixture) wantRequests(t *testing.T, n int) {
	t.Helper()
	if got := len(f.List(t)); got != n {
		t.Errorf("%d CertificateRequests, want %d", got, n)
	}
}

func TestEnrol(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := enrolment(t, 1)
	certificate := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	if !f.Issuer.CA.Issued(certificate) {
		t.Error("the CA did not sign the certificate")
	}
	f.wantRequests(t, 1)
}

func TestARepeatedRequestGetsTheSameCertificate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	second := ratest.NewServer(t, f.Cluster, f.files)
	request := enrolment(t, 1)
	request.TransactionID = "repeated"
	sameSigner := request
	sameSigner.Certificate = sceptest.SelfSigned(t, nil, request.Key)

	first := wantCertificate(t, enrol(t, f.server.URL, sameSigner), request.Key)
	for name, server := range map[string]*ratest.Server{"same replica": f.server, "other replica": second} {
		ratest.Eventually(t, "the replica to know the request", func() error {
			again := wantCertificate(t, enrol(t, server.URL, sameSigner), request.Key)
			if !again.Equal(first) {
				t.Errorf("%s: another certificate", name)
			}
			return server.Logged(audit.Recalled, "")
		})
		withoutChallenge := request
		withoutChallenge.ChallengePassword = ""
		again := wantCertificate(t, enrol(t, server.URL, withoutChallenge), request.Key)
		if !again.Equal(first) {
			t.Errorf("%s, with a new self-signed certificate: another certificate", name)
		}
	}
	f.wantRequests(t, 1)
}

func TestParallelCopiesGetOneCertificate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	second := ratest.NewServer(t, f.Cluster, f.files)
	request := enrolment(t, 1)
	request.TransactionID = "parallel"
	request.Certificate = sceptest.SelfSigned(t, nil, request.Key)
	results := make(chan *scep.Result)
	const copies = 8
	for n := range copies {
		url := []string{f.server.URL, second.URL}[n%2]
		go func() {
			result, err := device(url).Enrol(limited(t), request)
			if err != nil {
				t.Errorf("enrol: %v", err)
			}
			results <- result
		}()
	}
	serials := map[string]bool{}
	for range copies {
		if result := <-results; result != nil && result.Certificate != nil {
			serials[result.Certificate.SerialNumber.String()] = true
		}
	}
	if len(serials) != 1 {
		t.Errorf("%d different certificates, want 1", len(serials))
	}
	f.wantRequests(t, 1)
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.files.Write(f.files.Dirs.Challenges, "mdm/password", []byte("old one\r\n\n"+ratest.Password+"\n"))
	for _, tc := range []struct{ password, text string }{
		{"battery staple", "challenge password refused"},
		{"", "challenge password required"},
		{ratest.Password[:5], "challenge password refused"},
		{"old one\r\n\n" + ratest.Password, "challenge password refused"},
	} {
		request := enrolment(t, 1)
		request.ChallengePassword = tc.password
		wantFailure(t, enrol(t, f.server.URL, request), tc.text)
	}
	f.wantRequests(t, 0)
	f.server.WantMetric(`scepter_ra_refusals_total{reason="ChallengeWrong"} 3`)
	f.server.WantMetric(`scepter_ra_refusals_total{reason="ChallengeMissing"} 1`)
	request := enrolment(t, 2)
	request.ChallengePassword = "old one"
	ratest.Eventually(t, "the second password to be accepted", func() error {
		return succeeded(device(f.server.URL).Enrol(limited(t), request))
	})
	f.server.WantNoSecret("battery staple", ratest.Password)
}

func succeeded(result *scep.Result, err error) error {
	if err != nil {
		return err
	}
	if result.Status != scep.StatusSuccess {
		return fmt.Errorf("%v: %s", result.Status, result.FailInfoText)
	}
	return nil
}

func TestTemplateIsApplied(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := enrolment(t, 1)
	request.Template = &x509.CertificateRequest{Subject: pkix.Name{CommonName: "laptop"}}
	wantFailure(t, enrol(t, f.server.URL, request), "CN must be a device name")
	request.Template = &x509.CertificateRequest{Subject: pkix.Name{CommonName: deviceName}, DNSNames: []string{"www.example.com"}}
	wantFailure(t, enrol(t, f.server.URL, request), `DNS name "www.example.com" refused: allowed is devices.example.com`)
	f.wantRequests(t, 0)
	f.server.WantMetric(`scepter_ra_refusals_total{reason="RuleNotMet"} 1`)
	f.server.WantMetric(`scepter_ra_refusals_total{reason="SANNotAllowed"} 1`)
	f.server.WantLogged(audit.AnsweredFailure, `"reason":"SANNotAllowed"`)
}

// alternating sends each request to the next replica, as a Service does.
type alternating struct {
	hosts []string
	next  atomic.Int64
}

func (a *alternating) RoundTrip(r *http.Request) (*http.Response, error) {
	n := int(a.next.Add(1))
	r = r.Clone(r.Context())
	r.URL.Host = a.hosts[n%len(a.hosts)]
	return http.DefaultTransport.RoundTrip(r)
}

func host(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func TestPendingIsServedByAnyReplica(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.files.Config.Issuance.WaitSeconds = 1
	f.files.WriteConfig()
	second := ratest.NewServer(t, f.Cluster, f.files)
	f.Issuer.Set(ratest.Holds)
	client := device(f.server.URL)
	client.PollLimit = -1
	client.HTTP = &http.Client{Transport: &alternating{hosts: []string{host(t, f.server.URL), host(t, second.URL)}}}
	request := enrolment(t, 1)
	done := make(chan *scep.Result, 1)
	go func() {
		result, err := client.Enrol(limited(t), request)
		if err != nil {
			t.Errorf("enrol: %v", err)
		}
		done <- result
	}()
	for _, s := range []*ratest.Server{f.server, second} {
		ratest.Eventually(t, "both replicas to have answered PENDING", func() error { return s.Logged(audit.AnsweredPending, "") })
	}
	f.Issuer.Set(ratest.Signs)
	if result := <-done; result != nil {
		wantCertificate(t, result, request.Key)
	}
	f.wantRequests(t, 1)
}

func TestOnlyTheSignerMayPoll(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := enrolment(t, 1)
	request.TransactionID = "mine"
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)

	poll := sceptest.NewMessage(t, f.server.Identity(), nil, sceptest.RSAKey(t, 2))
	poll.Type, poll.TransactionID = "20", "mine"
	poll.Content = issuerAndSubject(t, f)
	post(t, f.server.URL, poll.Bytes(t))
	f.server.WantLogged(audit.AnsweredFailure, `"reason":"TransactionUnknown"`)

	poll.Signer, poll.SignerKey = sceptest.SelfSigned(t, nil, request.Key), request.Key
	post(t, f.server.URL, poll.Bytes(t))
	f.server.WantMetric(`scepter_ra_enrolments_total{reason="",result="success"} 2`)
}

func issuerAndSubject(t *testing.T, f *fixture) []byte {
	t.Helper()
	subject, err := asn1.Marshal(pkix.Name{CommonName: deviceName}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct{ Issuer, Subject asn1.RawValue }{
		asn1.RawValue{FullBytes: f.Issuer.CA.Certificate.RawSubject}, asn1.RawValue{FullBytes: subject},
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// post sends a message; the answer must be HTTP 200.
func post(t *testing.T, url string, message []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"?operation=PKIOperation", bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Errorf("HTTP status %d, want 200", response.StatusCode)
	}
}

func TestFinalRefusalsOfTheIssuer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mood         ratest.Mood
		text, reason string
	}{
		"denied":           {ratest.Denies, "request denied by an approver", "Denied"},
		"invalid":          {ratest.Invalidates, "request refused by the issuer", "InvalidRequest"},
		"other usages":     {ratest.SignsForServers, "the issuer made a certificate other than requested: further usages", "IssuedMismatch"},
		"another key":      {ratest.SignsAnotherKey, "the issuer made a certificate other than requested: another key", "IssuedMismatch"},
		"a CA certificate": {ratest.SignsCA, "the issuer made a certificate other than requested: a CA certificate", "IssuedMismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.Issuer.Set(tc.mood)
			request := enrolment(t, 1)
			request.TransactionID = "final"
			wantFailure(t, enrol(t, f.server.URL, request), tc.text)
			f.Issuer.Set(ratest.Signs)
			wantFailure(t, enrol(t, f.server.URL, request), tc.text)
			f.wantRequests(t, 1)
			f.server.WantMetric(`scepter_ra_refusals_total{reason="` + tc.reason + `"} 2`)
		})
	}
}

func TestAFailedRequestIsTriedThreeTimes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Issuer.Set(ratest.Fails)
	request := enrolment(t, 1)
	request.TransactionID = "failing"
	request.Certificate = sceptest.SelfSigned(t, nil, request.Key)
	for n := range 4 {
		wantFailure(t, enrol(t, f.server.URL, request), "the issuer failed; try again later")
		f.wantRequests(t, min(n+1, issue.MaxAttempts))
	}

	other := enrolment(t, 2)
	other.TransactionID = "failing once"
	other.Certificate = sceptest.SelfSigned(t, nil, other.Key)
	wantFailure(t, enrol(t, f.server.URL, other), "the issuer failed; try again later")
	f.Issuer.Set(ratest.Signs)
	wantCertificate(t, enrol(t, f.server.URL, other), other.Key)
	f.wantRequests(t, issue.MaxAttempts+2)
}

func TestAFailedRequestNeedsItsChallengeAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Issuer.Set(ratest.Fails)
	request := enrolment(t, 1)
	request.TransactionID = "failing"
	request.Certificate = sceptest.SelfSigned(t, nil, request.Key)
	wantFailure(t, enrol(t, f.server.URL, request), "the issuer failed; try again later")
	request.ChallengePassword = ""
	wantFailure(t, enrol(t, f.server.URL, request), "challenge password required")
	f.wantRequests(t, 1)
}

func TestAnObjectOfSomebodyElseDoesNotCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Issuer.Set(ratest.SignsCA)
	request := enrolment(t, 1)
	request.TransactionID = "squatted"
	request.Certificate = sceptest.SelfSigned(t, nil, request.Key)
	request.CSR = sceptest.CSR(t, request.Key, sceptest.CSROptions{Template: request.Template, ChallengePassword: ratest.Password})
	squatter := f.precreate(t, request)
	f.Issuer.Set(ratest.Signs)

	certificate := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	if certificate.IsCA {
		t.Error("the squatter's certificate was handed out")
	}
	f.wantRequests(t, 2)
	f.server.WantLogged(audit.ObjectIgnored, squatter)
}

// precreate makes, as somebody else, the very object that a server would make, and
// waits until it is signed.
func (f *fixture) precreate(t *testing.T, request scep.EnrolRequest) string {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(request.CSR)
	if err != nil {
		t.Fatal(err)
	}
	names := issue.Names{Key: f.files.StateKey(), Endpoint: ratest.Endpoint}
	stolen := issue.Request{TransactionID: request.TransactionID, CSR: csr, Signer: request.Certificate, Template: "device"}
	object := &certmanagerv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{
		Name: names.Request(stolen, 1),
		Labels: map[string]string{
			v1alpha1.LabelEndpoint:    ratest.Endpoint,
			v1alpha1.LabelTransaction: names.Transaction(request.TransactionID, csr),
			v1alpha1.LabelSigner:      names.Signer(request.TransactionID, request.Certificate),
		},
	}}
	object.Spec.IssuerRef.Name, object.Spec.IssuerRef.Kind, object.Spec.IssuerRef.Group = ratest.IssuerName, "Issuer", "cert-manager.io"
	object.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr.Raw})
	object.Spec.Usages = ratest.DeviceTemplate().Usages
	object.Spec.Username = f.Username() // admission replaces it
	if _, err := f.Requests.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ratest.Eventually(t, "the squatter's object to be signed", func() error {
		got, err := f.Requests.Get(t.Context(), object.Name, metav1.GetOptions{})
		if err == nil && len(got.Status.Certificate) == 0 {
			err = errors.New("no certificate")
		}
		return err
	})
	return object.Name
}

func TestAPIServerAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.server.SetClusterAway(true)
	request := enrolment(t, 1)
	_, err := device(f.server.URL).Enrol(limited(t), request)
	var status *scep.HTTPError
	if !errors.As(err, &status) || status.StatusCode != http.StatusServiceUnavailable || status.RetryAfter == "" {
		t.Fatalf("enrol: %v, want HTTP 503 with Retry-After", err)
	}
	if _, err := device(f.server.URL).GetCACert(limited(t)); err != nil {
		t.Errorf("GetCACert: %v", err)
	}
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		if err := f.server.Get(path); err != nil {
			t.Error(err)
		}
	}
	f.wantRequests(t, 0)
	f.server.WantLogged(audit.Unavailable, "the API server is away")
	f.server.SetClusterAway(false)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}

func TestAPIServerLostWhileWaiting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Issuer.Set(ratest.Holds)
	request := enrolment(t, 1)
	request.TransactionID = "lost"
	done := make(chan *scep.Result, 1)
	go func() {
		result, err := device(f.server.URL).Enrol(limited(t), request)
		if err != nil {
			t.Errorf("enrol: %v", err)
		}
		done <- result
	}()
	ratest.Eventually(t, "the request to be recorded", func() error { return f.server.Logged(audit.RequestRecorded, "") })
	f.server.SetClusterAway(true)
	if result := <-done; result == nil || result.Status != scep.StatusPending {
		t.Errorf("result %+v, want PENDING", result)
	}
	f.server.SetClusterAway(false)
	f.Issuer.Set(ratest.Signs)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	f.wantRequests(t, 1)
}

// idle is an issuer whose watch never starts: it knows what it asks for only.
func (f *fixture) idle(t *testing.T) *issue.CertManager {
	t.Helper()
	store, err := issue.NewStore(f.Config(), f.Namespace, ratest.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return &issue.CertManager{
		Store: store,
		Names: issue.Names{Key: f.files.StateKey(), Endpoint: ratest.Endpoint},
		Terms: issue.Terms{Issuer: f.files.Config.Issuance.IssuerRef, Username: f.Username()},
		Now:   time.Now,
	}
}

func TestAPollFindsWhatTheWatchHasMissed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := enrolment(t, 1)
	request.TransactionID = "missed"
	request.Certificate = sceptest.SelfSigned(t, nil, request.Key)
	certificate := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)

	idle := f.idle(t)
	record, err := idle.Collect(limited(t), request.TransactionID, request.Certificate)
	if err != nil || record == nil || record.State != issue.Issued || !record.Certificates[0].Equal(certificate) {
		t.Errorf("collected %+v (%v), want the certificate", record, err)
	}
	if record, err := idle.Collect(limited(t), "another", request.Certificate); err != nil || record == nil || !record.Certificates[0].Equal(certificate) {
		t.Errorf("collected %+v (%v) for another transaction of the same signer, want the certificate", record, err)
	}
	stranger := sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 2))
	if record, err := idle.Collect(limited(t), request.TransactionID, stranger); record != nil || err != nil {
		t.Errorf("collected %+v (%v) for another signer", record, err)
	}
}

func TestPollsForUnknownTransactionsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	idle, signer := f.idle(t), sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 1))
	ratest.Eventually(t, "lookups to be refused", func() error {
		for range 100 {
			if _, err := idle.Collect(limited(t), "unknown", signer); errors.Is(err, issue.ErrBusy) {
				return nil
			}
		}
		return errors.New("100 lookups in a row were let through")
	})
}

// A message that is refused before it is opened is counted and recorded too.
func TestUnopenedMessagesAreRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	message := sceptest.NewMessage(t, f.server.Identity(), []byte("not a CSR"), sceptest.RSAKey(t, 1))
	post(t, f.server.URL, message.Bytes(t))
	f.server.WantMetric(`scepter_ra_refusals_total{reason="Message/unreadable"} 1`)
	f.server.WantMetric(`scepter_ra_enrolments_total{reason="Message/unreadable",result="failure"} 1`)
	f.server.WantLogged(audit.MessageRefused, message.TransactionID)
}
