package probe

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// limited answers targets longer than a limit itself.
func limited(t *testing.T, limit, status int) string {
	t.Helper()
	return hop(t, serve(t, healthy()), func(target string, _ *http.Request) (string, int) {
		if len(target) > limit {
			return "", status
		}
		return target, 0
	})
}

// TestLongest finds limits of every kind, wherever they are, with few requests.
func TestLongest(t *testing.T) {
	sizes := raconfig.ProbeSizes
	cut := func(t *testing.T) string {
		return hop(t, serve(t, healthy()), func(target string, _ *http.Request) (string, int) { return target[:min(len(target), 10000)], 0 })
	}
	resets := func(t *testing.T) string {
		behind := serve(t, healthy())
		return serveRaw(t, func(c net.Conn, line string) {
			if len(line) > 20000 {
				reset(c, line)
				return
			}
			talkOn(c, behind, line)
		})
	}
	closes := func(t *testing.T) string {
		behind := serve(t, healthy())
		return serveRaw(t, func(c net.Conn, line string) {
			if len(line) <= 20000 {
				talkOn(c, behind, line)
			}
		})
	}
	cases := []struct {
		name  string
		serve func(t *testing.T) string
		max   int
		kind  raconfig.FailureKind
		code  int
		next  int
	}{
		{"no limit", func(t *testing.T) string { return serve(t, healthy()) }, 65534, "", 0, 0},
		{"414 like nginx", func(t *testing.T) string { return limited(t, 8177, 414) }, sizes[0], raconfig.FailureStatus, 414, sizes[1]},
		{"400 like HAProxy", func(t *testing.T) string { return limited(t, 15099, 400) }, 12 << 10, raconfig.FailureStatus, 400, 16 << 10},
		{"431 like Envoy", func(t *testing.T) string { return limited(t, 60<<10, 431) }, 48 << 10, raconfig.FailureStatus, 431, 65534},
		{"404 like IIS", func(t *testing.T) string { return limited(t, 4096, 404) }, 4 << 10, raconfig.FailureStatus, 404, 8 << 10},
		{"a redirect", func(t *testing.T) string { return limited(t, 40000, 302) }, 32 << 10, raconfig.FailureRedirect, 302, 48 << 10},
		{"nothing passes", func(t *testing.T) string { return limited(t, 2000, 414) }, 0, raconfig.FailureStatus, 414, 4 << 10},
		{"cut", cut, 8 << 10, raconfig.FailureAltered, 200, 12 << 10},
		{"reset like Varnish", resets, 16 << 10, raconfig.FailureReset, 0, 24 << 10},
		{"closed", closes, 16 << 10, raconfig.FailureClosed, 0, 24 << 10},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := prober(endpointKey, c.serve(t)).Shape(t.Context(), target(t, plain), ours)
			if got.MaxTargetBytes != c.max {
				t.Errorf("largest %d, want %d", got.MaxTargetBytes, c.max)
			}
			wantFailure(t, got.Target, c.kind, c.code, "")
			if got.Target != nil && got.Target.Bytes != c.next {
				t.Errorf("failed at %d, want %d", got.Target.Bytes, c.next)
			}
		})
	}
}

// talkOn sends a request line on with a header, and the answer back.
func talkOn(c net.Conn, next, line string) {
	behind, err := net.Dial("tcp", next) //nolint:noctx // a test's connection
	if err != nil {
		return
	}
	defer func() { _ = behind.Close() }()
	_, _ = io.WriteString(behind, line+"Host: x\r\nConnection: close\r\n\r\n")
	_, _ = io.Copy(c, behind)
}

// TestExactSizes: the target has the size that it is said to have, to the byte, and
// few are tried.
func TestExactSizes(t *testing.T) {
	seen := make(chan int, 100)
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- len(r.RequestURI)
		w.WriteHeader(http.StatusRequestURITooLong)
	}))
	p := prober(endpointKey, address)
	v, _ := p.arrive(t.Context(), target(t, plain))
	if n, failed := v.longest(t.Context(), ours); n != 0 || failed == nil || failed.Bytes != 4<<10 {
		t.Errorf("%d, %v", n, failed)
	}
	close(seen)
	var got []int
	for n := range seen {
		got = append(got, n)
	}
	if want := []int{65534, 65534, 16384, 16384, 8192, 8192, 4096, 4096}; !slices.Equal(got, want) {
		t.Errorf("asked for %v, want %v", got, want)
	}
}

