package signer_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/ratest/signertest"
	"github.com/scepter-pki/scepter/internal/ra/signer/mutual"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// wantTrouble waits until the status names a problem.
func (f *fixture) wantTrouble(t *testing.T, text string) {
	t.Helper()
	signertest.Eventually(t, "problem with "+text, func() error {
		if all := strings.Join(f.server.Status().Problems, "\n"); !strings.Contains(all, text) {
			return fmt.Errorf("problems: %q", all)
		}
		return nil
	})
}

func TestTheLastGoodFilesStayInUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	other := signertest.NewAuthority(t, signertest.NewKey(t), nil)
	older := raconfig.NewRevocations(time.Now().Add(-time.Hour))
	list, err := raconfig.EncodeRevocations(older)
	if err != nil {
		t.Fatal(err)
	}
	dirs := f.files.Dirs
	for _, tc := range []struct{ dir, name, content, problem string }{
		{dirs.Config, raconfig.ConfigFile, "version: v0", "config: "},
		{dirs.CA, raconfig.CertificateFile, pemOf(other.Certificate), "ca: "},
		{dirs.State, raconfig.HMACKeyFile, "short", "state: "},
		{dirs.Signer, raconfig.PeersFile, "", "signer: "},
		{dirs.Revoked, raconfig.RevocationsFile, "{}", "revoked: "},
		{dirs.Revoked, raconfig.RevocationsFile, string(list), "older"},
	} {
		signertest.Write(t, tc.dir, tc.name, []byte(tc.content))
		f.wantTrouble(t, tc.problem)
		f.issue(t, newOrder(t, 1))
	}
	if _, err := f.server.Get("/readyz"); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// TestANewSignerGoesBack to the last good configuration, if that is for its revision, and
// takes the newest as soon as that is mended.
func TestANewSignerGoesBack(t *testing.T) {
	t.Parallel()
	for name, goesBack := range map[string]bool{"of the same revision": true, "of another": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := signertest.NewFiles(t, signertest.NewConfig(), signertest.NewAuthority(t, signertest.NewKey(t), nil))
			config, err := raconfig.Encode(files.Config)
			if err != nil {
				t.Fatal(err)
			}
			revision := raconfig.RevisionOf(t.Name())
			if !goesBack {
				revision = "corp-signer-7f8d9c6b5-"
			}
			good := raconfig.LastGood{Config: string(config), Revisions: []string{revision}}
			for name, content := range good.Files() {
				signertest.Write(t, files.Dirs.Config, name, []byte(content))
			}
			signertest.Write(t, files.Dirs.Config, raconfig.ConfigFile, []byte("version: v0"))
			f := &fixture{files: files, server: signertest.StartUnready(t, files)}
			f.client = files.NewClient(f.server.Address)
			f.wantTrouble(t, "config: config.yaml")
			if _, err := f.server.Get("/readyz"); (err == nil) != goesBack {
				t.Errorf("ready: %v", err)
			}
			if goesBack {
				f.issue(t, newOrder(t, 1))
			}
			files.WriteConfig()
			signertest.Eventually(t, "the mended one to be used", func() error {
				if all := f.server.Status().Problems; len(all) > 0 {
					return fmt.Errorf("problems: %q", all)
				}
				return nil
			})
			f.issue(t, newOrder(t, 1))
		})
	}
}

func TestLogLevelFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	f.files.Config.LogLevel = v1alpha1.LogWarn
	f.files.WriteConfig()
	signertest.Eventually(t, "the level", func() error {
		if got := f.server.LogLevel.Level(); got != slog.LevelWarn {
			return fmt.Errorf("level %s", got)
		}
		return nil
	})
}

func TestUnfitFiles(t *testing.T) {
	t.Parallel()
	leaf := signertest.NewPair(t, "no CA")
	for name, tc := range map[string]struct {
		change  func(*signertest.Files)
		problem string
	}{
		"no CA":            {func(f *signertest.Files) { f.CA = leaf; f.WriteCA() }, "ca: "},
		"no signer":        {func(f *signertest.Files) { f.Config.Issuance.Signer = nil; f.WriteConfig() }, "config: issuance.signer"},
		"no revocations":   {func(f *signertest.Files) { f.Dirs.Revoked = t.TempDir() }, "revoked: revoked.json is missing"},
		"no directory":     {func(f *signertest.Files) { f.Dirs.CA += "-away" }, "ca: "},
		"CA that must not": {func(f *signertest.Files) { f.CA = unfitCA(t); f.WriteCA() }, "ca: "},
	} {
		files := signertest.NewFiles(t, signertest.NewConfig(), signertest.NewAuthority(t, signertest.NewKey(t), nil))
		tc.change(files)
		f := &fixture{files: files, server: signertest.StartUnready(t, files)}
		f.client = files.NewClient(f.server.Address)
		f.wantTrouble(t, tc.problem)
		if _, err := f.server.Get("/readyz"); err == nil {
			t.Errorf("%s: ready", name)
		}
		f.wantProblem(t, name, newOrder(t, 1), wire.NotReady, "")
	}
}

