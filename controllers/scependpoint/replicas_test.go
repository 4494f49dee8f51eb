package scependpoint

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// statusServer answers for a server at any address.
func statusServer(t *testing.T, handler http.HandlerFunc) *HTTPStatusReader {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	reader := NewHTTPStatusReader()
	reader.client.Transport = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	}}
	return reader
}

func TestReadStatus(t *testing.T) {
	reader := statusServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != raconfig.StatusPath || r.Host != "192.0.2.1:8081" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"pod":"a","heldGenerations":["g1"],"from":"a later version"}`))
	})
	status, err := reader.ReadStatus(t.Context(), "192.0.2.1", chosenProber{name: "corp-ra-1"})
	if err != nil || !status.Holds("g1") {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestReadStatusTells: who probes, and whether canaries may be sent.
func TestReadStatusTells(t *testing.T) {
	for query, who := range map[string]chosenProber{
		"prober=corp-ra-1":             {name: "corp-ra-1"},
		"anew=word&prober=corp-ra-1":   {name: "corp-ra-1", anew: "word"},
		"nocanaries=&prober=corp-ra-1": {name: "corp-ra-1", noCanaries: true},
		"prober=":                      {},
	} {
		asked := ""
		reader := statusServer(t, func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.RawQuery
			_, _ = w.Write([]byte(`{}`))
		})
		if _, err := reader.ReadStatus(t.Context(), "192.0.2.1", who); err != nil || asked != query {
			t.Errorf("%q, want %q; %v", asked, query, err)
		}
	}
}

func TestReadStatusRefuses(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"an error":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"a redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"other words": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"a flood": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"pod":"` + strings.Repeat("a", 1<<20) + `"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if status, err := statusServer(t, handler).ReadStatus(t.Context(), "192.0.2.1", chosenProber{name: "corp-ra-1"}); err == nil {
				t.Errorf("%+v", status)
			}
		})
	}
}
