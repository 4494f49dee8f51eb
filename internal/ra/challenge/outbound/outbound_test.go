package outbound_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func TestCheckURL(t *testing.T) {
	for _, c := range []struct {
		url string
		ok  bool
	}{
		{"https://hook.example.com/scep?x=y", true},
		{"https://10.0.0.1:8443", true},
		{"https://[::1]:8443/", true},
		{"http://hook.example.com", false},
		{"http://127.0.0.1/", false}, // loopback is for tests only
		{"ftp://hook.example.com", false},
		{"https://", false},
		{"https:///path", false},
		{"https://user:password@hook.example.com", false},
		{"https://hook.example.com/#part", false},
		{"hook.example.com", false},
		{"https://hook example.com", false},
		{"", false},
		{"https://%zz", false},
	} {
		err := outbound.CheckURL(c.url)
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.url, err)
		}
		if err != nil && strings.Contains(err.Error(), "password") {
			t.Errorf("the error quotes the URL: %v", err)
		}
	}
}

func options(s *httptest.Server) outbound.Options {
	pool := x509.NewCertPool()
	if s.Certificate() != nil {
		pool.AddCert(s.Certificate())
	}
	return outbound.Options{Timeout: 20 * time.Second, MaxAnswer: 1000, Roots: pool}
}

func call(t *testing.T, o outbound.Options, url string) (*outbound.Answer, error) {
	t.Helper()
	client := outbound.New(o)
	t.Cleanup(client.Close)
	return client.Call(t.Context(), outbound.Request{Method: http.MethodPost, URL: url, Body: []byte("body")})
}

func TestFaults(t *testing.T) {
	server := func(f faults.Fault) *httptest.Server {
		s := httptest.NewTLSServer(http.HandlerFunc(f))
		t.Cleanup(s.Close)
		return s
	}
	good := server(faults.JSON(`{}`))
	other := options(good)
	other.Roots = sceptest.NewCA(t).Pool()
	short := options(good)
	short.Timeout = 50 * time.Millisecond
	for _, c := range []struct {
		name    string
		options outbound.Options
		url     string
		want    outbound.Fault
	}{
		{"unknown host", options(good), "https://nobody.invalid/?token=secret", outbound.UnknownHost},
		{"nobody listens", options(good), "https://127.0.0.1:1/?token=secret", outbound.Unreachable},
		{"another CA", other, good.URL + "/?token=secret", outbound.Untrusted},
		{"another name", options(good), strings.Replace(good.URL, "127.0.0.1", "localhost", 1) + "/?token=secret", outbound.Untrusted},
		{"closed", options(good), server(faults.Closed).URL + "/?token=secret", outbound.Unreachable},
		{"torn", options(good), server(faults.Torn).URL + "/?token=secret", outbound.Torn},
		{"slow", short, server(faults.Slow).URL + "/?token=secret", outbound.TimedOut},
		{"huge", options(good), server(faults.Huge(1000)).URL + "/?token=secret", outbound.TooLarge},
		{"plain http", options(good), "http://127.0.0.1:1/?token=secret", outbound.BadURL},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := call(t, c.options, c.url)
			failed, ok := outbound.As(err)
			if !ok || failed.Fault != c.want {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the URL: %v", err)
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	reached := false
	target := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer target.Close()
	from := httptest.NewTLSServer(http.HandlerFunc(faults.Redirect(http.StatusTemporaryRedirect, target.URL)))
	defer from.Close()
	answer, err := call(t, options(from), from.URL)
	if err != nil || answer.OK() || answer.Status != http.StatusTemporaryRedirect || reached {
		t.Errorf("got %+v, %v; reached: %v", answer, err, reached)
	}
}

// TestProxyIsAsked: the service is reached by the proxy alone, and a refusal is no answer of it.
func TestProxyIsAsked(t *testing.T) {
	asked := ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.RequestURI
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	to, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	o := outbound.Options{Timeout: 20 * time.Second, MaxAnswer: 1000, Proxy: func(*http.Request) (*url.URL, error) { return to, nil }}
	_, err = call(t, o, "https://hook.example.com/?token=secret")
	failed, ok := outbound.As(err)
	if !ok || failed.Fault != outbound.Unreachable || asked != "CONNECT hook.example.com:443" || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v; the proxy was asked for %q", err, asked)
	}
}

func TestLoopbackHTTP(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(faults.JSON(`{}`)))
	defer server.Close()
	o := options(server)
	o.LoopbackHTTP = true
	if _, err := call(t, o, server.URL); err != nil {
		t.Error(err)
	}
	if _, err := call(t, o, "http://192.0.2.1/"); err == nil {
		t.Error("plain http to another machine was allowed")
	}
}

