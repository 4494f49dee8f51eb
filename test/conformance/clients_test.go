package conformance

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
	"github.com/scepter-pki/scepter/test/stock"
)

const challenge = "correct-horse"

// installed installs the clients, once, if that is possible and needed.
var installed = sync.OnceValue(func() error { return stock.Install(context.Background()) })

// command finds a client. The clients are what is tested with: a machine without
// them fails the test.
func command(t *testing.T, name string) string {
	t.Helper()
	if err := installed(); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a client in dir and returns what it printed on both streams.
func run(t *testing.T, dir, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command(t, name), args...)
	cmd.Dir = dir
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// mustRun is run for a client that has to succeed.
func mustRun(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	stdout, stderr, err := run(t, dir, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// recorder keeps what the RA observed.
type recorder struct {
	mu     sync.Mutex
	events []scep.Event
}

// Observe implements scep.Observer.
func (r *recorder) Observe(_ context.Context, e scep.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) saw(match func(scep.Event) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if match(e) {
			return true
		}
	}
	return false
}

func answered(t scep.MessageType, s scep.PKIStatus) func(scep.Event) bool {
	return func(e scep.Event) bool {
		return e.Step == scep.StepAnswered && e.MessageType == t && e.Status == s
	}
}

// scene is a server and a directory for a client to work in.
type scene struct {
	*sceptest.Server
	*recorder
	dir string
}

func newScene(t *testing.T, o sceptest.Options) *scene {
	t.Helper()
	s := &scene{recorder: &recorder{}, dir: t.TempDir()}
	o.Observer, o.Challenge, o.Settings.Renewal = s.recorder, challenge, true
	s.Server = sceptest.NewServer(t, o)
	s.writePEM(t, "root.pem", s.CA.Root)
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

func (s *scene) writePEM(t *testing.T, name string, cert *x509.Certificate) {
	t.Helper()
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	s.write(t, name, block)
}

func (s *scene) write(t *testing.T, name string, contents []byte) {
	t.Helper()
	if err := os.WriteFile(s.path(name), contents, 0o600); err != nil {
		t.Fatal(err)
	}
}

// certificate reads a certificate a client wrote, and checks who issued it.
func (s *scene) certificate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	contents, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(contents)
	if block == nil {
		t.Fatalf("%s holds no PEM", name)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !s.CA.Issued(cert) {
		t.Errorf("%s was not issued by the CA", name)
	}
	return cert
}

func (s *scene) want(t *testing.T, messageType scep.MessageType, status scep.PKIStatus) {
	t.Helper()
	if !s.saw(answered(messageType, status)) {
		t.Errorf("the RA never answered %v with %v: %+v", messageType, status, s.events)
	}
}
