package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/ra/ratest/signertest"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// daemon is "ra serve" or "ra signer" in a process of its own.
type daemon struct {
	*exec.Cmd
	// listen is the address of its main listener, as its log says.
	listen string
	stderr bytes.Buffer
}

// startDaemon waits until the process says where it listens.
func startDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), processLimit)
	t.Cleanup(cancel)
	d := &daemon{Cmd: exec.CommandContext(ctx, os.Args[0], append(args, "--admin-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--drain", "10ms")...)}
	d.Env = append(os.Environ(), asProgram+"=1")
	d.Stderr = &d.stderr
	stdout, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill() }) // if the test did not end it
	lines := bufio.NewScanner(stdout)
	for d.listen == "" && lines.Scan() {
		var record struct{ Msg, Listen string }
		if json.Unmarshal(lines.Bytes(), &record) == nil && (record.Msg == "serving" || record.Msg == "signing") {
			d.listen = record.Listen
		}
	}
	if d.listen == "" {
		t.Fatalf("it did not start: %v: %s", d.Wait(), &d.stderr)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return d
}

// kill ends the process as a crash does.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if err := d.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = d.Wait() // it says that it was killed
}

// tier is two signers and three servers in processes of their own, without a cluster.
type tier struct {
	files   *ratest.Files
	signing *signertest.Files
	service *signertest.Service
	signers []*daemon
	servers []*daemon
}

func newTier(t *testing.T, ca *signertest.Authority, sceptestCA *sceptest.CA) *tier {
	t.Helper()
	x := &tier{service: signertest.NewService(t)}
	x.files = ratest.NewFiles(t, &ratest.Cluster{Namespace: "pki", Issuer: &ratest.Issuer{CA: sceptestCA}})
	x.files.Config.Issuance = signertest.DirectIssuance(x.service.Address)
	x.files.WriteConfig()
	x.signing = signertest.NewFiles(t, x.files.Config, ca)
	for range 2 {
		x.signers = append(x.signers, x.startSigner(t))
	}
	x.service.Set(x.signers[0].listen, x.signers[1].listen)
	for range 3 {
		x.servers = append(x.servers, x.startServer(t))
	}
	return x
}

func (x *tier) startSigner(t *testing.T) *daemon {
	t.Helper()
	d := x.signing.Dirs
	return startDaemon(t, "signer", "--config-dir", d.Config, "--signer-dir", d.Signer, "--ca-dir", d.CA, "--state-dir", d.State, "--revoked-dir", d.Revoked)
}

// noCluster is the address of an API server that is not there: nothing needs it.
const noCluster = `apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
current-context: none
`

func (x *tier) startServer(t *testing.T) *daemon {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(noCluster), 0o600); err != nil {
		t.Fatal(err)
	}
	d := x.files.Dirs
	return startDaemon(t, "serve", "--audit-dir", "", "--config-dir", d.Config, "--keyring-dir", d.Keyring, "--challenges-dir", d.Challenges,
		"--state-dir", d.State, "--signer-dir", x.signing.ClientDir, "--kubeconfig", kubeconfig,
		"--tls-listen", "", "--mint-listen", "", "--local-mint-listen", "")
}

// newDevice is the n-th: its request is the same each time but for the message around it.
func newDevice(t *testing.T, n int) scep.EnrolRequest {
	t.Helper()
	const keys = 4
	key := sceptest.RSAKey(t, n%keys)
	name := fmt.Sprintf("d%d.devices.example.com", n)
	return scep.EnrolRequest{
		Key: key, TransactionID: name,
		CSR: sceptest.CSR(t, key, sceptest.CSROptions{
			Template: &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, ChallengePassword: ratest.Password,
		}),
	}
}

// enrolSomewhere asks one server after the other until there is a certificate.
func (x *tier) enrolSomewhere(ctx context.Context, first int, request scep.EnrolRequest) (*x509.Certificate, error) {
	var err error
	for n := first; ctx.Err() == nil; n++ {
		var result *scep.Result
		result, err = enrolAt(ctx, x.servers[n%len(x.servers)], request)
		if err == nil && result.Status == scep.StatusFailure {
			return nil, fmt.Errorf("refused: %s", result.FailInfoText)
		}
		if err == nil {
			return result.Certificate, nil
		}
	}
	return nil, errors.Join(err, ctx.Err())
}

func enrolAt(ctx context.Context, server *daemon, request scep.EnrolRequest) (*scep.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := &scep.Client{URL: "http://" + server.listen + "/scep", VerifyCA: scep.TrustAnyCA, Logger: slog.New(slog.DiscardHandler)}
	return client.Enrol(ctx, request)
}

// Signers and servers are killed while devices enrol: each device has one
// certificate, whomever it asks again.
func TestKillingSignersAndServers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), processLimit)
	defer cancel()
	ca := sceptest.NewCA(t)
	x := newTier(t, &signertest.Authority{Certificate: ca.Certificate, Key: ca.Key}, ca)
	const devices = 12
	requests := make([]scep.EnrolRequest, devices)
	for n := range requests {
		requests[n] = newDevice(t, n)
	}
	certificates, failed := make([]*x509.Certificate, devices), make([]error, devices)
	begun := make(chan struct{}, devices)
	var group sync.WaitGroup
	for n := range requests {
		group.Go(func() {
			begun <- struct{}{}
			certificates[n], failed[n] = x.enrolSomewhere(ctx, n, requests[n])
		})
	}
	<-begun
	x.signers[0].kill(t)
	x.servers[0].kill(t)
	group.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	x.signers = append(x.signers, x.startSigner(t))
	x.service.Set(x.signers[2].listen) // only the one that knows nothing of this
	for n, request := range requests {
		again, err := x.enrolSomewhere(ctx, n+1, request)
		if err != nil || !bytes.Equal(again.Raw, certificates[n].Raw) {
			t.Errorf("device %d: other bytes after a crash (%v)", n, err)
		}
	}
}

// Everything that a running signer reads may change under it.
func TestSignerProcessTakesNewFilesUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), processLimit)
	defer cancel()
	ca := sceptest.NewCA(t)
	x := newTier(t, &signertest.Authority{Certificate: ca.Certificate, Key: ca.Key}, ca)
	first, err := x.enrolSomewhere(ctx, 0, newDevice(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	x.signing.CA = signertest.NewAuthority(t, signertest.NewKey(t), nil)
	x.signing.WriteCA()
	next := signertest.NewPair(t, "next client")
	x.signing.WriteEnds(x.signing.Client, next)
	x.signing.Client = next
	x.signing.WriteEnds(next)
	signertest.Eventually(t, "certificates of the new CA over new connections", func() error {
		for range x.servers {
			certificate, err := x.enrolSomewhere(ctx, 0, newDevice(t, 1))
			if err != nil {
				return err
			}
			if err := certificate.CheckSignatureFrom(x.signing.CA.Certificate); err != nil || certificate.Equal(first) {
				return fmt.Errorf("the CA before: %w", err)
			}
		}
		return nil
	})
}

func TestSignerProcessEnds(t *testing.T) {
	ca := signertest.NewAuthority(t, signertest.NewKey(t), nil)
	x := &tier{signing: signertest.NewFiles(t, signertest.NewConfig(), ca)}
	d := x.startSigner(t)
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := d.Wait(); err != nil {
		t.Errorf("exit: %v: %s", err, &d.stderr)
	}
	cmd := newSignerCommand()
	cmd.SetArgs([]string{"--log-level", "loud"})
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	if err := cmd.ExecuteContext(t.Context()); err == nil {
		t.Error("a wrong log level is taken")
	}
}
