package otlp

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
)

// collector keeps the bodies that it gets.
type collector struct {
	faults.Switch
	mu     sync.Mutex
	bodies [][]byte
	paths  []string
	tokens []string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, body)
	c.paths = append(c.paths, r.URL.Path)
	c.tokens = append(c.tokens, r.Header.Get("Authorization"))
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func start(t *testing.T) (*collector, Collector) {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(c.Wrap(c))
	t.Cleanup(server.Close)
	return c, Collector{URL: server.URL + "/v1/anything", Token: "token-of-the-tenant", Timeout: 2 * time.Second}
}

func from() *resource.Resource {
	return resource.NewSchemaless(attribute.String("k8s.pod.name", "corp-1"))
}

func TestLogs(t *testing.T) {
	t.Parallel()
	c, to := start(t)
	logs, err := NewLogs(t.Context(), to, from())
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	line := `{"code":"SCEP1060","transaction":"tx-17","reason":"none","client":{"family":"Apple"},"took":5}`
	entry := audit.Entry{Time: time.Now(), Code: audit.AnsweredSuccess, Level: slog.LevelInfo, JSON: []byte(line)}
	for range 2 {
		if err := logs.Export(t.Context(), "batch-1", []audit.Entry{entry}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.bodies) != 2 || c.paths[0] != "/v1/anything" || c.tokens[0] != "Bearer token-of-the-tenant" {
		t.Fatalf("%d requests to %v with %v", len(c.bodies), c.paths, c.tokens)
	}
	for _, want := range []string{line, "corp-1", "scepter.transaction", "tx-17", "scepter.client.family", "Apple", "batch-1"} {
		if !bytes.Contains(c.bodies[0], []byte(want)) {
			t.Errorf("no %q in the request", want)
		}
	}
	if bytes.Count(c.bodies[1], []byte(line)) != 1 {
		t.Error("a batch holds records of the one before")
	}
}

// TestLogsFaults tries what a collector can do; errors say nothing of what was received.
func TestLogsFaults(t *testing.T) {
	t.Parallel()
	c, to := start(t)
	to.Timeout = 300 * time.Millisecond
	logs, err := NewLogs(t.Context(), to, from())
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	for name, fault := range map[string]faults.Fault{
		"busy":      faults.Throttled(http.StatusTooManyRequests, 1),
		"broken":    faults.Status(http.StatusInternalServerError),
		"echo":      faults.Echo(http.StatusBadRequest),
		"slow":      faults.Slow,
		"closed":    faults.Closed,
		"not HTTP":  faults.NotHTTP,
		"elsewhere": faults.Redirect(http.StatusTemporaryRedirect, "https://elsewhere.invalid/"),
	} {
		c.Break(fault)
		err := logs.Export(t.Context(), "x", []audit.Entry{{JSON: []byte(`{}`)}})
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		if strings.Contains(err.Error(), faults.Leak) || strings.Contains(err.Error(), "token-of") {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
	}
	c.Mend()
	if err := logs.Export(t.Context(), "x", []audit.Entry{{JSON: []byte(`{}`)}}); err != nil {
		t.Errorf("mended: %v", err)
	}
}

func TestTraces(t *testing.T) {
	t.Parallel()
	for ratio, want := range map[float64]bool{0: false, 1: true} {
		c, to := start(t)
		traces, err := NewTraces(t.Context(), to, ratio, from())
		if err != nil {
			t.Fatal(err)
		}
		_, span := traces.Tracer().Start(t.Context(), "a step of it")
		span.End()
		traces.Close()
		if got := len(c.bodies) == 1 && bytes.Contains(c.bodies[0], []byte("a step of it")); got != want {
			t.Errorf("ratio %v: sent %v, want %v", ratio, got, want)
		}
	}
}
