package signertest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Service plays a Service before signers: each connection goes to the next of them,
// whether that is there or not.
type Service struct {
	Address string

	mu    sync.Mutex
	ends  []string
	count int
	open  map[net.Conn]bool
}

// NewService listens on the loopback interface.
func NewService(t testing.TB, addresses ...string) *Service {
	t.Helper()
	l := listen(t)
	s := &Service{Address: l.Addr().String(), ends: addresses, open: map[net.Conn]bool{}}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { s.forward(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.Set()
	})
	return s
}

// Set replaces the signers, and cuts the connections that there are.
func (s *Service) Set(addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = addresses
	for c := range s.open {
		_ = c.Close()
	}
}

// enter chooses a signer for a connection; "" if there is none.
func (s *Service) enter(c net.Conn) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = true
	if len(s.ends) == 0 {
		return ""
	}
	s.count++
	return s.ends[s.count%len(s.ends)]
}

func (s *Service) leave(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	_ = c.Close()
}

func (s *Service) forward(in net.Conn) {
	address := s.enter(in)
	defer s.leave(in)
	if address == "" {
		return
	}
	out, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	done := make(chan struct{}, 2)
	pipe := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from) // either end may go at any time
		done <- struct{}{}
	}
	go pipe(out, in)
	go pipe(in, out)
	<-done
}

func readAll(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	out := map[string][]byte{}
	for _, e := range entries {
		out[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
	}
	return out
}
