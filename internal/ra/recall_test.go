package ra_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// impatient answers PENDING after a second.
func (f *fixture) impatient(t *testing.T) {
	t.Helper()
	f.files.Config.Issuance.WaitSeconds = 1
	f.reconfigure(t)
}

func wantPending(t *testing.T, result *scep.Result) {
	t.Helper()
	if result.Status != scep.StatusPending {
		t.Fatalf("status %v, failInfoText %q, want PENDING", result.Status, result.FailInfoText)
	}
}

// A device that was told PENDING and has forgotten its transaction begins anew with
// the key it has, anywhere, and goes on waiting for the same certificate.
func TestANewTransactionWithTheSameKeyFindsWhatWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.impatient(t)
	f.Issuer.Set(ratest.Holds)
	request := enrolment(t, 1)
	request.TransactionID = "first"
	wantPending(t, enrol(t, f.server.URL, request))

	restarted := ratest.NewServer(t, f.Cluster, f.files)
	request.TransactionID = "second"
	wantPending(t, enrol(t, restarted.URL, request))
	f.wantRequests(t, 1)

	other := ratest.NewServer(t, f.Cluster, f.files)
	client := device(f.server.URL)
	client.PollLimit = -1
	client.HTTP = &http.Client{Transport: &alternating{hosts: []string{host(t, other.URL), host(t, restarted.URL)}}}
	done := make(chan *scep.Result, 1)
	go func() {
		request.TransactionID = "third"
		result, err := client.Enrol(limited(t), request)
		if err != nil {
			t.Errorf("enrol: %v", err)
		}
		done <- result
	}()
	for _, s := range []*ratest.Server{other, restarted} {
		ratest.Eventually(t, "the device to poll", func() error { return s.Logged(audit.AnsweredPending, `"messageType":"CertPoll"`) })
	}
	f.Issuer.Set(ratest.Signs)
	result := <-done
	if result == nil {
		t.Fatal("no answer")
	}
	certificate := wantCertificate(t, result, request.Key)
	request.TransactionID = "fourth"
	request.Certificate = sceptest.SelfSigned(t, nil, request.Key)
	if again := wantCertificate(t, enrol(t, f.server.URL, request), request.Key); !again.Equal(certificate) {
		t.Error("a new transaction got another certificate")
	}
	request.TransactionID, request.ChallengePassword = "fifth", "wrong"
	wantFailure(t, enrol(t, f.server.URL, request), "challenge password refused")
	f.wantRequests(t, 1)
}

func TestARenewalIsFoundByItsKeyAndItsSignerOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.impatient(t)
	first := wantCertificate(t, enrol(t, f.server.URL, enrolment(t, oldKey)), sceptest.RSAKey(t, oldKey))
	f.Issuer.Set(ratest.Holds)
	request := renewal(t, first)
	wantPending(t, renew(t, f.server.URL, request))
	wantPending(t, renew(t, f.server.URL, request)) // another transaction
	f.wantRequests(t, 2)

	selfSigned := enrolment(t, newKey)
	wantPending(t, enrol(t, f.server.URL, selfSigned))
	f.wantRequests(t, 3)

	client := device(f.server.URL)
	client.PollLimit = -1
	f.Issuer.Set(ratest.Signs)
	result, err := client.Renew(limited(t), request)
	if err != nil {
		t.Fatal(err)
	}
	wantCertificate(t, result, request.Key)
	f.wantRequests(t, 3)
}

// What was refused in one transaction does not bind the next.
func TestARefusalDoesNotBindANewTransaction(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Issuer.Set(ratest.Denies)
	request := enrolment(t, 1)
	wantFailure(t, enrol(t, f.server.URL, request), "request denied by an approver")
	f.Issuer.Set(ratest.Signs)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	f.wantRequests(t, 2)
}

func TestPendingDeadline(t *testing.T) {
	t.Parallel()
	const expired = "the request was not answered in time: send a new one"
	f := newFixture(t)
	f.files.Config.Issuance.PendingDeadlineSeconds = 3
	f.impatient(t)
	f.Issuer.Set(ratest.Holds)
	request := enrolment(t, 1)
	request.TransactionID = "slow"
	request.Certificate = sceptest.SelfSigned(t, nil, request.Key)
	client := device(f.server.URL)
	client.PollLimit, client.PollInterval = -1, 500*time.Millisecond
	result, err := client.Enrol(limited(t), request)
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, result, expired)
	f.server.WantLogged(audit.AnsweredFailure, `"reason":"PendingExpired"`)
	wantFailure(t, enrol(t, f.server.URL, request), expired)
	f.wantRequests(t, 1)

	request.TransactionID = "afresh"
	wantPending(t, enrol(t, f.server.URL, request))
	f.wantRequests(t, 2)
}
