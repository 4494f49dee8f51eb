package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// asProgram makes this test binary behave as the program.
const asProgram = "SCEPTER_TEST_AS_RA"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// processLimit is for a start, in which keys are made, on a busy machine.
const processLimit = 2 * time.Minute

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), processLimit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"dev"}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// process is "ra dev" in a process of its own.
type process struct {
	*exec.Cmd
	// url, admin and fingerprint as the greeting says.
	url, admin, fingerprint string
	stderr                  bytes.Buffer
}

// start waits until the process has greeted.
func start(t *testing.T, dir string, more ...string) *process {
	t.Helper()
	args := append([]string{"--dir", dir, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, more...)
	if !slices.Contains(more, "--allow-anyone") {
		args = append(args, "--challenge", "secret")
	}
	p := &process{Cmd: program(t, args...)}
	p.Stderr = &p.stderr
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() }) // if the test did not end it
	lines := bufio.NewScanner(stdout)
	for p.fingerprint == "" && lines.Scan() {
		switch words := strings.Fields(lines.Text()); {
		case len(words) == 2 && words[0] == "URL":
			p.url = words[1]
		case len(words) > 2 && words[0] == "Admin":
			p.admin = strings.TrimSuffix(words[1], "/healthz,")
		case len(words) == 2 && words[0] == "SHA-256":
			p.fingerprint = words[1]
		}
	}
	if p.fingerprint == "" {
		t.Fatalf("no greeting: %v: %s", p.Wait(), &p.stderr)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return p
}

// stop ends the process as a cluster or a shell does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("exit: %v: %s", err, &p.stderr)
	}
}

// client believes in the CA whose fingerprint was printed.
func (p *process) client(t *testing.T) *scep.Client {
	t.Helper()
	pinned, err := scep.PinCA(p.fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	return &scep.Client{URL: p.url, VerifyCA: pinned, Logger: slog.New(slog.DiscardHandler), PollInterval: 100 * time.Millisecond, PollLimit: -1}
}

// enrolment is the same each time, but for the message around it.
func enrolment(t *testing.T) scep.EnrolRequest {
	t.Helper()
	key := sceptest.RSAKey(t, 1)
	return scep.EnrolRequest{
		Key:           key,
		TransactionID: "again",
		CSR: sceptest.CSR(t, key, sceptest.CSROptions{
			Template: &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}, ChallengePassword: "secret",
		}),
	}
}

func enrol(t *testing.T, c *scep.Client) *x509.Certificate {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), processLimit)
	defer cancel()
	result, err := c.Enrol(ctx, enrolment(t))
	if err != nil || result.Certificate == nil {
		t.Fatalf("enrol: %+v (%v)", result, err)
	}
	return result.Certificate
}

// A restart goes on with the same CA, and answers a retry with the same bytes.
func TestDevRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	again := func() *x509.Certificate {
		p := start(t, dir)
		defer p.stop(t)
		return enrol(t, p.client(t))
	}
	before, after := again(), again()
	if !before.NotBefore.Equal(after.NotBefore) {
		before, after = after, again() // the day of the certificate ended in between
	}
	if !before.Equal(after) {
		t.Errorf("serial number %x became %x", before.SerialNumber, after.SerialNumber)
	}
}

func TestDevIssueDelay(t *testing.T) {
	t.Parallel()
	const delay = time.Second
	p := start(t, t.TempDir(), "--issue-delay", delay.String())
	began := time.Now()
	once := p.client(t)
	once.PollLimit = 0
	result, err := once.Enrol(t.Context(), enrolment(t))
	if err != nil || result.Status != scep.StatusPending {
		t.Fatalf("first answer: %+v (%v), want PENDING", result, err)
	}
	enrol(t, p.client(t))
	if took := time.Since(began); took < delay {
		t.Errorf("the certificate came after %v", took)
	}
	p.stop(t)
}

func TestDevAllowsAnyone(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "--allow-anyone")
	key := sceptest.RSAKey(t, 2)
	result, err := p.client(t).Enrol(t.Context(), scep.EnrolRequest{Key: key, CSR: sceptest.CSR(t, key, sceptest.CSROptions{})})
	if err != nil || result.Status != scep.StatusSuccess {
		t.Errorf("without a challenge: %+v (%v)", result, err)
	}
	p.stop(t)
}

func TestDevAdmin(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	enrol(t, p.client(t))
	for path, want := range map[string]string{
		"/healthz": "ok\n",
		"/readyz":  "ok\n",
		"/status":  `"configGeneration":1`,
		"/metrics": `scepter_ra_enrolments_total{reason="",result="success"} 1`,
	} {
		if status, body := get(t, p.admin+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, no %q in %s", path, status, want, body)
		}
	}
	p.stop(t)
	records := p.stderr.String()
	for _, code := range []string{"SCEP1001", "SCEP1010", "SCEP1030", "SCEP1040", "SCEP1050", "SCEP1060"} {
		if !strings.Contains(records, code) {
			t.Errorf("no record %s", code)
		}
	}
	if strings.Contains(records, "certificateRequest") {
		t.Error("the records speak of CertificateRequests")
	}
}

