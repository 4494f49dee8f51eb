package ra_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/scep"
)

// onlyHTTP2 speaks nothing else, with prior knowledge where there is no TLS.
func onlyHTTP2(config *tls.Config) *http.Client {
	protocols := &http.Protocols{}
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: protocols, TLSClientConfig: config}}
}

func TestHTTPVersions(t *testing.T) {
	t.Parallel()
	r, _, trusting := runTLS(t)
	for n, tc := range []struct {
		url    string
		client *http.Client
	}{
		{r.url, onlyHTTP2(nil)},
		{r.tlsURL, onlyHTTP2(trusting)},
		{r.tlsURL, &http.Client{Transport: &http.Transport{TLSClientConfig: trusting.Clone()}}},
	} {
		client := device(tc.url)
		client.HTTP = tc.client
		request := enrolment(t, n+1)
		result, err := client.Enrol(limited(t), request)
		if err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		wantCertificate(t, result, request.Key)
		tc.client.CloseIdleConnections()
	}
	answer := raw(t, r.url, "GET /scep?operation=GetCACaps HTTP/1.0\r\nHost: 192.0.2.1\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.0 200") || !strings.Contains(answer, "POSTPKIOperation") || strings.Contains(answer, "chunked") {
		t.Errorf("HTTP/1.0: %s", answer)
	}
}

// raw sends bytes and reads until the server closes the connection.
func raw(t *testing.T, url, request string) string {
	t.Helper()
	conn := dial(t, url)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}

func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestSizesOfRequests(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	r := run(t, cluster, ratest.NewFiles(t, cluster), 0)
	target := func(bytes int) string {
		const start = "/scep?operation=GetCACaps&message="
		return start + strings.Repeat("a", bytes-len(start))
	}
	for name, tc := range map[string]struct {
		target  string
		headers int
		want    string
	}{
		"as NDES takes, with 16 KiB of headers": {target(65534), 16 << 10, "200"},
		"the longest":                           {target(128 << 10), 16 << 10, "200"},
		"a target too long":                     {target(128<<10 + 1), 0, "414"},
		"headers too long":                      {target(100), 300 << 10, "431"},
	} {
		headers := ""
		for len(headers) < tc.headers {
			headers += fmt.Sprintf("X-Filler-%d: %s\r\n", len(headers), strings.Repeat("x", 1000))
		}
		conn := dial(t, r.url)
		go func() { // the server may answer, and close, before it has read all
			_, _ = io.WriteString(conn, "GET "+tc.target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+headers+"\r\n")
		}()
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+tc.want) {
			t.Errorf("%s: %q (%v), want %s", name, line, err, tc.want)
		}
	}
	body := strings.Repeat("a", 4<<20)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/scep?operation=PKIOperation", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 4 MiB: HTTP status %d, want 413", response.StatusCode)
	}
}

// Clients that never finish their requests are cut off, and disturb nobody meanwhile.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	r := run(t, cluster, ratest.NewFiles(t, cluster), 0)
	const many = 300
	var slow []net.Conn
	for n := range many {
		conn := dial(t, r.url)
		start := "GET /scep?operation=GetCACaps HTTP/1.1\r\nHost: x\r\nX-Slow: "
		if n%2 == 0 {
			start = "POST /scep?operation=PKIOperation HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\nabc"
		}
		if _, err := io.WriteString(conn, start); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, r.url, request), request.Key)
	cut := slow[1] // in the middle of its headers
	if _, err := io.ReadAll(cut); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("a client that does not finish its headers is not cut off: %v", err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Enrolments go on over the connections they have while files change again and again.
func TestReloadsLoseNoConnection(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	r := run(t, cluster, files, 0)
	dials := 0
	transport := &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	defer transport.CloseIdleConnections()
	client := device(r.url)
	client.HTTP = &http.Client{Transport: transport}
	for n := range 8 {
		files.Config.Endpoint.Generation++
		files.WriteConfig()
		files.WriteKeyring()
		files.Write(files.Dirs.Challenges, "mdm/password", []byte(ratest.Password+fmt.Sprintf("\nsecond-%d\n", n)))
		request := enrolment(t, n%4+1)
		result, err := client.Enrol(limited(t), request)
		if err != nil {
			t.Fatal(err)
		}
		wantCertificate(t, result, request.Key)
		r.waitStatus(t, fmt.Sprintf(`"configGeneration":%d`, files.Config.Endpoint.Generation))
	}
	if dials != 1 {
		t.Errorf("%d connections, want 1", dials)
	}
}

func (r *running) waitStatus(t *testing.T, text string) {
	t.Helper()
	ratest.Eventually(t, "the status to have "+text, func() error {
		body, _ := get(t, http.DefaultClient, r.adminURL+"/status")
		if !strings.Contains(body, text) {
			return errors.New(body)
		}
		return nil
	})
}

// A server that drains as the configuration says goes on serving, asks clients to
// connect anew, and finishes what it has begun.
func TestDrainAsConfigured(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	files.Config.DrainSeconds = 3
	files.WriteConfig()
	r := run(t, cluster, files, -1)
	begun := time.Now()
	r.stop()
	r.wait(t, "/readyz", http.StatusServiceUnavailable)
	r.waitStatus(t, `"draining":true`)
	answer := raw(t, r.url, "GET /scep?operation=GetCACaps HTTP/1.1\r\nHost: x\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 200") || !strings.Contains(answer, "Connection: close") {
		t.Errorf("while it drains: %s", answer)
	}
	cluster.Issuer.Set(ratest.Holds)
	request := enrolment(t, 1)
	done := make(chan *scep.Result, 1)
	go func() {
		result, err := device(r.url).Enrol(limited(t), request)
		if err != nil {
			t.Errorf("enrol: %v", err)
		}
		done <- result
	}()
	if result := <-done; result != nil {
		wantPending(t, result)
	}
	if err := <-r.done; err != nil {
		t.Errorf("server ended: %v", err)
	}
	if took := time.Since(begun); took < 3*time.Second {
		t.Errorf("it ended after %s", took)
	}
}