func TestClientCertificate(t *testing.T) {
	ca := sceptest.NewCA(t)
	key := sceptest.RSAKey(t, 4)
	issued, err := ca.Issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(faults.JSON(`{}`)))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	o := options(server)
	_, err = call(t, o, server.URL)
	if failed, ok := outbound.As(err); !ok || failed.Fault != outbound.ClientRefused {
		t.Errorf("without a certificate: %v", err)
	}
	o.ClientCertificate = func() (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: [][]byte{issued.Raw, ca.Certificate.Raw}, PrivateKey: key}, nil
	}
	if _, err := call(t, o, server.URL); err != nil {
		t.Error(err)
	}
}

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		ok         bool
	}{
		{"application/json", `{"a":1}`, true},
		{"application/json; charset=utf-8", ` {"a":1, "b":2} `, true},
		{"text/json", `{"a":1}`, false},
		{"", `{"a":1}`, false},
		{"application/json", `{"a":"secret"}`, false},
		{"application/json", `{"a":1`, false},
		{"application/json", `{"a":1} secret`, false},
		{"application/json", `{"a":1}{}`, false},
		{"application/json", ``, false},
	} {
		server := httptest.NewTLSServer(http.HandlerFunc(faults.Says(c.kind, c.body)))
		answer, err := call(t, options(server), server.URL)
		server.Close()
		if err != nil {
			t.Fatal(err)
		}
		var into struct{ A int }
		err = answer.JSON(&into)
		if (err == nil) != c.ok {
			t.Errorf("%s %s: %v", c.kind, c.body, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error quotes the body: %v", err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-5": 0, "x": 0, "86400": 10 * time.Minute,
		"Fri, 31 Dec 1999 23:59:59 GMT": 0,
	} {
		a := &outbound.Answer{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {header}}}
		if got := a.StatusError().RetryAfter; got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ said, secret, want string }{
		{"wrong: hunter2!", "hunter2", "wrong: (omitted)!"},
		{"two\nlines\x00", "", "two lines "},
		{"token " + strings.Repeat("aB3_", 20), "", "token (omitted)"},
		{strings.Repeat("ü ", 200), "", strings.Repeat("ü ", 85) + ""},
	} {
		got := outbound.Text(c.said, c.secret)
		if len(got) > 256 || !strings.HasPrefix(got, c.want) {
			t.Errorf("%q became %q", c.said, got)
		}
	}
}

// Whatever a service says: what is logged of it is bounded, printable, and without the secret.
func FuzzText(f *testing.F) {
	f.Add("wrong: hunter2!", "hunter2")
	f.Add("two\nlines", "")
	f.Add(strings.Repeat("ü", 200), "ü")
	f.Fuzz(func(t *testing.T, said, secret string) {
		got := outbound.Text(said, secret)
		if len(got) > 256 || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q became %q", said, got)
		}
		if len(secret) > len("(omitted)") && strings.Contains(got, secret) {
			t.Errorf("%q still holds %q: %q", said, secret, got)
		}
	})
}

func TestWantedSchemes(t *testing.T) {
	for _, c := range []struct {
		fields []string
		want   string
	}{
		{nil, ""},
		{[]string{`Basic realm="a, Bearer b"`}, "Basic Bearer"}, // what a realm says is not told from a scheme
		{[]string{"Negotiate", "NTLM"}, "Negotiate NTLM"},
		{[]string{"ntlm, negotiate"}, "Negotiate NTLM"},
		{[]string{"Secret-token-that-is-no-scheme", "bearer error=\"invalid_token\""}, "Bearer"},
		{slices.Repeat([]string{"Basic"}, 100), "Basic"},
		{append(slices.Repeat([]string{"x"}, 8), "Basic"), ""},
	} {
		a := &outbound.Answer{Status: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": c.fields}}
		if got := strings.Join(a.StatusError().Wants, " "); got != c.want {
			t.Errorf("%q: %q, want %q", c.fields, got, c.want)
		}
		a.Status = http.StatusForbidden
		if got := a.StatusError().Wants; got != nil {
			t.Errorf("%q with 403: %q", c.fields, got)
		}
	}
}

func TestRefuses(t *testing.T) {
	for status, want := range map[int]bool{
		200: false, 204: false, 301: true, 400: false, 401: true, 403: true, 404: false, 405: false, 407: true, 429: true, 500: true, 501: false, 502: true,
	} {
		if got := (&outbound.Answer{Status: status}).Refuses(); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
}
