package ratest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probe"
	"github.com/scepter-pki/scepter/internal/ra"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// Password of the static challenge.
const Password = "correct horse"

// Files are the directories that the operator would mount. Replicas share them.
type Files struct {
	Dirs    reload.Dirs
	Config  *raconfig.Config
	Keyring *raconfig.Keyring

	t testing.TB
}

// NewFiles writes a good configuration with the template of DeviceTemplate.
func NewFiles(t testing.TB, c *Cluster) *Files {
	t.Helper()
	root := t.TempDir()
	f := &Files{t: t, Dirs: reload.Dirs{
		Config:     filepath.Join(root, "config"),
		Keyring:    filepath.Join(root, "keyring"),
		Challenges: filepath.Join(root, "challenges"),
		State:      filepath.Join(root, "state"),
		TLS:        filepath.Join(root, "tls"),
		AdminTLS:   filepath.Join(root, "admin-tls"),
		AdminBasic: filepath.Join(root, "admin-basic"),

		AdminClients: filepath.Join(root, "admin-clients"),
		Clients:      filepath.Join(root, "clients"),
	}}
	generation := NewGeneration(t, c.Issuer.CA, sceptest.Pair)
	f.Keyring = &raconfig.Keyring{Generations: []raconfig.Generation{generation}}
	f.Config = &raconfig.Config{
		Version:          raconfig.Version,
		Endpoint:         raconfig.Endpoint{Namespace: c.Namespace, Name: Endpoint, UID: "uid", Generation: 1},
		ActiveGeneration: generation.ID,
		Issuance: raconfig.Issuance{
			Mode:           v1alpha1.IssuanceCertificateRequest,
			IssuerRef:      v1alpha1.IssuerReference{Name: IssuerName, Kind: "Issuer", Group: "cert-manager.io"},
			ServiceAccount: c.Username(),
			WaitSeconds:    2,
		},
		Templates:  []raconfig.Template{{Name: "device", Default: true, Spec: DeviceTemplate()}},
		Challenges: []raconfig.Challenge{{Name: "mdm", Type: v1alpha1.ChallengeStatic}},
	}
	f.Write(f.Dirs.Challenges, filepath.Join("mdm", raconfig.PasswordFile), []byte(Password+"\n"))
	f.Write(f.Dirs.State, raconfig.HMACKeyFile, f.StateKey())
	f.Write(f.Dirs.State, raconfig.ChallengeKeyFile, f.ChallengeKey())
	f.WriteKeyring()
	f.WriteConfig()
	return f
}

// StateKey is the endpoint's HMAC key.
func (f *Files) StateKey() []byte { return []byte("0123456789abcdef0123456789abcdef") }

// ChallengeKey is the endpoint's key for one-time challenges.
func (f *Files) ChallengeKey() []byte { return []byte("fedcba9876543210fedcba9876543210") }

// DeviceTemplate allows device names below devices.example.com.
func DeviceTemplate() v1alpha1.CertificateTemplateSpec {
	return v1alpha1.CertificateTemplateSpec{
		Usages: []certmanagerv1.KeyUsage{
			certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageKeyEncipherment, certmanagerv1.UsageClientAuth,
		},
		Validity: metav1.Duration{Duration: 24 * time.Hour},
		Subject:  &v1alpha1.SubjectPolicy{Required: []v1alpha1.SubjectAttribute{v1alpha1.CommonName}},
		SANs:     &v1alpha1.SANPolicy{DNS: &v1alpha1.DNSNamePolicy{AllowedSuffixes: []string{"devices.example.com"}}},
		Rules: []v1alpha1.Rule{{
			Expression: "csr.subject.commonName.endsWith('.devices.example.com')",
			Message:    "CN must be a device name",
		}},
	}
}

// NewGeneration makes keyring material below a CA.
func NewGeneration(t testing.TB, ca *sceptest.CA, layout sceptest.Layout) raconfig.Generation {
	t.Helper()
	made := sceptest.NewGeneration(t, ca, layout)
	certificate := func(role v1alpha1.CredentialRole, c *scep.Credential) raconfig.Certificate {
		return raconfig.Certificate{Role: role, Certificate: c.Certificate, Chain: ca.Chain(), Key: c.Key}
	}
	g := raconfig.Generation{AddedAt: time.Now()}
	if made.Combined() {
		g.Certificates = []raconfig.Certificate{certificate(v1alpha1.RoleCombined, made.Signing)}
		g.ID = raconfig.GenerationID(made.Signing.Certificate)
		return g
	}
	g.Certificates = []raconfig.Certificate{
		certificate(v1alpha1.RoleSigning, made.Signing), certificate(v1alpha1.RoleEncryption, made.Encryption),
	}
	g.ID = raconfig.GenerationID(made.Signing.Certificate, made.Encryption.Certificate)
	return g
}

