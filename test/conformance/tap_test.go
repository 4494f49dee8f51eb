package conformance

import (
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A tap stands between a client and the RA. It writes down what goes by, which is
// what the page about interoperability is made from, and it can make an RA look
// smaller, or a request travel by GET.
type tap struct {
	URL  string
	next http.Handler

	// hide is taken out of the answer to GetCACaps.
	hide []string
	// byGET turns a POST into the GET of the same message.
	byGET bool

	mu        sync.Mutex
	exchanges []exchange
}

// exchange is one HTTP request and its answer.
type exchange struct {
	operation   string
	method      string // as the client sent it
	targetBytes int    // of the request target as the RA got it
	request     *message
	reply       *message
}

// newTap starts a tap before handler that ends with the test.
func newTap(t *testing.T, handler http.Handler) *tap {
	t.Helper()
	p := &tap{next: handler}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.URL = server.URL + "/scep"
	return p
}

// ServeHTTP implements http.Handler.
func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	x := exchange{operation: r.URL.Query().Get("operation"), method: r.Method}
	inner := p.inner(r, body)
	x.targetBytes = len(inner.RequestURI)
	answer := httptest.NewRecorder()
	p.next.ServeHTTP(answer, inner)
	reply := answer.Body.Bytes()
	switch x.operation {
	case "GetCACaps":
		reply = p.shorten(reply)
	case "PKIOperation":
		x.request, x.reply = readMessage(sent(r, body)), readMessage(reply)
	}
	p.mu.Lock()
	p.exchanges = append(p.exchanges, x)
	p.mu.Unlock()
	maps.Copy(w.Header(), answer.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(answer.Code)
	_, _ = w.Write(reply)
}

// inner is the request that the RA gets.
func (p *tap) inner(r *http.Request, body []byte) *http.Request {
	target := r.URL.RequestURI()
	if !p.byGET || r.Method != http.MethodPost {
		inner := httptest.NewRequestWithContext(r.Context(), r.Method, target, strings.NewReader(string(body)))
		inner.Header = r.Header.Clone()
		return inner
	}
	target += "&message=" + url.QueryEscape(base64.StdEncoding.EncodeToString(body))
	return httptest.NewRequestWithContext(r.Context(), http.MethodGet, target, http.NoBody)
}

// sent is the message of a PKIOperation.
func sent(r *http.Request, body []byte) []byte {
	if r.Method == http.MethodPost {
		return body
	}
	// Both alphabets, with or without padding: the RA is tested elsewhere on how
	// clients garble this; here it has to be read, for the record.
	raw := strings.NewReplacer(" ", "+", "-", "+", "_", "/", "=", "", "\n", "", "\r", "").Replace(r.URL.Query().Get("message"))
	message, err := base64.RawStdEncoding.DecodeString(raw)
	if err != nil {
		return nil
	}
	return message
}

func (p *tap) shorten(capabilities []byte) []byte {
	lines := strings.Split(string(capabilities), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return slices.Contains(p.hide, line) })
	return []byte(strings.Join(lines, "\n"))
}

// asked says whether an operation was asked for.
func (p *tap) asked(operation string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.exchanges, func(x exchange) bool { return x.operation == operation })
}

// operations are the PKIOperations that went by.
func (p *tap) operations() []exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.exchanges), func(x exchange) bool { return x.operation != "PKIOperation" })
}
