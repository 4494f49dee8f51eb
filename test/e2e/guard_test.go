package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A guard is a policy service that knows its callers by the thumbprints of their
// certificates, and lets in every device that they ask about. It is this test's own
// program, started anew inside the cluster's namespaces, on the node's address.
type guard struct {
	url string
	ca  []byte
	in  io.Writer
}

// guardEnv holds the file with the certificate and key of a process that is to be a guard.
const guardEnv = "SCEPTER_E2E_GUARD"

func newGuard(t *testing.T) *guard {
	t.Helper()
	node, err := shared.rig.IngressAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "guard.pem")
	certificate := serviceCertificate(t, []net.IP{net.ParseIP(node)}, nil, file)
	port, _, in := startSelf(t, guardEnv, file)
	return &guard{url: fmt.Sprintf("https://%s/hook", net.JoinHostPort(node, port)), ca: certificate, in: in}
}

// register has the guard know these certificates and no others, by their SHA-256.
func (g *guard) register(t *testing.T, prints ...string) {
	t.Helper()
	if _, err := fmt.Fprintln(g.in, strings.Join(prints, ",")); err != nil {
		t.Fatal(err)
	}
}

// serviceCertificate makes a certificate of its own for addresses and names, and writes it
// with its key to a file.
func serviceCertificate(t *testing.T, addresses []net.IP, names []string, file string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "guard"}, IPAddresses: addresses, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	content := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), certificate...)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return certificate
}

// pins are the thumbprints that a guard knows.
type pins struct {
	mu    sync.Mutex
	known map[string]bool
}

func (p *pins) follow(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		known := map[string]bool{}
		for print := range strings.SplitSeq(lines.Text(), ",") {
			known[print] = true
		}
		p.mu.Lock()
		p.known = known
		p.mu.Unlock()
	}
}

// ServeHTTP refuses callers that it does not know before it looks at what they ask.
func (p *pins) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	p.mu.Lock()
	known := p.known[hex.EncodeToString(sum[:])]
	p.mu.Unlock()
	switch {
	case !known:
		http.Error(w, "not registered", http.StatusForbidden)
	case r.Method != http.MethodPost:
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"allow":true}`)
	}
}

// beGuard serves until it is killed. It prints its port, and reads thumbprints.
func beGuard(file string) int {
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return fail(err)
	}
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		return fail(err)
	}
	known := &pins{}
	go known.follow(os.Stdin)
	server := &http.Server{
		Handler: known, ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12},
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return fail(err)
	}
	fmt.Println(port)
	return fail(server.ServeTLS(listener, "", ""))
}
