package ra_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/probe"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// TestProbesItself: a server that is chosen tries the URLs of its configuration, all of
// whose sizes and shapes it takes; none of that is counted.
func TestProbesItself(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	files.Config.Probes = &raconfig.Probes{URLs: []string{"http://scep.example.com/scep"}, IntervalSeconds: 10, URLIntervalSeconds: 300}
	files.WriteConfig()
	server := ratest.NewServer(t, cluster, files)
	if got := server.Status().Probes; got != nil {
		t.Errorf("%+v, though nobody said so", got)
	}
	choose(t, server, t.Name())
	ratest.Eventually(t, "probes", func() error {
		if got := server.Status().Probes; got == nil || len(got.URLs) == 0 {
			return errors.New("no report")
		}
		return nil
	})
	got := server.Status()
	for _, r := range append(got.Probes.URLs, got.Probes.Server) {
		if r.Failure != nil || !r.Proved || r.Shape == nil {
			t.Fatalf("%+v", r)
		}
		s := *r.Shape
		if s.MaxTargetBytes != 65534 || s.Target != nil || s.Query != nil || s.Path != nil || s.Post != nil || s.HTTP10 != nil {
			t.Errorf("%s: %+v", r.URL, s)
		}
	}
	if got.LongestTargetBytes > 0 || len(got.Funnel) > 0 {
		t.Errorf("probes are counted as devices: %d bytes, %v", got.LongestTargetBytes, got.Funnel)
	}
	choose(t, server, "another")
	if got := server.Status().Probes; got != nil {
		t.Errorf("%+v, though another was chosen", got)
	}
}

func choose(t *testing.T, server *ratest.Server, pod string) {
	t.Helper()
	if err := server.Get(raconfig.StatusPath + "?" + raconfig.ProberParameter + "=" + strings.ReplaceAll(pod, "/", "%2F")); err != nil {
		t.Fatal(err)
	}
}

// TestProbesAreNoWayIn: a mark opens nothing that a stranger could not have, and
// without a good one there is no receipt.
func TestProbesAreNoWayIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := probemark.NewKey(f.files.StateKey()).Mark(time.Now(), [16]byte{1})
	foreign := probemark.NewKey(f.files.ChallengeKey()).Mark(time.Now(), [16]byte{1})
	old := probemark.NewKey(f.files.StateKey()).Mark(time.Now().Add(-2*time.Hour), [16]byte{1})
	cases := []struct {
		name, method, query, body, mark string
		status                          int
		receipt                         bool
	}{
		{"GetCACaps", http.MethodGet, "operation=GetCACaps", "", good, http.StatusOK, true},
		{"GetCACert", http.MethodGet, "operation=getcacert&message=x", "", good, http.StatusOK, true},
		{"a message", http.MethodPost, "operation=PKIOperation", "nothing", good, http.StatusOK, true},
		{"too large a message", http.MethodPost, "operation=PKIOperation", strings.Repeat("x", 65<<10), good, http.StatusBadRequest, false},
		{"a template that is not there", http.MethodGet, "operation=GetCACaps", "", good, http.StatusNotFound, true},
		{"enrolment by GET", http.MethodGet, "operation=PKIOperation&message=AAAA", "", good, http.StatusBadRequest, false},
		{"no operation", http.MethodGet, "", "", good, http.StatusOK, false},
		{"another method", http.MethodPut, "operation=PKIOperation", "x", good, http.StatusMethodNotAllowed, false},
		{"another endpoint's mark", http.MethodGet, "operation=GetCACaps", "", foreign, http.StatusOK, false},
		{"another endpoint's message", http.MethodPost, "operation=PKIOperation", "nothing", foreign, http.StatusBadRequest, false},
		{"an old mark", http.MethodGet, "operation=GetCACaps", "", old, http.StatusOK, false},
		{"no mark", http.MethodGet, "operation=GetCACaps", "", "", http.StatusOK, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			url := f.server.URL
			if c.status == http.StatusNotFound {
				url += "/nothing-of-this-name"
			}
			request, err := http.NewRequestWithContext(t.Context(), c.method, url+"?"+c.query, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set(probemark.Header, c.mark)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			_, err = probemark.NewKey(f.files.StateKey()).Verify(c.mark, response.Header.Get(probemark.Header))
			if response.StatusCode != c.status || (err == nil) != c.receipt {
				t.Errorf("status %d, receipt: %v", response.StatusCode, err)
			}
			if shown := response.Header.Get(probemark.Header) != ""; shown != c.receipt {
				t.Errorf("a header all the same: %v", response.Header)
			}
		})
	}
}

// TestStrangersAreCounted: only a good mark keeps a request out of the funnel.
func TestStrangersAreCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	target, err := probe.OwnTarget(strings.TrimSuffix(strings.TrimPrefix(f.server.URL, "http://"), "/scep"))
	if err != nil {
		t.Fatal(err)
	}
	stranger := &probe.Prober{Key: probemark.NewKey(f.files.ChallengeKey())}
	got, known := stranger.Exchange(t.Context(), target, probe.Known{})
	if got.Failure != nil || got.Proved {
		t.Errorf("%+v", got)
	}
	if shape := stranger.Shape(t.Context(), target, known); shape.MaxTargetBytes != 65534 || shape.Post != nil {
		t.Errorf("%+v", shape)
	}
	if status := f.server.Status(); status.LongestTargetBytes != 65534 || len(status.Funnel) == 0 {
		t.Errorf("longest %d, funnel %v", status.LongestTargetBytes, status.Funnel)
	}
}
