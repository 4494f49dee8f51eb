// Package dev keeps a registration authority of its own in a directory: a CA, an RA
// credential, and the files that the operator would mount into a pod. It is for
// trying things out and for conformance tests: the CA's key lies in a file.
//
//	ca.pem, ca-key.pem  the CA, made on first use
//	keyring/            the RA credential's generations, renewed before they end
//	state/              the key of serial numbers
//	config/ challenges/ what this start was told; written each time
//	lock                held while a server uses the directory
//
// What was made is never overwritten: a file that cannot be used is an error that
// names it.
package dev

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// EndpointName is the name and the namespace of the endpoint, in records and metrics.
const EndpointName = "dev"

// Options are what a start is told.
type Options struct {
	// Dir is made if it is not there; its parent must be.
	Dir string
	// Challenge is the static challenge password; "" lets everybody in.
	Challenge string
	// Template that requests are judged by.
	Template v1alpha1.CertificateTemplateSpec
	// Legacy algorithms that are accepted.
	Legacy []v1alpha1.LegacyAlgorithm
	Now    func() time.Time
}

// Home is a directory that this process has to itself until Close.
type Home struct {
	// Dirs are the files for a server.
	Dirs reload.Dirs
	// CA is the issuing CA, and the root.
	CA *x509.Certificate

	key   crypto.Signer
	names issue.Names
	now   func() time.Time
	lock  *os.File
}

// Errors that callers tell apart. They are wrapped with the file and the remedy.
var (
	// ErrInUse: another process has the directory.
	ErrInUse = errors.New("the directory is in use by another process")
	// ErrUnusable: a file of the directory cannot be used. Nothing was changed.
	ErrUnusable = errors.New("nothing was changed: restore the file, or use another directory")
)

const (
	lockFile = "lock"
	dirMode  = 0o700
	// privateMode is for keys and challenges, publicMode for certificates.
	privateMode = 0o600
	publicMode  = 0o644
)

// Open takes a directory, makes in it what is not there yet, and writes down what
// this start was told.
func Open(o Options) (*Home, error) {
	if err := os.MkdirAll(o.Dir, dirMode); err != nil {
		return nil, fmt.Errorf("directory %s: %w", o.Dir, err)
	}
	lock, err := takeLock(filepath.Join(o.Dir, lockFile))
	if err != nil {
		return nil, err
	}
	h := &Home{now: o.Now, lock: lock, Dirs: reload.Dirs{
		Config:     filepath.Join(o.Dir, "config"),
		Keyring:    filepath.Join(o.Dir, "keyring"),
		Challenges: filepath.Join(o.Dir, "challenges"),
		State:      filepath.Join(o.Dir, "state"),
	}}
	if err := h.fill(o); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Close gives the directory back.
func (h *Home) Close() error {
	if err := h.lock.Close(); err != nil {
		return fmt.Errorf("give back the lock: %w", err)
	}
	return nil
}

// fill loads or makes each part, in the order in which they depend on each other.
func (h *Home) fill(o Options) error {
	ca, err := openCA(o.Dir, h.now())
	if err != nil {
		return err
	}
	h.CA, h.key = ca.certificate, ca.key
	stateKey, err := openStateKey(filepath.Join(h.Dirs.State, raconfig.HMACKeyFile))
	if err != nil {
		return err
	}
	h.names = issue.Names{Key: stateKey, Endpoint: EndpointName}
	keyring, err := openKeyring(h.Dirs.Keyring, ca, h.now())
	if err != nil {
		return err
	}
	return h.configure(o, keyring.Generations[0].ID)
}

// Issuer issues with the directory's CA, after a delay in which devices are told PENDING.
func (h *Home) Issuer(delay time.Duration) issue.Issuer {
	direct := &issue.Direct{CA: h.CA, Key: h.key, Names: h.names, Now: h.now}
	if delay <= 0 {
		return direct
	}
	return &issue.Delayed{Issuer: direct, Delay: delay, Names: h.names, Now: h.now}
}
