package ra_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// collector is a receiver of OTLP that keeps what it gets.
type collector struct {
	faults.Switch
	url string
	mu  sync.Mutex
	got strings.Builder
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(c.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		_, _ = c.got.Write(body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	})))
	t.Cleanup(server.Close)
	c.url = server.URL + "/v1/any"
	return c
}

func (c *collector) has(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.got.String(), text)
}

var errNotYet = errors.New("not yet")

// want waits for a text to arrive.
func (c *collector) want(t *testing.T, text string) {
	t.Helper()
	ratest.Eventually(t, text+" to arrive", func() error {
		if !c.has(text) {
			return errNotYet
		}
		return nil
	})
}

func (f *fixture) record(t *testing.T, r *raconfig.Recording) {
	t.Helper()
	f.files.Config.Recording = r
	f.files.Config.Endpoint.Generation++
	wanted := f.files.Config.Endpoint.Generation
	f.files.WriteConfig()
	ratest.Eventually(t, "the configuration to be used", func() error {
		if f.server.Status().ConfigGeneration != wanted {
			return errNotYet
		}
		return nil
	})
}

// TestRefuseWithoutRecord enrols nobody while the sink is away, uses nothing up, and
// serves all afterwards; what was issued before is handed out again meanwhile.
func TestRefuseWithoutRecord(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sink := newCollector(t)
	f.record(t, &raconfig.Recording{Sink: &raconfig.Sink{
		Kind: raconfig.SinkOTLP, URL: sink.url, TimeoutSeconds: 2, OnFailure: v1alpha1.SinkFailureRefuse,
	}})
	known := enrolment(t, 1)
	known.TransactionID = "known"
	wantCertificate(t, enrol(t, f.server.URL, known), known.Key)
	if !sink.has(string(audit.Ordered)) {
		t.Error("the certificate was issued before the sink had the record")
	}
	sink.want(t, string(audit.AnsweredSuccess))

	sink.Break(faults.Status(http.StatusServiceUnavailable))
	request := enrolment(t, 2)
	request.TransactionID = "new"
	_, err := device(f.server.URL).Enrol(limited(t), request)
	var status *scep.HTTPError
	if !errors.As(err, &status) || status.StatusCode != http.StatusServiceUnavailable || status.RetryAfter == "" {
		t.Fatalf("enrolled while the sink is away: %v", err)
	}
	away := f.server.Status().Away
	if len(away) != 1 || away[0].Dependency != raconfig.DependencyAuditSink || away[0].Failures == 0 {
		t.Errorf("away: %+v", away)
	}
	f.server.WantMetric(`scepter_ra_audit_sink_up 0`)
	wantCertificate(t, enrol(t, f.server.URL, known), known.Key)

	sink.Mend()
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	sink.want(t, string(audit.SinkBack))
	for _, line := range f.server.Records("") {
		ratest.WantNotIn(t, line, ratest.Password)
	}
	if sink.has(ratest.Password) || sink.has(faults.Leak) {
		t.Error("the sink got a secret")
	}
}

// TestContinueWithoutSink enrols whatever the sink does.
func TestContinueWithoutSink(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sink := newCollector(t)
	sink.Break(faults.Closed)
	f.record(t, &raconfig.Recording{Sink: &raconfig.Sink{
		Kind: raconfig.SinkOTLP, URL: sink.url, TimeoutSeconds: 1, OnFailure: v1alpha1.SinkFailureContinue,
	}})
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	sink.Mend()
	sink.want(t, string(audit.AnsweredSuccess))
}

// TestUnusableSink refuses where nothing is to be issued without a record, and says why.
func TestUnusableSink(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, sink := range map[string]raconfig.Sink{
		"signing-secret is missing": {Kind: raconfig.SinkWebhook, URL: "https://audit.example.com/"},
		"lacks the label":           {Kind: raconfig.SinkOTLP, URL: "https://audit.example.com/", Withheld: true},
		"is not known":              {Kind: "Pigeon"},
	} {
		sink.OnFailure, sink.TimeoutSeconds = v1alpha1.SinkFailureRefuse, 1
		f.record(t, &raconfig.Recording{Sink: &sink})
		if problems := strings.Join(f.server.Status().Problems, "\n"); !strings.Contains(problems, name) {
			t.Errorf("problems %q, want %q", problems, name)
		}
		_, err := device(f.server.URL).Enrol(limited(t), enrolment(t, 1))
		var status *scep.HTTPError
		if !errors.As(err, &status) || status.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: enrolled all the same: %v", name, err)
		}
	}
	f.record(t, nil)
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}

// TestTraces wants a span for each step, without names and secrets.
func TestTraces(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	spans := newCollector(t)
	f.record(t, &raconfig.Recording{Tracing: &raconfig.Tracing{URL: spans.url, Ratio: "1"}})
	request := enrolment(t, 1)
	request.TransactionID = "traced"
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	request = enrolment(t, 2)
	request.ChallengePassword = "wrong-word-of-a-device"
	enrol(t, f.server.URL, request)
	f.record(t, nil) // sends what is waiting
	for _, text := range []string{"PKCSReq", "authenticate", "judge", "issue", "traced", "scepter.client.family", "ChallengeWrong"} {
		spans.want(t, text)
	}
	for _, secret := range []string{ratest.Password, request.ChallengePassword, deviceName} {
		if spans.has(secret) {
			t.Errorf("%q is in a trace", secret)
		}
	}
}
