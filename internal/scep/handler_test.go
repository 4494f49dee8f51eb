package scep_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// backend is a function as a scep.Backend.
type backend func(*scep.Request) (*scep.Reply, error)

func (b backend) PKIOperation(_ context.Context, r *scep.Request) (*scep.Reply, error) { return b(r) }

func pending(*scep.Request) (*scep.Reply, error) { return scep.Pending(), nil }

// answer is an HTTP response that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func send(t *testing.T, method, url, contentType string, body io.Reader) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	noRedirect := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := noRedirect.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, b}
}

func get(t *testing.T, url string) answer {
	t.Helper()
	return send(t, http.MethodGet, url, "", nil)
}

func head(t *testing.T, url string) answer {
	t.Helper()
	return send(t, http.MethodHead, url, "", nil)
}

func (a answer) want(t *testing.T, status int, contentType string) {
	t.Helper()
	if got := a.header.Get("Content-Type"); a.status != status || got != contentType {
		t.Errorf("HTTP %d %q %.100q, want %d %q", a.status, got, a.body, status, contentType)
	}
}

const (
	mediaMessage = "application/x-pki-message"
	mediaText    = "text/plain; charset=utf-8"
)

func TestGetCACaps(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]scep.Settings{
		"AES\nPOSTPKIOperation\nSCEPStandard\nSHA-256\nSHA-384\nSHA-512\n":                       {},
		"AES\nDES3\nPOSTPKIOperation\nRenewal\nSCEPStandard\nSHA-1\nSHA-256\nSHA-384\nSHA-512\n": everything,
	} {
		s := sceptest.NewServer(t, sceptest.Options{Settings: settings})
		a := get(t, s.URL+"?operation=GetCACaps&message=any")
		a.want(t, http.StatusOK, "text/plain")
		if string(a.body) != want {
			t.Errorf("got %q, want %q", a.body, want)
		}
	}
}

func TestGetCACert(t *testing.T) {
	t.Parallel()
	ca := sceptest.NewCA(t)
	pair, combined := sceptest.NewGeneration(t, ca, sceptest.Pair), sceptest.NewGeneration(t, ca, sceptest.Combined)
	itself := &scep.Credential{Certificate: ca.Certificate, Key: ca.Key}
	for name, test := range map[string]struct {
		active *scep.Generation
		shape  scep.ChainShape
		want   int
		media  string
	}{
		"pair and chain":    {pair, scep.RAAndChain, 4, "application/x-x509-ca-ra-cert"},
		"pair and issuer":   {pair, scep.RAAndIssuer, 3, "application/x-x509-ca-ra-cert"},
		"combined":          {combined, scep.RAAndChain, 3, "application/x-x509-ca-ra-cert"},
		"CA is its own RA":  {&scep.Generation{Signing: itself, Encryption: itself}, scep.RAAndIssuer, 1, "application/x-x509-ca-cert"},
		"an RA of its own":  {&scep.Generation{Signing: itself, Encryption: itself}, scep.RAAndChain, 2, "application/x-x509-ca-ra-cert"},
		"an unknown choice": {combined, scep.ChainShape(9), 1, "application/x-x509-ca-cert"},
	} {
		id := &scep.Identity{Active: test.active, CAChain: ca.Chain()}
		s := sceptest.NewServer(t, sceptest.Options{CA: ca, Identity: id, Settings: scep.Settings{ChainShape: test.shape}})
		a := get(t, s.URL+"?operation=GetCACert&message=default")
		a.want(t, http.StatusOK, test.media)
		if test.shape == scep.ChainShape(9) {
			continue // a bare RA certificate is no CA
		}
		got, err := scep.ParseCACertificates(a.body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(got.All) != test.want || !got.All[0].Equal(test.active.Signing.Certificate) ||
			!got.Signing.Equal(test.active.Signing.Certificate) ||
			!got.Encryption.Equal(test.active.Encryption.Certificate) || !got.CA.Equal(ca.Certificate) {
			t.Errorf("%s: got %d certificates, %+v", name, len(got.All), got)
		}
	}
}

func TestPKIOperationTransports(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: backend(pending)})
	message := b.message(t).Bytes(t)
	encoded := base64.StdEncoding.EncodeToString(message)
	post := func(url, contentType string) answer {
		return send(t, http.MethodPost, url, contentType, bytes.NewReader(message))
	}
	for name, a := range map[string]answer{
		"POST":                    post(s.URL+"?operation=PKIOperation", mediaMessage),
		"POST, no operation":      post(s.URL, mediaMessage),
		"POST, form":              post(s.URL+"?operation=PKIOperation", "application/x-www-form-urlencoded"),
		"POST, no type":           post(s.URL+"?operation=pkioperation", ""),
		"POST, bad query":         post(s.URL+"?a=%zz;&OPERATION=PKIOPERATION", "text/html"),
		"GET, escaped":            get(t, s.URL+"?operation=PKIOperation&message="+url.QueryEscape(encoded)),
		"GET, raw":                get(t, s.URL+"?message="+encoded+"&operation=PKIOperation"),
		"GET, mixed case":         get(t, s.URL+"?Operation=pkiOperation&Message="+url.QueryEscape(encoded)),
		"POST chunked":            send(t, http.MethodPost, s.URL, "", io.MultiReader(bytes.NewReader(message))),
		"any path":                post(s.URL+"/../CertSrv//mscep/mscep.dll/pkiclient.exe", ""),
		"GET, operation %-escape": get(t, s.URL+"?operation=PKIOperation&&x&message="+url.QueryEscape(url.QueryEscape(encoded))),
	} {
		t.Run(name, func(t *testing.T) { a.want(t, http.StatusOK, mediaMessage) })
	}
}

