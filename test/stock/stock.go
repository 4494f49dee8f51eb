// Package stock runs SCEP clients that were written elsewhere: from Debian
// strongSwan's "pki --scep", micromdm's scepclient, certmonger, and a device made
// of openssl commands; from Go modules a later scepclient and a device on
// smallstep's message layer. They are the proof that a device which has never
// heard of Scepter is served.
package stock

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Packages are the Debian packages that hold the clients of All, and openssl to
// look at what they got. Of strongSwan's plugins, the extra ones speak HTTP and the
// standard ones have OpenSSL in them, without which there is no HTTPS, and RSA keys
// with p < q decrypt wrongly now and then.
var Packages = []string{"strongswan-pki", "libstrongswan-extra-plugins", "libstrongswan-standard-plugins", "scep", "openssl"}

// Runner starts a program where the client is meant to stand: on this machine,
// or inside the namespaces of a cluster.
type Runner func(ctx context.Context, program string, args ...string) *exec.Cmd

// Request is what a client is asked to do.
type Request struct {
	// URL of the SCEP service.
	URL string
	// CommonName and Organization of the certificate.
	CommonName, Organization string
	// DNSNames in the request; scepclient cannot ask for any.
	DNSNames []string
	// Challenge is the challenge password; empty for none.
	Challenge string
	// KeyBits is the size of the RSA key; 2048 if it is zero.
	KeyBits int
	// PollInterval is how long to wait between polls, where the client lets one say.
	PollInterval time.Duration
}

// Identity is a private key with its certificate.
type Identity struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
	// Dir holds key.pem and cert.pem as the client left them.
	Dir string
}

// SameKey says whether another identity has the same key.
func (i *Identity) SameKey(other *Identity) bool {
	public, ok := i.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(other.Key.Public())
}

// Client is a SCEP client of somebody else.
type Client interface {
	// Name of the client, for test names and the demo.
	Name() string
	// Enrol gets a first certificate. dir is a directory for its files: empty, or
	// with the key of an enrolment that failed, which is used again.
	Enrol(ctx context.Context, dir string, r Request) (*Identity, error)
	// Renew gets a certificate for a new key or the same, as the client does it,
	// authenticated by the present certificate alone.
	Renew(ctx context.Context, dir string, old *Identity, r Request) (*Identity, error)
}

// ClientError is a client's own refusal to go on: its exit and what it printed.
type ClientError struct {
	Client string
	Output string
	Err    error
}

func (e *ClientError) Error() string {
	return fmt.Sprintf("%s: %v: %s", e.Client, e.Err, bytes.TrimSpace([]byte(e.Output)))
}

func (e *ClientError) Unwrap() error { return e.Err }

// All returns the clients that enrol with one command of theirs, run by run. The
// others, which need a service or files around them, are for their own tests.
func All(run Runner) []Client {
	return []Client{&StrongSwan{Run: run}, &ScepClient{Run: run}}
}

// output runs a command and returns its standard output; standard error and the
// exit become a ClientError.
func output(cmd *exec.Cmd, client string) ([]byte, error) {
	var stdout, all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &all
	if err := cmd.Run(); err != nil {
		return nil, &ClientError{Client: client, Output: all.String() + stdout.String(), Err: err}
	}
	return stdout.Bytes(), nil
}

func keyBits(r Request) int {
	if r.KeyBits == 0 {
		return 2048
	}
	return r.KeyBits
}

// deviceKey makes a key, or reads the one that is there: a client that is started
// again in its directory goes on with its key.
func deviceKey(path string, bits int) (crypto.Signer, error) {
	if key, err := readKey(path); !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	return writeKey(path, bits)
}

func writeKey(path string, bits int) (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("generate a device key: %w", err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, fmt.Errorf("write a device key: %w", err)
	}
	return key, nil
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what the client wrote: %w", err)
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", filepath.Base(path), err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", filepath.Base(path))
	}
	return out, nil
}

// ReadIdentity reads the key and the certificate in a client's directory, and checks
// that they belong together.
func ReadIdentity(dir string) (*Identity, error) {
	key, err := readKey(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	return identity(dir, key)
}

// readKey reads a key in either of the usual encodings (PKCS #1 and #8).
func readKey(path string) (crypto.Signer, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a device key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", filepath.Base(path))
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", filepath.Base(path), err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T", filepath.Base(path), parsed)
	}
	return key, nil
}

// identity reads the certificate that a client wrote and checks that it is for key.
func identity(dir string, key crypto.Signer) (*Identity, error) {
	certificates, err := readCertificates(filepath.Join(dir, certFile))
	if err != nil {
		return nil, err
	}
	public, ok := certificates[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return nil, errors.New("the certificate is for another key")
	}
	return &Identity{Key: key, Certificate: certificates[0], Dir: dir}, nil
}

// copyIdentity puts the key and the certificate of old into another directory, for
// clients that renew where they enrolled.
func copyIdentity(dir string, old *Identity) error {
	for _, name := range []string{keyFile, certFile} {
		raw, err := os.ReadFile(filepath.Join(old.Dir, name))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// Names of the files in a client's directory.
const (
	keyFile  = "key.pem"
	certFile = "cert.pem"
)
