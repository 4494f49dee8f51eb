package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/scepter-pki/scepter/test/debian"
)

// proxySoftware is a reverse proxy of Debian's, as an administrator puts it in front of
// the ingress by hand.
type proxySoftware struct {
	name, program string
	// configuration is the text of its file, for proxySettings.
	configuration *template.Template
	// args start it in the foreground, with the file and a directory.
	args func(file, dir string) []string
}

// proxySettings are what an administrator sets in it.
type proxySettings struct {
	// LongURLs raises its own limit on URLs, as docs/ingress.md advises.
	LongURLs bool
	// ToHTTPS redirects what comes without TLS.
	ToHTTPS bool
	// ToSlash redirects /scep to /scep/.
	ToSlash bool
	// Plain is a directive in its own words for what comes without TLS.
	Plain string
	// Folder refuses POST below /certsrv, where it looks like a folder of files.
	Folder bool
	// Upstream is where requests go.
	Upstream string
	// Seconds that it waits for an answer.
	Seconds int
	// TLS is what its certificate is for, and when it ends.
	tlsName string
	tlsEnd  time.Time
}

var nginx = proxySoftware{
	name: "nginx", program: "/usr/sbin/nginx",
	configuration: template.Must(template.New("nginx").Parse(`
master_process off; daemon off; user root; pid {{.Dir}}/pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path {{.Dir}}/body; proxy_temp_path {{.Dir}}/proxy; fastcgi_temp_path {{.Dir}}/fastcgi;
  uwsgi_temp_path {{.Dir}}/uwsgi; scgi_temp_path {{.Dir}}/scgi;
  {{if .LongURLs}}large_client_header_buffers 4 72k;{{end}}
  proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_connect_timeout 5s; proxy_read_timeout {{.Seconds}}s;
  server {
    listen 80;
    location / { {{if .ToHTTPS}}return 301 https://$host$request_uri;{{end}} {{.Plain}} proxy_pass http://{{.Upstream}}; }
    {{if .ToSlash}}location /scep/ { proxy_pass http://{{.Upstream}}; }{{end}}
    {{if .Folder}}location ~* ^/certsrv/ { if ($request_method = POST) { return 405; } proxy_pass http://{{.Upstream}}; }{{end}}
  }
  server {
    listen 443 ssl; ssl_certificate {{.Dir}}/tls.pem; ssl_certificate_key {{.Dir}}/tls.pem;
    location / { proxy_pass http://{{.Upstream}}; }
  }
}
`)),
	args: func(file, dir string) []string { return []string{"-c", file, "-p", dir} },
}

var haproxy = proxySoftware{
	name: "haproxy", program: "/usr/sbin/haproxy",
	configuration: template.Must(template.New("haproxy").Parse(`
global
  nbthread 1
  {{if .LongURLs}}tune.bufsize 131072{{end}}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server {{.Seconds}}s
frontend plain
  bind :80
  {{if .ToHTTPS}}http-request redirect scheme https code 308{{end}}
  {{if .ToSlash}}http-request redirect code 301 location %[path]/?%[query] if { path /scep }{{end}}
  {{.Plain}}
  {{if .Folder}}http-request return status 405 if METH_POST { path_beg -i /certsrv/ }{{end}}
  default_backend ingress
frontend secure
  bind :443 ssl crt {{.Dir}}/tls.pem
  default_backend ingress
backend ingress
  server ingress {{.Upstream}}
`)),
	args: func(file, _ string) []string { return []string{"-db", "-f", file} },
}

// healthy are settings with which everything passes.
func (p *published) healthy(t *testing.T) proxySettings {
	t.Helper()
	node, err := shared.rig.IngressAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return proxySettings{LongURLs: true, Upstream: net.JoinHostPort(node, "80"), Seconds: 60, tlsName: p.host, tlsEnd: time.Now().Add(time.Hour)}
}

// serve starts the hop anew, with what is changed of the healthy settings.
func (p *published) serve(t *testing.T, changes ...func(*proxySettings)) {
	t.Helper()
	program, err := debian.Program(t.Context(), p.proxy.name, p.proxy.program)
	if err != nil {
		t.Fatal(err)
	}
	settings := p.healthy(t)
	for _, change := range changes {
		change(&settings)
	}
	file := p.configure(t, settings)
	p.stop()
	words := slices.Concat([]string{"ip", "netns", "exec", p.endpoint}, program, p.proxy.args(file, p.dir))
	cmd := shared.rig.Cluster.Exec(context.WithoutCancel(t.Context()), words...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.end = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	mustWait(t, p.proxy.name+" to listen", func(ctx context.Context) (bool, string, error) {
		connection, err := shared.rig.Cluster.Dial(ctx, "tcp", net.JoinHostPort(p.address, "443"))
		if err != nil {
			return false, "", err
		}
		return true, "", connection.Close()
	})
}

// stop takes the hop away. It may be called more than once.
func (p *published) stop() {
	if p.end != nil {
		p.end()
		p.end = nil
	}
}

// configure writes the files of the hop.
func (p *published) configure(t *testing.T, settings proxySettings) string {
	t.Helper()
	p.writeCertificate(t, settings)
	var text strings.Builder
	filled := struct {
		proxySettings
		Dir string
	}{settings, p.dir}
	if err := p.proxy.configuration.Execute(&text, filled); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.dir, p.proxy.name+".conf")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// writeCertificate makes one of the tier's CA for the hop.
func (p *published) writeCertificate(t *testing.T, s proxySettings) {
	t.Helper()
	ca, caKey := fleetCA(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "hop"}, DNSNames: []string{s.tlsName},
		NotBefore: s.tlsEnd.Add(-24 * time.Hour), NotAfter: s.tlsEnd, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(filepath.Join(p.dir, "tls.pem"), both, 0o600); err != nil {
		t.Fatal(err)
	}
}

// silentEnv makes a process one that is silent.
const silentEnv = "SCEPTER_E2E_SILENT"

// newSilent starts a server on the node that takes requests and never answers; it
// returns its address.
func newSilent(t *testing.T) string {
	t.Helper()
	node, err := shared.rig.IngressAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	port, _, _ := startSelf(t, silentEnv, "yes")
	return net.JoinHostPort(node, port)
}

// beSilent takes requests until it is killed. It prints its port.
func beSilent() int {
	listener, err := listenAndTell()
	if err != nil {
		return fail(err)
	}
	silence := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	return fail(http.Serve(listener, http.HandlerFunc(silence))) //nolint:gosec // for the time of a test
}