func unfitCA(t *testing.T) *signertest.Authority {
	t.Helper()
	return signertest.NewAuthority(t, signertest.NewKey(t), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
}

func TestTheCAIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	before := f.issue(t, newOrder(t, 1))
	f.files.CA = signertest.NewAuthority(t, signertest.NewKey(t), nil)
	f.files.WriteCA()
	signertest.Eventually(t, "the new CA", func() error {
		if got, want := f.server.Status().CA, raconfig.Fingerprint(f.files.CA.Certificate); got != want {
			return fmt.Errorf("CA %s, want %s", got, want)
		}
		return nil
	})
	after := f.issue(t, newOrder(t, 1))
	if err := after.CheckSignatureFrom(f.files.CA.Certificate); err != nil || after.SerialNumber.Cmp(before.SerialNumber) == 0 {
		t.Errorf("serial number %v after %v (%v)", after.SerialNumber, before.SerialNumber, err)
	}
}

// A stranger is refused in the handshake, whatever he shows.
func TestOnlyPeersAreLetIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	for name, c := range map[string]*signertest.Pair{
		"another certificate":       signertest.NewPair(t, "client"),
		"another one with this key": {Certificate: signertest.NewAuthority(t, f.files.Client.Key, nil).Certificate, Key: f.files.Client.Key},
		"the signer's own":          f.files.Server,
	} {
		if _, err := f.files.NewClientOf(f.server.Address, c, f.files.Server).Issue(limited(t), newOrder(t, 1)); err == nil {
			t.Errorf("%s: let in", name)
		}
	}
	metrics, err := f.server.Get("/metrics")
	if err != nil || !strings.Contains(metrics, `scepter_signer_orders_total{result="UnknownPeer"}`) {
		t.Errorf("nobody was counted (%v)", err)
	}
	if !strings.Contains(f.server.Log.String(), "a connection was refused") {
		t.Error("nothing was logged")
	}
	liar := f.files.NewClientOf(f.server.Address, f.files.Client, signertest.NewPair(t, "server"))
	if _, err := liar.Issue(limited(t), newOrder(t, 1)); !errors.Is(err, mutual.ErrUnknownPeer) {
		t.Errorf("a client believes in another signer: %v", err)
	}
}

// Keys change at both ends while orders come, and none is lost.
func TestPeersAreReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	order := newOrder(t, 1)
	first := f.issue(t, order)
	next := signertest.NewPair(t, "next client")
	f.files.WriteEnds(f.files.Client, next)
	signertest.Eventually(t, "the next client", func() error {
		if got := len(f.server.Status().Peers); got != 2 {
			return fmt.Errorf("%d peers", got)
		}
		return nil
	})
	renewed := f.files.NewClientOf(f.server.Address, next, f.files.Server)
	if again := issueBy(t, renewed, order); !bytes.Equal(first.Raw, again.Raw) {
		t.Error("other bytes")
	}
	f.issue(t, order) // the client before is let in as well
	f.files.WriteEnds(next)
	signertest.Eventually(t, "the end of the client before", func() error {
		var problem *wire.Problem
		if _, err := f.client.Issue(limited(t), order); err == nil || errors.As(err, &problem) && problem.Code != wire.UnknownPeer {
			return fmt.Errorf("still let in: %w", err)
		}
		return nil
	})
	f.files.Server = signertest.NewPair(t, "next server")
	f.files.WriteEnds(next)
	signertest.Eventually(t, "the signer's next certificate", func() error {
		if got, want := f.server.Status().Certificate, raconfig.Fingerprint(f.files.Server.Certificate); got != want {
			return fmt.Errorf("certificate %s, want %s", got, want)
		}
		return nil
	})
	if again := issueBy(t, f.files.NewClientOf(f.server.Address, next, f.files.Server), order); !bytes.Equal(first.Raw, again.Raw) {
		t.Error("other bytes")
	}
}
