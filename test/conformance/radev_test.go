package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/test/stock"
)

const (
	devChallenge = "correct-horse"
	// devLimit is for a start or a client's run on a busy machine.
	devLimit = 2 * time.Minute
)

// devServer is "ra dev" in a process of its own.
type devServer struct {
	dir      string
	greeting string
	url      string
	admin    string
	ca       *x509.Certificate
}

// buildRA builds the program as it is shipped.
func buildRA(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "ra")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/scepter-pki/scepter/cmd/ra")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// startDev starts a server, which ends with the test: cleanly, or the test fails.
func startDev(t *testing.T, binary string, more ...string) *devServer {
	t.Helper()
	s := &devServer{dir: filepath.Join(t.TempDir(), "ra-dev")}
	args := append([]string{"dev", "--dir", s.dir, "--challenge", devChallenge, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, more...)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Errorf("ra dev ended: %v\n%s", err, &log)
		}
	})
	s.readGreeting(t, bufio.NewReader(stdout))
	s.ca = certificateIn(t, filepath.Join(s.dir, "ca.pem"))
	return s
}

// lastLine of the greeting.
const lastLine = "-certificate laptop2.pem\n"

func (s *devServer) readGreeting(t *testing.T, out *bufio.Reader) {
	t.Helper()
	for !strings.HasSuffix(s.greeting, lastLine) {
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatalf("the greeting ends early: %v\n%s", err, s.greeting)
		}
		s.greeting += line
		switch words := strings.Fields(line); {
		case len(words) == 2 && words[0] == "URL":
			s.url = words[1]
		case len(words) > 2 && words[0] == "Admin":
			s.admin = strings.TrimSuffix(words[1], "/healthz,")
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
}

func certificateIn(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		t.Fatalf("%s holds no PEM: %q", path, raw)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *devServer) request() stock.Request {
	return stock.Request{
		URL: s.url, CommonName: "device.example.com", Organization: "Example",
		Challenge: devChallenge, PollInterval: time.Second,
	}
}

func onThisMachine(ctx context.Context, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, program, args...)
}

func (s *devServer) enrol(t *testing.T, c stock.Client, r stock.Request) *stock.Identity {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), devLimit)
	defer cancel()
	got, err := c.Enrol(ctx, t.TempDir(), r)
	return s.checked(t, got, err)
}

func (s *devServer) checked(t *testing.T, got *stock.Identity, err error) *stock.Identity {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Certificate.CheckSignatureFrom(s.ca); err != nil {
		t.Fatal(err)
	}
	return got
}

// The server for a laptop, with the clients of others.
func TestRADev(t *testing.T) {
	if err := stock.Install(t.Context(), slices.Concat(stock.CertmongerPackages, stock.OpenSSLPackages)...); err != nil {
		t.Fatal(err)
	}
	binary := buildRA(t)
	certmonger, openssl := &stock.Certmonger{Run: onThisMachine}, &stock.OpenSSL{Run: onThisMachine}
	for _, client := range append(stock.All(onThisMachine), certmonger, openssl) {
		t.Run(client.Name(), func(t *testing.T) {
			t.Parallel()
			s := startDev(t, binary, "--legacy", "SHA-1,DES")
			devEnrolsAndRenews(t, s, client)
			devRefuses(t, s, client)
		})
	}
	for _, client := range []stock.Client{&stock.StrongSwan{Run: onThisMachine}, certmonger, openssl} {
		t.Run("PENDING, "+client.Name(), func(t *testing.T) { t.Parallel(); devLetsPoll(t, binary, client) })
	}
	t.Run("what it tells to try", func(t *testing.T) { t.Parallel(); devCommandsWork(t, binary) })
	t.Run("README", func(t *testing.T) { t.Parallel(); devREADMEWorks(t, binary) })
}

func devEnrolsAndRenews(t *testing.T, s *devServer, client stock.Client) {
	t.Helper()
	first := s.enrol(t, client, s.request())
	renewal := s.request()
	renewal.Challenge = ""
	ctx, cancel := context.WithTimeout(t.Context(), devLimit)
	defer cancel()
	renewed, err := client.Renew(ctx, t.TempDir(), first, renewal)
	if s.checked(t, renewed, err).Certificate.Equal(first.Certificate) {
		t.Error("the renewal is the same certificate")
	}
}

func devRefuses(t *testing.T, s *devServer, client stock.Client) {
	t.Helper()
	r := s.request()
	r.Challenge = "wrong"
	ctx, cancel := context.WithTimeout(t.Context(), devLimit)
	defer cancel()
	var refused *stock.ClientError
	if _, err := client.Enrol(ctx, t.TempDir(), r); !errors.As(err, &refused) {
		t.Errorf("with a wrong challenge: %v, want the client to fail", err)
	}
}

func devLetsPoll(t *testing.T, binary string, client stock.Client) {
	t.Helper()
	const delay = 3 * time.Second
	s := startDev(t, binary, "--issue-delay", delay.String())
	began := time.Now()
	s.enrol(t, client, s.request())
	if took := time.Since(began); took < delay {
		t.Errorf("the certificate came after %v", took)
	}
}

// devCommandsWork runs what the greeting tells to run.
func devCommandsWork(t *testing.T, binary string) {
	t.Helper()
	s := startDev(t, binary, "--legacy", "SHA-1,DES")
	if strings.Contains(s.greeting, devChallenge) {
		t.Error("the challenge is shown")
	}
	_, commands, found := strings.Cut(s.greeting, "\n# ")
	if !found {
		t.Fatalf("no commands in\n%s", s.greeting)
	}
	dir := t.TempDir()
	out := inShell(t, dir, "CHALLENGE="+devChallenge+"\n# "+commands)
	for _, name := range []string{"laptop1", "laptop2"} {
		c := certificateIn(t, filepath.Join(dir, name+".pem"))
		if err := c.CheckSignatureFrom(s.ca); err != nil || c.Subject.CommonName != name {
			t.Errorf("%s.pem is for %s (%v)", name, c.Subject, err)
		}
	}
	for _, want := range []string{"POSTPKIOperation", "SHA-256", "Renewal"} {
		if !strings.Contains(out, want) {
			t.Errorf("GetCACaps lacks %s in\n%s", want, out)
		}
	}
}

// inShell runs commands until one fails, and returns what they print.
func inShell(t *testing.T, dir, commands string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), devLimit)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-e", "-c", commands)
	shell.Dir = dir
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v in\n%s\n%s", err, commands, out)
	}
	return string(out)
}

// devREADMEWorks runs what the README tells a client to run, with this server's addresses.
func devREADMEWorks(t *testing.T, binary string) {
	t.Helper()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## On a laptop")
	blocks := strings.Split(section, "```")
	if !found || len(blocks) < 4 || !strings.Contains(blocks[1], "ra dev ") || !strings.HasPrefix(blocks[3], "sh\n") {
		t.Fatal("the README does not show how to start a server and what to run against it")
	}
	s := startDev(t, binary)
	mine := strings.NewReplacer("http://127.0.0.1:8080/scep", s.url, "http://127.0.0.1:8081", s.admin,
		"/tmp/ra-dev", s.dir, "--password secret", "--password "+devChallenge)
	dir := t.TempDir()
	out := inShell(t, dir, mine.Replace(strings.TrimPrefix(blocks[3], "sh\n")))
	if !strings.Contains(out, "cert.pem: OK") || !strings.Contains(out, `"configGeneration":1`) {
		t.Errorf("the commands print\n%s", out)
	}
}
