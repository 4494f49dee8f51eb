package ra_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.server.Status()
	active := f.files.Keyring.Generations[0].ID
	if s.Pod != t.Name() || s.Version != "test" || s.ConfigGeneration != 1 || s.ActiveGeneration != active || !s.Holds(active) || len(s.Problems) > 0 {
		t.Errorf("status %+v", s)
	}
	f.server.WantMetric(`scepter_ra_in_flight{resource="issuer"} 0`)
	if !strings.Contains(f.server.Metrics(), `scepter_ra_certificate_not_after_timestamp_seconds{active="true",generation="`+active+`",role="Signing"}`) {
		t.Error("metrics lack the end of the RA certificate")
	}
}

func TestBareURL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body, status := get(t, http.DefaultClient, f.server.URL)
	if status != http.StatusOK || !strings.Contains(body, "SCEP") {
		t.Errorf("status %d, body %q", status, body)
	}
}

// TestGuardedBareURL: an administrator who sees a page where a policy module should be knows
// that it is not active.
func TestGuardedBareURL(t *testing.T) {
	t.Parallel()
	f, _ := newHookFixture(t, nil)
	if body, status := get(t, http.DefaultClient, f.server.URL); status != http.StatusForbidden || strings.Contains(body, "<html") {
		t.Errorf("status %d, body %q", status, body)
	}
}

// TestArrivalsAreLogged at level Debug, without what a URL may carry.
func TestArrivalsAreLogged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	get(t, http.DefaultClient, f.server.URL+"?operation=GetCACaps&message=secret")
	log := f.server.Log.String()
	for _, want := range []string{`"level":"DEBUG","msg":"request arrived","operation":"GetCACaps"`, `"path":"/scep"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	if strings.Contains(log, "secret") {
		t.Error("the log has a query in it")
	}
}

func get(t *testing.T, client *http.Client, url string) (body string, status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(read), response.StatusCode
}

func TestFunnel(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	for _, step := range []string{"GetCACaps", "GetCACert", "PKIOperation", "opened", "authenticated", "judged", "issued", "answered"} {
		f.server.WantMetric(`scepter_ra_funnel_total{family="Scepter",step="` + step + `"} 1`)
	}
}

// listen opens a loopback port.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// running is a server as cmd/ra runs it.
type running struct {
	url, tlsURL, adminURL string
	mintURL, localMintURL string
	stop                  context.CancelFunc
	done                  chan error
}

func run(t *testing.T, c *ratest.Cluster, f *ratest.Files, drain time.Duration) *running {
	t.Helper()
	server, err := ra.New(ra.Options{Dirs: f.Dirs, Cluster: c.Config(), Logger: slog.New(slog.DiscardHandler), Drain: drain})
	if err != nil {
		t.Fatal(err)
	}
	l := ra.Listeners{Device: listen(t), TLS: listen(t), Admin: listen(t), Mint: listen(t), LocalMint: listen(t)}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	r := &running{
		url:      "http://" + l.Device.Addr().String(),
		tlsURL:   "https://" + l.TLS.Addr().String(),
		adminURL: "http://" + l.Admin.Addr().String(),

		mintURL:      "https://" + l.Mint.Addr().String(),
		localMintURL: "http://" + l.LocalMint.Addr().String(),
		stop:         stop,
		done:         make(chan error, 1),
	}
	go func() { r.done <- server.Run(ctx, l) }()
	r.wait(t, "/readyz", http.StatusOK)
	return r
}

func (r *running) wait(t *testing.T, path string, want int) {
	t.Helper()
	ratest.Eventually(t, path, func() error {
		if _, status := get(t, http.DefaultClient, r.adminURL+path); status != want {
			return &scep.HTTPError{Operation: path, StatusCode: status}
		}
		return nil
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	r := run(t, cluster, ratest.NewFiles(t, cluster), 2*time.Second)
	r.stop()
	r.wait(t, "/readyz", http.StatusServiceUnavailable)
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, r.url, request), request.Key)
	if err := <-r.done; err != nil {
		t.Errorf("server ended: %v", err)
	}
}

func TestLongURL(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	r := run(t, cluster, files, 0)
	request := enrolment(t, 1)
	for len(request.Template.DNSNames) < 600 {
		request.Template.DNSNames = append(request.Template.DNSNames, strings.Repeat("x", 30)+"."+deviceName)
	}
	client := device(r.url)
	client.Method = scep.MethodGET
	result, err := client.Enrol(limited(t), request)
	if err != nil {
		t.Fatal(err)
	}
	wantCertificate(t, result, request.Key)
	metrics, _ := get(t, http.DefaultClient, r.adminURL+"/metrics")
	if !strings.Contains(metrics, `scepter_ra_request_target_bytes_bucket{le="32768"} 0`) {
		t.Error("the URL was not longer than 32 KiB")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	r, files, trusting := runTLS(t)
	https := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting}}
	client := device(r.tlsURL)
	client.HTTP = https
	request := enrolment(t, 1)
	result, err := client.Enrol(limited(t), request)
	if err != nil {
		t.Fatal(err)
	}
	wantCertificate(t, result, request.Key)
	files.Write(files.Dirs.TLS, "tls.crt", []byte("nonsense"))
	ratest.Eventually(t, "the problem to be shown", func() error {
		body, _ := get(t, http.DefaultClient, r.adminURL+raconfig.StatusPath)
		if !strings.Contains(body, "tls: ") {
			return errors.New(body)
		}
		return nil
	})
	if _, status := get(t, https, r.tlsURL); status != http.StatusOK {
		t.Errorf("status %d over TLS with the last good certificate", status)
	}
}

func TestMintListeners(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	certificate, key, pool := tlsFiles(t, cluster)
	files.Write(files.Dirs.AdminTLS, "tls.crt", certificate)
	files.Write(files.Dirs.AdminTLS, "tls.key", key)
	files.Config.Admin = true
	files.WriteConfig()
	r := run(t, cluster, files, 0)
	https := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	if body, status := get(t, https, r.mintURL+"/certsrv/mscep_admin/"); status != http.StatusNotFound || !strings.Contains(body, "no challenge of type OneTime") {
		t.Errorf("status %d, %s", status, body)
	}
	if body, status := get(t, http.DefaultClient, r.localMintURL+raconfig.ChallengesPath); status != http.StatusMethodNotAllowed {
		t.Errorf("status %d, %s", status, body)
	}
	if body, status := get(t, http.DefaultClient, strings.Replace(r.mintURL, "https", "http", 1)); status != http.StatusBadRequest {
		t.Errorf("without TLS: status %d, %s", status, body)
	}
}

// runTLS runs a server that speaks TLS to devices, and returns its files and what trusts it.
func runTLS(t *testing.T) (*running, *ratest.Files, *tls.Config) {
	t.Helper()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	certificate, key, pool := tlsFiles(t, cluster)
	files.Write(files.Dirs.TLS, "tls.crt", certificate)
	files.Write(files.Dirs.TLS, "tls.key", key)
	files.Config.TLS = true
	files.WriteConfig()
	return run(t, cluster, files, 0), files, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// tlsFiles makes a certificate for loopback.
func tlsFiles(t *testing.T, c *ratest.Cluster) (certificate, key []byte, pool *x509.CertPool) {
	t.Helper()
	private := sceptest.RSAKey(t, 9)
	issued, err := c.Issuer.CA.Issue(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(c.Issuer.CA.Certificate)
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.Raw})
	key = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	return certificate, key, pool
}
