package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// A front is a reverse proxy that stands where devices are and makes their requests
// travel by GET. It takes POSTPKIOperation out of GetCACaps, which scepclient heeds;
// strongSwan 5.9.8 sends by POST whatever it is told, and the front puts its message
// into the URL.
// It is this test's own program, started anew inside the cluster's namespaces.
type front struct {
	url     string
	longest atomic.Int64 // bytes of the longest request target that it saw
}

// frontEnv holds the ingress's address for a process that is to be a front.
const frontEnv = "SCEPTER_E2E_FRONT"

func newFront(t *testing.T) *front {
	t.Helper()
	ingress, err := shared.rig.IngressAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	address, lines, _ := startSelf(t, frontEnv, ingress)
	f := &front{url: "http://" + address + "/scep"}
	go f.follow(lines)
	return f
}

func (f *front) follow(lines *bufio.Scanner) {
	for lines.Scan() {
		if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil && n > f.longest.Load() {
			f.longest.Store(n)
		}
	}
}

// beFront serves until it is killed. It prints its address, then the length of
// each request target.
func beFront(ingress string) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fail(err)
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(ingress, "80"))
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", host, host
			if r.In.Method == http.MethodPost {
				sendByGET(r.Out)
			}
			fmt.Println(len(r.Out.URL.RequestURI()))
		},
		ModifyResponse: hidePOST,
		Transport:      &http.Transport{DialContext: dial},
	}
	fmt.Println(listener.Addr())
	return fail(http.Serve(listener, proxy)) //nolint:gosec // loopback, for the time of a test
}

// sendByGET moves a message from the body into the URL (RFC 8894, section 4.1).
func sendByGET(r *http.Request) {
	message, err := io.ReadAll(r.Body)
	if err != nil {
		fmt.Fprintln(os.Stderr, "front:", err)
	}
	r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0
	r.Header.Del("Content-Length")
	r.URL.RawQuery = "operation=PKIOperation&message=" + url.QueryEscape(base64.StdEncoding.EncodeToString(message))
}

func hidePOST(r *http.Response) error {
	if !strings.EqualFold(r.Request.URL.Query().Get("operation"), "GetCACaps") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read GetCACaps: %w", err)
	}
	for _, keyword := range []string{"POSTPKIOperation", "SCEPStandard"} {
		body = bytes.ReplaceAll(body, []byte(keyword+"\n"), nil)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}