func TestPKIOperationHTTPErrors(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{Settings: scep.Settings{Limits: scep.Limits{MaxMessageBytes: 1000}}})
	large := bytes.Repeat([]byte{'A'}, 1001)
	post := func(body io.Reader) answer { return send(t, http.MethodPost, s.URL, mediaMessage, body) }
	operation := s.URL + "?operation=PKIOperation"
	for name, test := range map[string]struct {
		got  answer
		want int
	}{
		"POST, too large":          {post(bytes.NewReader(large)), http.StatusRequestEntityTooLarge},
		"POST, too large, chunked": {post(io.MultiReader(bytes.NewReader(large))), http.StatusRequestEntityTooLarge},
		"POST, at the limit":       {post(bytes.NewReader(large[1:])), http.StatusBadRequest},
		"POST, empty":              {post(nil), http.StatusBadRequest},
		"GET, too large":           {get(t, operation+"&message="+base64.RawStdEncoding.EncodeToString(large)), http.StatusRequestEntityTooLarge},
		"GET, no message":          {get(t, operation), http.StatusBadRequest},
		"GET, not base64":          {get(t, operation+"&message=%%%"), http.StatusBadRequest},
		"GET, not a message":       {get(t, operation+"&message=AAAA"), http.StatusBadRequest},
		"unknown operation":        {get(t, s.URL+"?operation=GetCACertChain"), http.StatusBadRequest},
		"no next CA":               {get(t, s.URL+"?operation=GetNextCACert"), http.StatusNotFound},
		"no operation":             {get(t, s.URL), http.StatusNotFound},
		"HEAD, PKIOperation":       {head(t, operation+"&message=AAAA"), http.StatusMethodNotAllowed},
		"PUT":                      {send(t, http.MethodPut, s.URL, "", nil), http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) { test.got.want(t, test.want, mediaText) })
	}
}

func TestBackendErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, test := range map[string]struct {
		err        error
		status     int
		retryAfter string
	}{
		"unavailable":         {&scep.UnavailableError{RetryAfter: 1500 * time.Millisecond}, http.StatusServiceUnavailable, "2"},
		"unavailable, at all": {fmt.Errorf("wrapped: %w", &scep.UnavailableError{}), http.StatusServiceUnavailable, "1"},
		"broken":              {errors.New("secret detail"), http.StatusInternalServerError, ""},
		"no reply":            {nil, http.StatusInternalServerError, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fail := backend(func(*scep.Request) (*scep.Reply, error) { return nil, test.err })
			s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: fail})
			a := send(t, http.MethodPost, s.URL, "", bytes.NewReader(b.message(t).Bytes(t)))
			a.want(t, test.status, mediaText)
			if got := a.header.Get("Retry-After"); got != test.retryAfter {
				t.Errorf("Retry-After %q, want %q", got, test.retryAfter)
			}
			if bytes.Contains(a.body, []byte("secret")) {
				t.Errorf("the device is told %s", a.body)
			}
		})
	}
}

// No more cryptography than the guard allows, and none for the Backend's time.
func TestGuard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	full := errors.New("full")
	for allowed, want := range map[int]int{0: http.StatusServiceUnavailable, 1: http.StatusServiceUnavailable, 2: http.StatusOK} {
		ran, inside := 0, false
		handler := scep.NewHandler(scep.HandlerConfig{
			Identity: func() *scep.Identity { return b.id },
			Settings: func() scep.Settings { return scep.Settings{} },
			Backend: backend(func(*scep.Request) (*scep.Reply, error) {
				if inside {
					t.Error("the Backend is asked inside the guard")
				}
				return scep.Pending(), nil
			}),
			Guard: func(_ context.Context, work func()) error {
				if ran == allowed {
					return full
				}
				ran++
				inside = true
				work()
				inside = false
				return nil
			},
		})
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/scep", bytes.NewReader(b.message(t).Bytes(t))))
		if w.Code != want || ran != allowed {
			t.Errorf("%d allowed, %d ran: HTTP %d, want %d", allowed, ran, w.Code, want)
		}
	}
}

func TestNoIdentity(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{})
	s.SetIdentity(nil)
	for _, operation := range []string{"GetCACaps", "GetCACert", "PKIOperation&message=AAAA"} {
		a := get(t, s.URL+"?operation="+operation)
		a.want(t, http.StatusServiceUnavailable, mediaText)
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}