// Write replaces a file at once, as the kubelet does.
func (f *Files) Write(dir, name string, content []byte) {
	f.t.Helper()
	path := filepath.Join(dir, name)
	must(f.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(f.t, os.WriteFile(path+".new", content, 0o600))
	must(f.t, os.Rename(path+".new", path))
}

// WriteConfig writes Config.
func (f *Files) WriteConfig() {
	f.t.Helper()
	out, err := raconfig.Encode(f.Config)
	must(f.t, err)
	f.Write(f.Dirs.Config, raconfig.ConfigFile, out)
}

// WriteLastGood writes a configuration as the last good one, for pods like this.
func (f *Files) WriteLastGood(config []byte, pod string) {
	f.t.Helper()
	good := raconfig.LastGood{Config: string(config), Revisions: []string{raconfig.RevisionOf(pod)}}
	for name, content := range good.Files() {
		f.Write(f.Dirs.Config, name, []byte(content))
	}
}

// WriteKeyring writes Keyring.
func (f *Files) WriteKeyring() {
	f.t.Helper()
	files, err := raconfig.EncodeKeyring(f.Keyring)
	must(f.t, err)
	for name, content := range files {
		if name != raconfig.KeyringIndexFile {
			f.Write(f.Dirs.Keyring, name, content)
		}
	}
	f.Write(f.Dirs.Keyring, raconfig.KeyringIndexFile, files[raconfig.KeyringIndexFile])
}

// Server is a replica behind loopback URLs.
type Server struct {
	URL, AdminURL string
	// MintURL and LocalMintURL mint challenges.
	MintURL, LocalMintURL string
	// MintTLSURL is MintURL over TLS, as the admin exposure has it, for files with Dirs.AdminTLS.
	MintTLSURL string
	// Log holds the records written so far.
	Log *LogBuffer
	// AuditDir is where the replica keeps its audit records.
	AuditDir string

	t   testing.TB
	cut *cuttable
}

// NewServer starts a replica and waits until it is ready.
func NewServer(t testing.TB, c *Cluster, f *Files) *Server {
	t.Helper()
	s := StartServer(t, c, f)
	Eventually(t, "server to be ready", func() error { return s.Get("/readyz") })
	return s
}

// StartServer starts a replica.
func StartServer(t testing.TB, c *Cluster, f *Files) *Server {
	t.Helper()
	s := &Server{t: t, Log: &LogBuffer{}, AuditDir: t.TempDir(), cut: &cuttable{}}
	config := c.Config()
	config.Wrap(s.cut.wrap)
	device := httptest.NewUnstartedServer(nil)
	prober, err := probe.NewRunner(device.Listener.Addr().String(), everyNameLeadsTo(device.Listener.Addr()))
	must(t, err)
	server, err := ra.New(ra.Options{
		Dirs:    f.Dirs,
		Cluster: config,
		Pod:     t.Name(),
		Version: "test",
		Logger:  slog.New(slog.NewJSONHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),

		AuditDir: s.AuditDir,
		Prober:   prober,
	})
	must(t, err)
	device.Config.Handler = server.DeviceHandler()
	device.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Work(ctx) }()
	admin := httptest.NewServer(server.AdminHandler())
	minting, local := httptest.NewServer(server.MintHandler()), httptest.NewServer(server.LocalMintHandler())
	secure := httptest.NewUnstartedServer(server.MintHandler())
	secure.Listener = tls.NewListener(secure.Listener, server.MintTLS())
	secure.Start()
	t.Cleanup(func() {
		device.Close()
		admin.Close()
		minting.Close()
		secure.Close()
		local.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server ended: %v", err)
		}
		f.wantNoSecrets(t, s.Log.String())
	})
	s.URL, s.AdminURL = device.URL+"/scep", admin.URL
	s.MintURL, s.LocalMintURL = minting.URL, local.URL
	s.MintTLSURL = "https" + strings.TrimPrefix(secure.URL, "http")
	return s
}

// everyNameLeadsTo a listener, so that a replica can probe URLs which lead to itself.
func everyNameLeadsTo(address net.Addr) probe.Prober {
	return probe.Prober{
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address.String())
		},
	}
}

// Get asks the admin listener; an error if the answer is not 200.
func (s *Server) Get(path string) error {
	_, err := s.read(path)
	return err
}

func (s *Server) read(path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.AdminURL+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	body, status, err := do(request)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d: %s", path, status, body)
	}
	return body, nil
}

// Records asks for audit records: the lines of the answer, the first of which says
// from when it is complete.
func (s *Server) Records(query string) []string {
	s.t.Helper()
	body, err := s.read("/audit?" + query)
	must(s.t, err)
	return strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
}

// Metrics returns the text of /metrics.
func (s *Server) Metrics() string {
	s.t.Helper()
	body, err := s.read("/metrics")
	must(s.t, err)
	return string(body)
}

// Status returns /status.
func (s *Server) Status() raconfig.ReplicaStatus {
	s.t.Helper()
	body, err := s.read(raconfig.StatusPath)
	must(s.t, err)
	var status raconfig.ReplicaStatus
	must(s.t, json.Unmarshal(body, &status))
	return status
}

// SetClusterAway cuts the replica off the API server, or joins it again.
func (s *Server) SetClusterAway(away bool) { s.cut.away.Store(away) }

// cuttable is a transport to the API server that a test can cut.
type cuttable struct{ away atomic.Bool }

var errAway = errors.New("the API server is away")

func (c *cuttable) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if c.away.Load() {
			return nil, errAway
		}
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
