package ra_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probe"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const canaryKey = 72

// message is what was sent by POST, with the pass that came along.
type message struct {
	pass string
	body []byte
}

// tap is a hop in front of a server that keeps the messages that pass by.
type tap struct {
	address string
	mu      sync.Mutex
	seen    []message
}

func newTap(t *testing.T, server string) *tap {
	t.Helper()
	to, err := url.Parse(strings.TrimSuffix(server, "/scep"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	one := &tap{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			one.mu.Lock()
			one.seen = append(one.seen, message{r.Header.Get(probemark.Header), body})
			one.mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	one.address = s.Listener.Addr().String()
	return one
}

func (p *tap) last(t *testing.T) message {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) == 0 {
		t.Fatal("no message came by")
	}
	return p.seen[len(p.seen)-1]
}

// sing sends a canary to an address of the loopback.
func (f *fixture) sing(t *testing.T, address string) *raconfig.CanaryFailure {
	t.Helper()
	keys := probemark.NewKeys(f.files.StateKey())
	target, err := probe.OwnTarget(address)
	if err != nil {
		t.Fatal(err)
	}
	p := &probe.Prober{Key: keys.Probe, CanaryKey: keys.Canary, Timeout: 30 * time.Second}
	return p.Canary(limited(t), target, sceptest.RSAKey(t, canaryKey))
}

// wantUncounted: nothing is written, counted or recorded of what was sent.
func (f *fixture) wantUncounted(t *testing.T) {
	t.Helper()
	f.wantRequests(t, 0)
	if status := f.server.Status(); len(status.Funnel) > 0 || status.LongestTargetBytes > 0 || len(status.Away) > 0 || len(status.Troubles) > 0 {
		t.Errorf("counted: %v, %d bytes, %v, %v", status.Funnel, status.LongestTargetBytes, status.Away, status.Troubles)
	}
	if metrics := f.server.Metrics(); strings.Contains(metrics, "scepter_ra_enrolments_total{") || strings.Contains(metrics, "scepter_ra_refusals_total{") {
		t.Errorf("counted as an enrolment:\n%s", metrics)
	}
	for line := range strings.Lines(f.server.Log.String()) {
		if strings.Contains(line, `"transaction"`) {
			t.Errorf("recorded: %s", line)
		}
	}
}

// TestCanary: the exchange comes to its end, again and again, and leaves nothing behind.
func TestCanary(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hop := newTap(t, f.server.URL)
	for range 2 {
		if failed := f.sing(t, hop.address); failed != nil {
			t.Fatalf("%+v", *failed)
		}
	}
	f.wantUncounted(t)
	canary := hop.last(t)
	for range 2 { // replays
		if text, receipt := f.post(t, canary.pass, canary.body); text != probemark.DryRun || !receipt {
			t.Errorf("%q, receipt: %v", text, receipt)
		}
	}
	f.wantUncounted(t)
}

// post sends a message, and reads the failInfoText of the answer, or its HTTP status.
func (f *fixture) post(t *testing.T, pass string, body []byte) (text string, receipt bool) {
	t.Helper()
	request, err := http.NewRequestWithContext(limited(t), http.MethodPost, f.server.URL+"?operation=PKIOperation", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(probemark.Header, pass)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Sprint(response.StatusCode), response.Header.Get(probemark.Header) != ""
	}
	for _, known := range []string{probemark.DryRun, "challenge password required"} {
		if bytes.Contains(answer, []byte(known)) {
			return known, response.Header.Get(probemark.Header) != ""
		}
	}
	return "another answer", response.Header.Get(probemark.Header) != ""
}

// TestPassIsGoodForItsMessageAlone: whatever else comes with one, or with one that is
// not good, gets what anybody would get.
func TestPassIsGoodForItsMessageAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hop := newTap(t, f.server.URL)
	if failed := f.sing(t, hop.address); failed != nil {
		t.Fatalf("%+v", *failed)
	}
	canary := hop.last(t)
	request := enrolment(t, 1)
	request.ChallengePassword = ""
	wantFailure(t, enrol(t, "http://"+hop.address+"/scep", request), "challenge password required")
	another := hop.last(t).body
	keys, neighbour := probemark.NewKeys(f.files.StateKey()), probemark.NewKeys(f.files.ChallengeKey())
	const stranger = "challenge password required"
	cases := []struct {
		name, pass string
		body       []byte
		text       string
	}{
		{"another CSR with a canary's pass", canary.pass, another, stranger},
		{"a canary's message with something behind it", canary.pass, append(bytes.Clone(canary.body), 0), "400"},
		{"more than is looked at", canary.pass, append(bytes.Clone(canary.body), make([]byte, 65<<10)...), "400"},
		{"nothing with a canary's pass", canary.pass, nil, "400"},
		{"without a pass", "", canary.body, stranger},
		{"an old pass", keys.Canary.Pass(time.Now().Add(-16*time.Minute), canary.body), canary.body, stranger},
		{"a pass from the future", keys.Canary.Pass(time.Now().Add(16*time.Minute), canary.body), canary.body, stranger},
		{"another endpoint's pass", neighbour.Canary.Pass(time.Now(), canary.body), canary.body, stranger},
		{"made with the key of probes", probemark.CanaryKey(keys.Probe).Pass(time.Now(), canary.body), canary.body, stranger},
		{"cut", canary.pass[:len(canary.pass)-2], canary.body, stranger},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := len(f.server.Log.String())
			if text, receipt := f.post(t, c.pass, c.body); text != c.text || receipt {
				t.Errorf("%q, want %q; receipt: %v", text, c.text, receipt)
			}
			if recorded := f.server.Log.String()[before:]; !strings.Contains(recorded, `"outcome":"failure"`) {
				t.Errorf("not recorded as anybody's: %s", recorded)
			}
		})
	}
	f.wantRequests(t, 0)
}