func TestPathsAndBareURL(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "policy module", http.StatusForbidden) })
	s := sceptest.NewServer(t, sceptest.Options{Paths: scep.HistoricalPaths, BareURL: page})
	host := strings.TrimSuffix(s.URL, "/scep")
	for path, want := range map[string]int{
		"/scep?operation=GetCACaps":                                    http.StatusOK,
		"/SCEP/pkiclient.exe?operation=GetCACaps":                      http.StatusOK,
		"/CertSrv/MSCEP/mscep.dll/pkiclient.exe?operation=GetCACaps":   http.StatusOK,
		"/certsrv/mscep/?operation=GetCACaps":                          http.StatusOK,
		"/cgi-bin/PKIclient.exe?operation=GetCACaps":                   http.StatusOK,
		"/scep//pkiclient.exe?operation=GetCACaps":                     http.StatusOK,
		"/other?operation=GetCACaps":                                   http.StatusNotFound,
		"/metrics":                                                     http.StatusNotFound,
		"/certsrv/mscep/mscep.dll":                                     http.StatusForbidden,
		"/certsrv/mscep/mscep.dll?":                                    http.StatusForbidden,
		"/certsrv/mscep/mscep.dll?operation=&message=SCEP%20Authority": http.StatusForbidden,
	} {
		if a := get(t, host+path); a.status != want {
			t.Errorf("%s: HTTP %d, want %d", path, a.status, want)
		}
	}
}

// A device from before 1999: no Host, no keep-alive.
func TestHTTP10(t *testing.T) {
	t.Parallel()
	s := sceptest.NewServer(t, sceptest.Options{})
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", target.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprint(conn, "GET /cgi-bin/pkiclient.exe?operation=GetCACert&message=x HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.ContentLength != int64(len(body)) {
		t.Errorf("%d bytes announced, %d read, %v", response.ContentLength, len(body), err)
	}
	if _, err := scep.ParseCACertificates(body); err != nil {
		t.Error(err)
	}
}

// A GET of more than 12 KiB, as Intune's challenges make them.
func TestLongGET(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40_000)
	s := sceptest.NewServer(t, sceptest.Options{Challenge: long})
	r := newRequest(t)
	r.ChallengePassword = long
	wantSuccess(t, mustEnrol(t, &scep.Client{VerifyCA: scep.TrustAnyCA, URL: s.URL, Method: scep.MethodGET}, r), s.CA)
}

func TestSlowPost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: backend(pending)})
	status, err := sceptest.SlowPost(t.Context(), s.URL, b.message(t).Bytes(t), 50, time.Millisecond)
	if err != nil || status != http.StatusOK {
		t.Errorf("HTTP %d, %v", status, err)
	}
}

// observed collects the steps of events.
type observed struct {
	mu     sync.Mutex
	events []scep.Event
}

func (o *observed) Observe(_ context.Context, e scep.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

func (o *observed) steps() []scep.Step {
	o.mu.Lock()
	defer o.mu.Unlock()
	var steps []scep.Step
	for _, e := range o.events {
		steps = append(steps, e.Step)
	}
	o.events = nil
	return steps
}

func TestObserver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	o := &observed{}
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: backend(pending), Observer: o})
	post := func(m []byte) { send(t, http.MethodPost, s.URL, "", bytes.NewReader(m)) }
	stranger := b.message(t)
	stranger.Recipient = stranger.Signer
	for _, test := range []struct {
		do   func()
		want []scep.Step
	}{
		{func() { get(t, s.URL+"?operation=GetCACaps") }, []scep.Step{scep.StepGetCACaps}},
		{func() { get(t, s.URL+"?operation=GetCACert") }, []scep.Step{scep.StepGetCACert}},
		{func() { get(t, s.URL) }, []scep.Step{scep.StepOther}},
		{func() { post(b.message(t).Bytes(t)) }, []scep.Step{scep.StepPKIOperation, scep.StepOpened, scep.StepAnswered}},
		{func() { post(stranger.Bytes(t)) }, []scep.Step{scep.StepPKIOperation, scep.StepRefused}},
		{func() { post(nil) }, []scep.Step{scep.StepPKIOperation, scep.StepRefused}},
		{func() { get(t, s.URL+"?operation=PKIOperation&message=!") }, []scep.Step{scep.StepPKIOperation, scep.StepRefused}},
	} {
		test.do()
		if got := o.steps(); !slices.Equal(got, test.want) {
			t.Errorf("steps %v, want %v", got, test.want)
		}
	}
	post(b.message(t).Bytes(t))
	last := o.events[2]
	if last.MessageType != scep.PKCSReq || last.Status != scep.StatusPending || last.TransactionID == "" ||
		last.Path != "/scep" || last.TargetBytes != len("/scep") || last.UserAgent == "" || last.RemoteAddr == "" {
		t.Errorf("last event %+v", last)
	}
}
