package probe

import (
	"net/http"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const page = "https://" + host + raconfig.ChallengePagePath

// challenges answers a stranger who wants the page, with receipts for who knows the key; a
// hop may add to the answer.
func challenges(key probemark.Key, realm, hop string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mark := r.Header.Get(probemark.Header)
		answer := []byte("sign in")
		if key.Knows(mark, time.Now()) {
			w.Header().Set(probemark.Header, key.Sign(mark, probemark.Receipt{Answer: probemark.SumOf(answer)}))
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="`+realm+`"`)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(append(answer, hop...))
	})
}

func TestAdmin(t *testing.T) {
	now := time.Now()
	good := certificateFor(t, host, now.Add(-time.Hour), now.Add(time.Hour))
	cases := []struct {
		name   string
		serve  func(t *testing.T) string
		kind   raconfig.FailureKind // "": passes
		status int
		proved bool
	}{
		{"healthy", func(t *testing.T) string { return serveTLS(t, challenges(endpointKey, "any", ""), good) }, "", 0, true},
		{"marks are stripped", func(t *testing.T) string { return serveTLS(t, challenges(nil, "scepter", ""), good) }, "", 0, false},
		{"another endpoint", func(t *testing.T) string { return serveTLS(t, challenges(otherKey, "any", ""), good) }, raconfig.FailureForeign, 401, false},
		{"answers are rewritten", func(t *testing.T) string { return serveTLS(t, challenges(endpointKey, "any", "!"), good) }, raconfig.FailureAltered, 401, true},
		{"everybody is let in", func(t *testing.T) string {
			return serveTLS(t, http.HandlerFunc(faults.Says("text/html", "<html>")), good)
		}, raconfig.FailureStatus, 200, false},
		{"not found", func(t *testing.T) string { return serveTLS(t, http.NotFoundHandler(), good) }, raconfig.FailureStatus, 404, false},
		{"to a portal", func(t *testing.T) string { return serveTLS(t, redirect(302, "/login"), good) }, raconfig.FailureRedirect, 302, false},
		{"nothing listens", closedPort, raconfig.FailureRefused, 0, false},
		{"another name", func(t *testing.T) string {
			return serveTLS(t, challenges(endpointKey, "any", ""), certificateFor(t, "ingress.local", now.Add(-time.Hour), now.Add(time.Hour)))
		}, raconfig.FailureTLSName, 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := prober(endpointKey, c.serve(t)).Admin(t.Context(), target(t, page))
			wantFailure(t, got.Failure, c.kind, c.status, "")
			if got.Proved != c.proved || got.URL != page || len(got.Addresses) != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestAdminComesAndGoes: a failure counts the second time, and another page begins anew.
func TestAdminComesAndGoes(t *testing.T) {
	r := newRig(t)
	if r.look().Admin != nil {
		t.Error("nobody wanted it")
	}
	r.wanted.Admin = "http://" + host + raconfig.ChallengePagePath // the rig has no TLS
	if first := r.look(); first.Admin != nil || !r.hasty() {
		t.Errorf("after one failure: %+v", first.Admin)
	}
	if second := r.look().Admin; second == nil || second.Failure == nil || second.Failure.Status != http.StatusOK {
		t.Errorf("after two failures: %+v", second)
	}
	r.wanted.Admin += "x"
	if r.look().Admin != nil {
		t.Error("another page has the other's result")
	}
	r.wanted.Admin = ""
	if r.look().Admin != nil || r.hasty() {
		t.Error("nobody wants it any more")
	}
}