// TestShapes shows what hops do to requests of other kinds.
func TestShapes(t *testing.T) {
	through := func(change func(target string) string) func(t *testing.T) string {
		return func(t *testing.T) string {
			return hop(t, serve(t, healthy()), func(target string, _ *http.Request) (string, int) { return change(target), 0 })
		}
	}
	answering := func(status int, when func(r *http.Request) bool) func(t *testing.T) string {
		return func(t *testing.T) string {
			return hop(t, serve(t, healthy()), func(target string, r *http.Request) (string, int) {
				if when(r) {
					return target, status
				}
				return target, 0
			})
		}
	}
	replacing := func(old, changed string) func(t *testing.T) string {
		return through(func(target string) string { return strings.ReplaceAll(target, old, changed) })
	}
	query := func(s *raconfig.ProbeShape) *raconfig.ProbeFailure { return s.Query }
	path := func(s *raconfig.ProbeShape) *raconfig.ProbeFailure { return s.Path }
	post := func(s *raconfig.ProbeShape) *raconfig.ProbeFailure { return s.Post }
	postPath := func(s *raconfig.ProbeShape) *raconfig.ProbeFailure { return s.PostPath }
	http10 := func(s *raconfig.ProbeShape) *raconfig.ProbeFailure { return s.HTTP10 }
	cases := []struct {
		name  string
		serve func(t *testing.T) string
		of    func(s *raconfig.ProbeShape) *raconfig.ProbeFailure
		kind  raconfig.FailureKind
		code  int
		says  string
	}{
		{"plus to space", replacing("+", "%20"), query, raconfig.FailureAltered, 200, "plus signs arrive as spaces"},
		{"plus escaped", replacing("+", "%2B"), query, raconfig.FailureAltered, 200, "plus signs arrive escaped"},
		{"escapes undone", replacing("%2B", "+"), query, raconfig.FailureAltered, 200, "%2B arrives as a plus sign"},
		{"line breaks dropped", replacing("%0A", ""), query, raconfig.FailureAltered, 200, "%0A is dropped"},
		{"something else", replacing("MII", "mii"), query, raconfig.FailureAltered, 200, "does not arrive as it was sent"},
		{"nothing changed", replacing("nothing", ""), query, "", 0, ""},
		{"405 on POST", answering(405, func(r *http.Request) bool { return r.Method == http.MethodPost }), post, raconfig.FailureStatus, 405, ""},
		{"413 on POST", answering(413, func(r *http.Request) bool { return r.ContentLength > 8<<10 }), post, raconfig.FailureStatus, 413, ""},
		{"301 on POST", answering(301, func(r *http.Request) bool { return r.Method == http.MethodPost }), post, raconfig.FailureRedirect, 301, host},
		{"POST passes", answering(405, func(r *http.Request) bool { return r.Method == http.MethodPut }), post, "", 0, ""},
		{"405 on POST to a folder", answering(405, func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/certsrv/")
		}), postPath, raconfig.FailureStatus, 405, "/certsrv/mscep/mscep.dll"},
		{"301 on POST to a folder", answering(301, func(r *http.Request) bool {
			return r.Method == http.MethodPost && r.URL.Path == "/scep/"
		}), postPath, raconfig.FailureRedirect, 301, "/scep/ https://"},
		{"POST passes by every path", replacing("nothing", ""), postPath, "", 0, ""},
		{"426 for HTTP/1.0", answering(426, func(r *http.Request) bool { return r.ProtoMinor == 0 }), http10, raconfig.FailureStatus, 426, ""},
		{"HTTP/1.0 passes", replacing("nothing", ""), http10, "", 0, ""},
		{"a folder is redirected", answering(301, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/") }), path, raconfig.FailureRedirect, 301, "/scep/ https://"},
		{"a path is not served", answering(404, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "pkiclient.exe") }), path, raconfig.FailureStatus, 404, "pkiclient.exe"},
		{"a prefix is taken away", replacing("/certsrv", ""), path, raconfig.FailureAltered, 200, "/certsrv/mscep"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := prober(endpointKey, c.serve(t)).Shape(t.Context(), target(t, plain), ours)
			wantFailure(t, c.of(got), c.kind, c.code, c.says)
			if got.MaxTargetBytes != 65534 {
				t.Errorf("%+v", got.Target)
			}
		})
	}
}

// TestLostOnce: a single loss is no property of the way.
func TestLostOnce(t *testing.T) {
	var count atomic.Int32
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		healthy().ServeHTTP(w, r)
	}))
	if got := prober(endpointKey, address).Shape(t.Context(), target(t, plain), ours); got.MaxTargetBytes != 65534 {
		t.Errorf("%+v", got)
	}
}

// TestRequestBytes: what is sent can be read by a server, and has no surprises.
func TestRequestBytes(t *testing.T) {
	for _, c := range []struct {
		r    request
		want string
	}{
		{request{method: "GET", target: "/scep?a"}, "GET /scep?a HTTP/1.1\r\nHost: h\r\nUser-Agent: scepter-probe\r\nAccept: */*\r\nCache-Control: no-cache\r\n" + probemark.Header + ": m\r\nConnection: close\r\n\r\n"},
		{request{method: "POST", target: "/", http10: true, body: []byte("x")}, "POST / HTTP/1.0\r\nHost: h\r\nUser-Agent: scepter-probe\r\nAccept: */*\r\nCache-Control: no-cache\r\n" + probemark.Header + ": m\r\nContent-Type: application/x-pki-message\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"},
	} {
		if got := string(c.r.bytes("h", "m")); got != c.want {
			t.Errorf("%q", got)
		}
	}
}

// FuzzReadAnswer: whatever comes, reading it ends, within bounds.
func FuzzReadAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nAES", "HTTP/1.0 414 \r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nAES\r\n0\r\n\r\n", "+OK\r\n", "", "HTTP/1.1 301 Moved\r\nLocation: http://[::1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := readAnswer(strings.NewReader(raw), http.MethodGet)
		if err != nil {
			if failed := failureOf(err); failed.Kind == "" {
				t.Errorf("%v", err)
			}
			return
		}
		if len(a.body) > maxAnswer {
			t.Errorf("%d bytes", len(a.body))
		}
		finding := finding{answer: a}
		if failed := finding.judge(ours.Capabilities); failed != nil && (len(failed.Detail) > maxText || len(failed.Server) > maxText) {
			t.Errorf("%+v", failed)
		}
		for _, r := range fmt.Sprintf("%+v", a.failure("", destination(a.header.Get("Location")))) {
			if r < ' ' || r > '~' {
				t.Errorf("%q is told", r)
			}
		}
	})
}