// TestPassIssuesNothing: not even a request that would be granted, with its challenge.
func TestPassIssuesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hop := newTap(t, f.server.URL)
	key := probemark.NewCanaryKey(f.files.StateKey())
	client := device(f.server.URL)
	client.HTTP = &http.Client{Transport: passing{t, key}}
	result, err := client.Enrol(limited(t), enrolment(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, result, probemark.DryRun)
	f.wantRequests(t, 0)
	if _, err := client.Renew(limited(t), renewal(t, certificateOf(t, f.Issuer.CA))); err == nil {
		t.Error("a canary renews")
	}
	f.wantRequests(t, 0)
	if failed := f.sing(t, hop.address); failed != nil {
		t.Errorf("%+v", *failed)
	}
}

// passing puts a good pass to every message, as only the prober could.
type passing struct {
	t   *testing.T
	key probemark.CanaryKey
}

// RoundTrip implements http.RoundTripper.
func (p passing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Set(probemark.Header, p.key.Pass(time.Now(), body))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestCanaryIsToldWhy: where devices are told to come again, it hears the reason.
func TestCanaryIsToldWhy(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	ending := endingCA(t, cluster.Issuer.CA)
	generation := ratest.NewGeneration(t, ending, sceptest.Pair)
	files.Keyring.Generations = []raconfig.Generation{generation}
	files.Config.ActiveGeneration = generation.ID
	files.WriteKeyring()
	files.WriteConfig()
	f := &fixture{cluster, files, ratest.NewServer(t, cluster, files)}
	failed := f.sing(t, newTap(t, f.server.URL).address)
	if failed == nil || failed.Step != v1alpha1.CanaryAnswer || !strings.Contains(failed.Cause.Detail, "renew the CA") {
		t.Fatalf("%+v", failed)
	}
	f.wantUncounted(t)
}

// endingCA is the same CA with a certificate that ends within the hour.
func endingCA(t *testing.T, ca *sceptest.CA) *sceptest.CA {
	t.Helper()
	template := *ca.Certificate
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(50*time.Minute)
	above := &sceptest.CA{Certificate: ca.Root, Key: sceptest.RSAKey(t, -1), Root: ca.Root}
	c, err := above.Issue(&template, ca.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &sceptest.CA{Certificate: c, Key: ca.Key, Root: ca.Root}
}

// TestRunnerSings: a server that is chosen sends canaries to itself and by its URLs, until
// it is told to be silent.
func TestRunnerSings(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	files.Config.Probes = &raconfig.Probes{
		URLs: []string{"http://scep.example.com/scep"}, IntervalSeconds: 1, URLIntervalSeconds: 300,
		Canary: &raconfig.Canary{Level: v1alpha1.CanaryProtocol, IntervalSeconds: 60},
	}
	files.WriteConfig()
	f := &fixture{cluster, files, ratest.NewServer(t, cluster, files)}
	sang := func() (all, some bool) {
		report := f.server.Status().Probes
		if report == nil || len(report.URLs) == 0 {
			return false, false
		}
		own, url := report.Server.Canary, report.URLs[0].Canary
		return own != nil && own.Failure == nil && url != nil && url.Failure == nil, own != nil || url != nil
	}
	choose(t, f.server, t.Name())
	ratest.Eventually(t, "canaries", func() error {
		if all, _ := sang(); !all {
			return errors.New("none has come to its end")
		}
		return nil
	})
	f.wantUncounted(t)
	silent := t.Name() + "&" + raconfig.NoCanariesParameter
	if err := f.server.Get(raconfig.StatusPath + "?" + raconfig.ProberParameter + "=" + silent); err != nil {
		t.Fatal(err)
	}
	ratest.Eventually(t, "silence", func() error {
		if _, some := sang(); some {
			return errors.New("canaries are reported still")
		}
		return nil
	})
}
