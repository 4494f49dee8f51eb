package conformance

import (
	"bytes"
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep/sceptest"
	"github.com/scepter-pki/scepter/test/stock"
)

const challenge = "correct-horse"

// clientLimit is for one run of a client: scepclient waits half a minute while PENDING.
const clientLimit = 2 * time.Minute

// scene is an RA behind a tap.
type scene struct {
	*sceptest.Server
	tap *tap
}

func newScene(t *testing.T, o sceptest.Options) *scene {
	t.Helper()
	if o.OneTime == nil {
		o.Challenge = challenge
	}
	server := sceptest.NewServer(t, o)
	return &scene{server, newTap(t, server.Handler)}
}

// request is what clients are asked for here.
func (s *scene) request() stock.Request {
	return stock.Request{
		URL: s.tap.URL, CommonName: "device.example.com", Organization: "Example",
		Challenge: challenge, PollInterval: time.Second,
	}
}

// local runs a client on this machine.
func local(ctx context.Context, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, program, args...)
}

// enrol has a client try to enrol. A certificate is checked to be of the CA.
func (s *scene) enrol(t *testing.T, c stock.Client, r stock.Request) (*stock.Identity, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientLimit)
	defer cancel()
	got, err := c.Enrol(ctx, t.TempDir(), r)
	if err == nil && !s.CA.Issued(got.Certificate) {
		t.Fatal("the certificate was not issued by the CA")
	}
	return got, err
}

// mustEnrol is enrol for a client that has to succeed.
func (s *scene) mustEnrol(t *testing.T, c stock.Client, r stock.Request) *stock.Identity {
	t.Helper()
	got, err := s.enrol(t, c, r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// signedByOurs says whether the signer has a certificate of the CA.
func (s *scene) signedByOurs(m *message) bool {
	return bytes.Equal(m.signer.Issuer.FullBytes, s.CA.Certificate.RawSubject)
}
