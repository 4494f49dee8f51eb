package signertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/signer"
	"github.com/scepter-pki/scepter/internal/ra/signer/client"
	"github.com/scepter-pki/scepter/internal/ra/signer/mutual"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Server is a signer in this process.
type Server struct {
	// Address speaks the protocol, AdminURL is for the kubelet and the operator.
	Address, AdminURL string
	Log               *Log
	LogLevel          *slog.LevelVar

	t    testing.TB
	stop func()
}

// Start starts a signer and waits until it is ready.
func Start(t testing.TB, f *Files) *Server {
	t.Helper()
	s := StartUnready(t, f)
	Eventually(t, "signer to be ready", func() error { return s.get("/readyz", nil) })
	return s
}

// StartUnready starts a signer.
func StartUnready(t testing.TB, f *Files) *Server {
	t.Helper()
	s := &Server{t: t, Log: &Log{}, LogLevel: &slog.LevelVar{}}
	server, err := signer.New(signer.Options{
		Dirs: f.Dirs, Pod: t.Name(), Version: "test", Logger: slog.New(slog.NewJSONHandler(s.Log, nil)),
		LogLevel: s.LogLevel,
	})
	must(t, err)
	l := signer.Listeners{Signer: listen(t), Admin: listen(t)}
	s.Address, s.AdminURL = l.Signer.Addr().String(), "http://"+l.Admin.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, l) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("signer ended: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// Stop ends the signer.
func (s *Server) Stop() { s.stop() }

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	return l
}

func (s *Server) get(path string, into io.Writer) error {
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.AdminURL+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %d: %s", path, response.StatusCode, body)
	}
	if into != nil {
		_, err = into.Write(body)
	}
	return err
}

// Get asks the admin listener; an error if the answer is not 200.
func (s *Server) Get(path string) (string, error) {
	var out bytes.Buffer
	err := s.get(path, &out)
	return out.String(), err
}

// Status returns /status.
func (s *Server) Status() raconfig.SignerStatus {
	s.t.Helper()
	body, err := s.Get(raconfig.StatusPath)
	must(s.t, err)
	var status raconfig.SignerStatus
	must(s.t, json.Unmarshal([]byte(body), &status))
	return status
}

// NewClient asks the signers at an address as the servers do.
func (f *Files) NewClient(address string) *client.Client {
	return f.NewClientOf(address, f.Client, f.Server)
}

// NewClientOf asks as somebody who trusts certain signers.
func (f *Files) NewClientOf(address string, as *Pair, signers ...*Pair) *client.Client {
	f.t.Helper()
	dir := f.t.TempDir()
	f.WriteClient(dir, as, signers...)
	c, err := mutual.Read(readAll(f.t, dir))
	must(f.t, err)
	out := client.New(address, c)
	f.t.Cleanup(out.Close)
	return out
}

// waitLimit is for a machine that does much else.
const waitLimit = time.Minute

// Eventually waits until check has no error.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// Log keeps what is logged. It is safe for concurrent use.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is what was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
