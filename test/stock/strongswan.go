package stock

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// StrongSwan is strongSwan's "pki --scep".
type StrongSwan struct {
	Run Runner
	// Options are added to its command line.
	Options []string
	// CA is a directory into which GetCACert was fetched earlier (FetchCA); empty has
	// each enrolment fetch it anew.
	CA string
}

// Name implements Client.
func (*StrongSwan) Name() string { return "strongSwan" }

// FetchCA fetches GetCACert's answer into a directory, for enrolments to come.
func (s *StrongSwan) FetchCA(ctx context.Context, dir, url string) error {
	_, err := output(s.Run(ctx, "pki", "--scepca", "--url", url,
		"--caout", filepath.Join(dir, "ca.pem"), "--raout", filepath.Join(dir, "ra.pem"),
		"--outform", "pem", "--force"), s.Name())
	return err
}

// Enrol implements Client.
func (s *StrongSwan) Enrol(ctx context.Context, dir string, r Request) (*Identity, error) {
	return s.enrol(ctx, dir, r)
}

// Renew implements Client: strongSwan makes a RenewalReq for a new key.
func (s *StrongSwan) Renew(ctx context.Context, dir string, old *Identity, r Request) (*Identity, error) {
	return s.enrol(ctx, dir, r,
		"--cert", filepath.Join(old.Dir, certFile), "--key", filepath.Join(old.Dir, keyFile))
}

func (s *StrongSwan) enrol(ctx context.Context, dir string, r Request, extra ...string) (*Identity, error) {
	ca, err := s.caCertificates(ctx, dir, r.URL)
	if err != nil {
		return nil, err
	}
	key, err := deviceKey(filepath.Join(dir, keyFile), keyBits(r))
	if err != nil {
		return nil, err
	}
	args := slices.Concat(s.requestArgs(dir, r), ca, extra, s.Options)
	certificate, err := output(s.Run(ctx, "pki", args...), s.Name())
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, certFile), certificate, 0o600); err != nil {
		return nil, fmt.Errorf("keep the certificate: %w", err)
	}
	return identity(dir, key)
}

func (s *StrongSwan) requestArgs(dir string, r Request) []string {
	interval := max(1, int(r.PollInterval/time.Second))
	args := []string{
		"--scep", "--url", r.URL, "--in", filepath.Join(dir, keyFile),
		"--dn", distinguishedName(r), "--outform", "pem",
		"--interval", strconv.Itoa(interval), "--maxpolltime", "300",
	}
	for _, name := range r.DNSNames {
		args = append(args, "--san", name)
	}
	if r.Challenge != "" {
		args = append(args, "--password", r.Challenge)
	}
	return args
}

func distinguishedName(r Request) string {
	parts := []string{}
	if r.Organization != "" {
		parts = append(parts, "O="+r.Organization)
	}
	return strings.Join(append(parts, "CN="+r.CommonName), ", ")
}

// caCertificates takes GetCACert's answer from files, as strongSwan makes them
// ("ca.pem", "ra.pem", "ra-1.pem" ...), and tells by key usage which is for what.
func (s *StrongSwan) caCertificates(ctx context.Context, dir, url string) ([]string, error) {
	if s.CA != "" {
		dir = s.CA
	} else if err := s.FetchCA(ctx, dir, url); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "[cr]a*.pem"))
	if err != nil {
		return nil, fmt.Errorf("list the CA's certificates: %w", err)
	}
	return caArgs(files)
}

func caArgs(files []string) ([]string, error) {
	var args []string
	var sign, encrypt bool
	for _, file := range files {
		certificates, err := readCertificates(file)
		if err != nil {
			return nil, err
		}
		c := certificates[0]
		if c.IsCA {
			args = append(args, "--cacert", file)
			continue
		}
		if c.KeyUsage&x509.KeyUsageDigitalSignature != 0 && !sign {
			args, sign = append(args, "--cacert-sig", file), true
		}
		if c.KeyUsage&x509.KeyUsageKeyEncipherment != 0 && !encrypt {
			args, encrypt = append(args, "--cacert-enc", file), true
		}
	}
	if !sign || !encrypt {
		return nil, errors.New("GetCACert shows no RA certificate for signing, or none for encryption")
	}
	return args, nil
}
