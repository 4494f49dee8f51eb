package webhook_test

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// Whatever a service answers: a yes is JSON that says yes, and no error.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"allow":true}`, `{"allow":false,"error":{"code":"a","message":"b"}}`, `{"allow":true,"data":{"a":[1,2]}}`,
		`{"allow":"yes"}`, `{"Allow":true}`, `{"allow":true}{}`, `[]`, ``, `{"allow":true,"error":null}`,
	} {
		f.Add(body, "application/json")
	}
	type answer struct{ body, kind string }
	var next atomic.Pointer[answer]
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{next.Load().kind}
		_, _ = io.WriteString(w, next.Load().body)
	}))
	f.Cleanup(server.Close)
	csr := sceptest.Request(f, sceptest.RSAKey(f, 3), sceptest.CSROptions{})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := outbound.New(outbound.Options{Timeout: patience, MaxAnswer: webhook.MaxAnswer, Roots: roots})
	hook := &webhook.Hook{URL: server.URL, Client: client, Now: now}
	f.Fuzz(func(t *testing.T, body, kind string) {
		next.Store(&answer{body, kind})
		decision, err := hook.Ask(t.Context(), webhook.Enrolment{CSR: csr})
		if (decision == nil) == (err == nil) {
			t.Fatalf("decision %+v and error %v", decision, err)
		}
		if decision == nil || !decision.Allow {
			return
		}
		var said struct {
			Allow any `json:"allow"`
			Error any `json:"error"`
		}
		if err := json.Unmarshal([]byte(body), &said); err != nil || said.Allow != true || said.Error != nil {
			t.Errorf("%q passed for a yes", body)
		}
	})
}
