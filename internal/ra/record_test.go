package ra_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
)

// record is what tests look at of an audit record.
type record struct {
	Time                                             time.Time
	Code, Msg, Endpoint, Transaction, Template       string
	Subject, Signer, SignerSubject, Outcome, Reason  string
	Serial, Certificate, MessageType, Cipher, Digest string
	Generation, Took                                 int64
	NDESEvent                                        int
	AlternativeNames                                 []string
	Key                                              struct {
		Algorithm, Hash string
		Size            int
	}
	Client struct{ Address, Family, UserAgent, Path string }
	Steps  map[string]int64
}

func readRecords(t *testing.T, lines []string) []record {
	t.Helper()
	var out []record
	for _, line := range lines {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, r)
	}
	return out
}

// TestRecordsOfAnEnrolment reads them where the operator's tools do.
func TestRecordsOfAnEnrolment(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := enrolment(t, 1)
	request.TransactionID = "a transaction, with & in it"
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	lines := f.server.Records("transaction=" + url.QueryEscape(request.TransactionID))
	var first struct{ CompleteSince time.Time }
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first.CompleteSince.IsZero() {
		t.Fatalf("first line %s (%v)", lines[0], err)
	}
	records := readRecords(t, lines[1:])
	var codes []audit.Code
	for _, r := range records {
		codes = append(codes, audit.Code(r.Code))
		if r.Endpoint == "" || r.Generation == 0 || r.Client.Family != "Scepter" || r.Client.Address != "127.0.0.1" || r.Client.Path != "/scep" {
			t.Errorf("%s does not say of whom it is: %+v", r.Code, r)
		}
	}
	want := []audit.Code{audit.MessageOpened, audit.Authenticated, audit.Judged, audit.RequestRecorded, audit.AnsweredSuccess}
	if !slices.Equal(codes, want) {
		t.Fatalf("records %v, want %v", codes, want)
	}
	if r := records[0]; r.Cipher == "" || r.Digest == "" || r.MessageType != "PKCSReq" {
		t.Errorf("opened: %+v", r)
	}
	r := records[len(records)-1]
	if r.Key.Algorithm != "RSA" || r.Key.Size != 2048 || len(r.Key.Hash) != 64 || r.Subject == "" || r.Template != "device" ||
		r.Signer == "" || r.Outcome != "success" || r.Took <= 0 || r.Serial == "" || r.Certificate == "" {
		t.Errorf("handed out: %+v", r)
	}
	for _, step := range []string{"authenticate", "judge", "issue"} {
		if _, timed := r.Steps[step]; !timed {
			t.Errorf("step %s is not timed: %v", step, slices.Sorted(maps.Keys(r.Steps)))
		}
	}
}

// TestRecordsHoldNoSecrets sends good and bad passwords; what the server's files hold,
// every test's server looks for when it ends.
func TestRecordsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	passwords := []string{ratest.Password, ratest.Password + "x", "wrong-word-of-a-device"}
	for i, password := range passwords {
		request := enrolment(t, i+1)
		request.ChallengePassword = password
		enrol(t, f.server.URL, request)
	}
	refused := readRecords(t, f.server.Records("code=" + string(audit.AnsweredFailure))[1:])
	if len(refused) != 2 || refused[0].NDESEvent != 29 || refused[0].Reason != "ChallengeWrong" || refused[0].Outcome != "failure" {
		t.Errorf("refused: %+v", refused)
	}
	for _, password := range passwords {
		ratest.WantNotIn(t, f.server.Log.String(), password)
		for _, line := range f.server.Records("") {
			ratest.WantNotIn(t, line, password)
		}
	}
}