func TestDevKeepsTheChallengeToItself(t *testing.T) {
	t.Parallel()
	cmd := program(t, "--dir", t.TempDir(), "--challenge", "Correct-Horse-42", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-level", "debug")
	out := &notice{text: "scepclient -server-url", found: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-out.found:
	case <-time.After(processLimit):
		t.Error("no greeting")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if printed := string(out.seen); strings.Contains(printed, "Correct-Horse-42") || !strings.Contains(printed, "draining") {
		t.Errorf("printed:\n%s", printed)
	}
}

// notice closes a channel when it sees a text.
type notice struct {
	text  string
	found chan struct{}
	seen  []byte
}

func (n *notice) Write(p []byte) (int, error) {
	had := bytes.Contains(n.seen, []byte(n.text))
	n.seen = append(n.seen, p...)
	if !had && bytes.Contains(n.seen, []byte(n.text)) {
		close(n.found)
	}
	return len(p), nil
}

func TestDevFinishesWhatItBegan(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	client := p.client(t)
	client.HTTP = &http.Client{Transport: &interrupted{t: t, process: p}}
	enrol(t, client)
	if err := p.Wait(); err != nil {
		t.Errorf("exit: %v: %s", err, &p.stderr)
	}
}

// interrupted ends the server while it reads a message.
type interrupted struct {
	t       *testing.T
	process *process
}

// RoundTrip implements http.RoundTripper.
func (i *interrupted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost {
		r.Close = true
		return http.DefaultTransport.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.URL.Host)
	if err != nil {
		return nil, err
	}
	i.t.Cleanup(func() { _ = conn.Close() })
	answers := bufio.NewReader(conn)
	// The server asks for the message when it has begun to work on it.
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", r.URL.RequestURI(), r.URL.Host, len(body))
	if err != nil {
		return nil, err
	}
	if first, err := http.ReadResponse(answers, r); err != nil || first.StatusCode != http.StatusContinue {
		return nil, fmt.Errorf("the server does not ask for the message: %w", err)
	}
	if _, err := conn.Write(body[:len(body)/2]); err != nil {
		return nil, err
	}
	if err := i.process.Process.Signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	i.waitUntilClosed(r.URL.Host)
	if _, err := conn.Write(body[len(body)/2:]); err != nil {
		return nil, err
	}
	return http.ReadResponse(answers, r)
}

// waitUntilClosed waits until nobody listens any more.
func (i *interrupted) waitUntilClosed(address string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(i.t.Context(), "tcp", address)
		if err != nil {
			return
		}
		_ = conn.Close()
		<-tick.C
	}
}

// What is in the way of a start is said on one line, with exit 1.
func TestDevCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	running := start(t, dir)
	taken := strings.TrimSuffix(strings.TrimPrefix(running.url, "http://"), "/scep")
	for name, tc := range map[string]struct {
		dir, listen, want string
		nobody            bool
	}{
		"two at once":       {dir: dir, listen: "127.0.0.1:0", want: "the directory is in use by another process"},
		"port in use":       {dir: t.TempDir(), listen: taken, want: "listen tcp " + taken + ": bind: address already in use"},
		"no address":        {dir: t.TempDir(), listen: "nowhere", want: "address nowhere: missing port"},
		"not writable":      {dir: "/usr", listen: "127.0.0.1:0", want: "permission denied", nobody: true},
		"parent not ours":   {dir: "/usr/scepter", listen: "127.0.0.1:0", want: "permission denied", nobody: true},
		"a file in its way": {dir: os.Args[0], listen: "127.0.0.1:0", want: "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := program(t, "--dir", tc.dir, "--challenge", "secret", "--listen", tc.listen, "--admin-listen", "127.0.0.1:0")
			if tc.nobody {
				becomeNobody(t, cmd)
			}
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			var exit *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("exit: %v, want 1", err)
			}
			text := stderr.String()
			if !strings.HasPrefix(text, "ra: ") || !strings.Contains(text, tc.want) || strings.Count(text, "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("printed %q and %q, want one line with %q", stdout.String(), text, tc.want)
			}
		})
	}
}

// becomeNobody takes root's rights away from a command, whoever may see the
// directory of this binary.
func becomeNobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	binary, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = binary.Close() })
	const id = 65534
	cmd.Path, cmd.Dir, cmd.ExtraFiles = "/proc/self/fd/3", "/", []*os.File{binary}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
}
