package peers

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const host = "corp-signer.pki.svc"

// secret is what an end's pods mount at last, and when it was written.
type secret struct {
	data    map[string][]byte
	changed time.Time
}

// store plays the two Secrets.
type store struct{ server, client secret }

// step rotates and writes what differs; dies writes the server's only.
func (s *store) step(t *testing.T, now time.Time, dies bool) {
	t.Helper()
	server, client, err := Rotate(Decode(s.server.data, s.server.changed), Decode(s.client.data, s.client.changed), now, Make("corp-signer", host))
	if err != nil {
		t.Fatal(err)
	}
	s.server.write(t, server, now)
	if !dies {
		s.client.write(t, client, now)
	}
}

func (s *secret) write(t *testing.T, side Side, now time.Time) {
	t.Helper()
	data, err := side.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(data, s.data, bytes.Equal) {
		s.data, s.changed = data, now
	}
}

// handshake is that of pods that have mounted the Secrets as given. It goes over the
// loopback: an unbuffered pipe is stuck where one end refuses while the other still
// sends.
func handshake(t *testing.T, server, client map[string][]byte, now time.Time) error {
	t.Helper()
	us, them := connected(t)
	ended := make(chan error, 1)
	go func() {
		ended <- tls.Server(us, config(t, server, now)).HandshakeContext(t.Context())
	}()
	clientErr := tls.Client(them, config(t, client, now)).HandshakeContext(t.Context())
	if clientErr != nil {
		_ = them.Close()
	}
	return errors.Join(clientErr, <-ended)
}

// connected are the two ends of a connection.
func connected(t *testing.T) (accepted, dialled net.Conn) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if dialled, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialled.Close() })
	if accepted, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Close() })
	return accepted, dialled
}

func config(t *testing.T, data map[string][]byte, now time.Time) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data[raconfig.PeersFile])
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, Time: func() time.Time { return now },
		RootCAs: pool, ServerName: host, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		SessionTicketsDisabled: true,
	}
}

func TestTheTwoKnowEachOther(t *testing.T) {
	var s store
	s.step(t, noon, false)
	if err := handshake(t, s.server.data, s.client.data, noon); err != nil {
		t.Fatal(err)
	}
	var others store
	others.step(t, noon, false)
	if handshake(t, s.server.data, others.client.data, noon) == nil || handshake(t, others.server.data, s.client.data, noon) == nil {
		t.Error("a stranger is let in")
	}
	if handshake(t, s.client.data, s.server.data, noon) == nil {
		t.Error("a client is taken for a server")
	}
	before := s
	s.step(t, noon.Add(time.Hour), false)
	if !maps.EqualFunc(before.server.data, s.server.data, bytes.Equal) || before.client.changed != s.client.changed {
		t.Error("at rest something was written")
	}
}

// TestRotationWithoutAGap goes through two lives of a certificate, with pods that
// still mount what was written up to Settle ago, and an operator that dies between
// its two writes.
func TestRotationWithoutAGap(t *testing.T) {
	for name, dies := range map[string]bool{"at ease": false, "dying": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s store
			s.step(t, noon, false)
			used := map[string]bool{}
			mounted := []store{s, s, s}
			for i, now := 0, noon; now.Before(noon.Add(2 * Validity)); i, now = i+1, now.Add(untilNextLook(&s, now)) {
				s.step(t, now, dies && i%2 == 0)
				mounted = append(mounted[1:], s)
				used[string(s.server.data[corev1.TLSCertKey])] = true
				checkAllPairs(t, mounted, now)
			}
			if len(used) < 3 {
				t.Errorf("%d certificates in two lives of one, want 3 or more", len(used))
			}
		})
	}
}

// untilNextLook is a third of Settle after a change, and five days at rest.
func untilNextLook(s *store, now time.Time) time.Duration {
	if now.Sub(s.server.changed) < 4*Settle || now.Sub(s.client.changed) < 4*Settle {
		return Settle / 3
	}
	return 5 * 24 * time.Hour
}

func checkAllPairs(t *testing.T, mounted []store, now time.Time) {
	t.Helper()
	for _, one := range mounted {
		for _, other := range mounted {
			if err := handshake(t, one.server.data, other.client.data, now); err != nil {
				t.Fatalf("%s: %v", now, err)
			}
		}
	}
}

func TestADamagedSecretIsMadeAnew(t *testing.T) {
	for name, damage := range map[string]func(map[string][]byte){
		"deleted":        func(data map[string][]byte) { clear(data) },
		"no key":         func(data map[string][]byte) { delete(data, corev1.TLSPrivateKeyKey) },
		"a foreign key":  func(data map[string][]byte) { data[corev1.TLSPrivateKeyKey] = []byte("-----BEGIN PRIVATE KEY-----") },
		"another's peer": func(data map[string][]byte) { data[raconfig.PeersFile] = data[corev1.TLSCertKey] },
		"an addition":    func(data map[string][]byte) { data["tls.p12"] = []byte("?") },
	} {
		t.Run(name, func(t *testing.T) {
			var s store
			s.step(t, noon, false)
			damage(s.client.data)
			s.step(t, noon.Add(time.Minute), false)
			if err := handshake(t, s.server.data, s.client.data, noon.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if len(s.client.data) != 3 {
				t.Errorf("%d keys", len(s.client.data))
			}
		})
	}
}

func TestAfterALongSleep(t *testing.T) {
	var s store
	s.step(t, noon, false)
	now := noon.Add(2 * Validity)
	s.step(t, now, false)
	if err := handshake(t, s.server.data, s.client.data, now); err != nil {
		t.Fatal(err)
	}
}

func TestWhenToLookAgain(t *testing.T) {
	var s store
	s.step(t, noon, false)
	sides := func() (Side, Side) {
		return Decode(s.server.data, s.server.changed), Decode(s.client.data, s.client.changed)
	}
	server, client := sides()
	now := noon
	now = now.Add(NextStep(server, client, now))
	if want := noon.Add(Validity - renewBefore); now.Before(want) || now.After(want.Add(time.Minute)) {
		t.Errorf("the first look is at %s, want %s", now, want)
	}
	s.step(t, now, false)
	server, client = sides()
	if server.Next == nil || client.Next == nil || NextStep(server, client, now) > Settle {
		t.Error("no next certificates are made at that time, or they are not looked at soon")
	}
}

func TestAMakerThatFailsChangesNothing(t *testing.T) {
	broken := errors.New("no entropy")
	server, client, err := Rotate(Side{}, Side{}, noon, func(Role, time.Time) (*Pair, error) { return nil, broken })
	if !errors.Is(err, broken) || server.Active != nil || client.Active != nil {
		t.Errorf("%+v %+v %v", server, client, err)
	}
}
