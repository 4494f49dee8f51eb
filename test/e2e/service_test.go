package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A judging service lets in every device that it is asked about. Beside it is a proxy. The
// program of both is this test's own, started anew inside the cluster's namespaces, on the
// node's address; what it does wrong it is told.
type judgingService struct {
	node, port, proxyPort string
	ca                    []byte
	in                    io.Writer
}

// judgeEnv holds the file with the certificate and key of a process that is to be one.
const judgeEnv = "SCEPTER_E2E_JUDGE"

// newJudgingService starts one for a host.
func newJudgingService(t *testing.T, host string) *judgingService {
	t.Helper()
	node, err := shared.rig.IngressAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "judge.pem")
	s := &judgingService{node: node, ca: serviceCertificate(t, nil, []string{host}, file)}
	ports, _, in := startSelf(t, judgeEnv, file)
	s.port, s.proxyPort, _ = strings.Cut(ports, " ")
	s.in = in
	return s
}

// tell has the service's clock be ahead by a time, or the proxy refuse with a status; 0: not.
func (s *judgingService) tell(t *testing.T, ahead time.Duration, refuse int) {
	t.Helper()
	if _, err := fmt.Fprintln(s.in, int64(ahead), refuse); err != nil {
		t.Fatal(err)
	}
}

// misdeeds are what the program does wrong.
type misdeeds struct {
	ahead, refuse atomic.Int64
}

func (m *misdeeds) follow(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var ahead, refuse int64
		if _, err := fmt.Sscan(lines.Text(), &ahead, &refuse); err == nil {
			m.ahead.Store(ahead)
			m.refuse.Store(refuse)
		}
	}
}

// judge answers with the date of its clock.
func (m *misdeeds) judge(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", time.Now().Add(time.Duration(m.ahead.Load())).UTC().Format(http.TimeFormat))
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"allow":true}`)
}

// proxy connects to the service at a port, whatever the name.
func (m *misdeeds) proxy(port string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if status := int(m.refuse.Load()); status != 0 {
			w.WriteHeader(status)
			return
		}
		if r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		next, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port)) //nolint:noctx // it ends with the connection
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = next.Close() }()
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = from.Close() }()
		_, _ = io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(next, from); _ = next.Close() }()
		_, _ = io.Copy(from, next)
	}
}

// beJudge serves until it is killed. It prints the ports of the service and of the proxy.
func beJudge(file string) int {
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return fail(err)
	}
	service, err := net.Listen("tcp", ":0")
	if err != nil {
		return fail(err)
	}
	way, err := net.Listen("tcp", ":0")
	if err != nil {
		return fail(err)
	}
	m := &misdeeds{}
	go m.follow(os.Stdin)
	ports := make([]string, 2)
	for i, l := range []net.Listener{service, way} {
		if _, ports[i], err = net.SplitHostPort(l.Addr().String()); err != nil {
			return fail(err)
		}
	}
	fmt.Println(strings.Join(ports, " "))
	failed := make(chan error, 2)
	go func() {
		judge := &http.Server{
			Handler: http.HandlerFunc(m.judge), ReadHeaderTimeout: time.Minute,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		}
		failed <- judge.ServeTLS(service, "", "")
	}()
	go func() {
		failed <- (&http.Server{Handler: m.proxy(ports[0]), ReadHeaderTimeout: time.Minute}).Serve(way)
	}()
	return fail(<-failed)
}
