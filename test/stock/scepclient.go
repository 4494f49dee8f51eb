package stock

import (
	"cmp"
	"context"
	"crypto"
	"path/filepath"
)

// ScepClient is micromdm's scepclient.
type ScepClient struct {
	Run Runner
	// Program is which one; empty for Debian's.
	Program string
	// Options are added to its command line.
	Options []string
}

// Name implements Client.
func (*ScepClient) Name() string { return "scepclient" }

// Enrol implements Client.
func (s *ScepClient) Enrol(ctx context.Context, dir string, r Request) (*Identity, error) {
	key, err := deviceKey(filepath.Join(dir, keyFile), keyBits(r))
	if err != nil {
		return nil, err
	}
	return s.enrol(ctx, dir, key, r)
}

// Renew implements Client: with a certificate beside the key, scepclient makes a
// RenewalReq for the same key.
func (s *ScepClient) Renew(ctx context.Context, dir string, old *Identity, r Request) (*Identity, error) {
	if err := copyIdentity(dir, old); err != nil {
		return nil, err
	}
	return s.enrol(ctx, dir, old.Key, r)
}

// enrol runs scepclient, which leaves its self-signed certificate and its request
// beside the key. Empty country and unit keep its own defaults out of the subject.
func (s *ScepClient) enrol(ctx context.Context, dir string, key crypto.Signer, r Request) (*Identity, error) {
	args := append([]string{
		"-server-url", r.URL, "-cn", r.CommonName, "-organization", r.Organization,
		"-country", "", "-ou", "", "-challenge", r.Challenge,
		"-private-key", filepath.Join(dir, keyFile), "-certificate", filepath.Join(dir, certFile),
	}, s.Options...)
	cmd := s.Run(ctx, cmp.Or(s.Program, "scepclient"), args...)
	if _, err := output(cmd, s.Name()); err != nil {
		return nil, err
	}
	return identity(dir, key)
}
