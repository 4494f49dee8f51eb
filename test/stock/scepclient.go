package stock

import (
	"context"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
)

// ScepClient is micromdm's scepclient.
type ScepClient struct {
	Run Runner
}

// Name implements Client.
func (*ScepClient) Name() string { return "scepclient" }

// Enrol implements Client.
func (s *ScepClient) Enrol(ctx context.Context, dir string, r Request) (*Identity, error) {
	key, err := writeKey(filepath.Join(dir, keyFile), keyBits(r))
	if err != nil {
		return nil, err
	}
	return s.enrol(ctx, dir, key, r)
}

// Renew implements Client: with a certificate beside the key, scepclient makes a
// RenewalReq for the same key.
func (s *ScepClient) Renew(ctx context.Context, dir string, old *Identity, r Request) (*Identity, error) {
	for _, name := range []string{keyFile, certFile} {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(old.Dir, name)); err != nil {
			return nil, err
		}
	}
	return s.enrol(ctx, dir, old.Key, r)
}

// enrol runs scepclient, which leaves its self-signed certificate and its request
// beside the key. Empty country and unit keep its own defaults out of the subject.
func (s *ScepClient) enrol(ctx context.Context, dir string, key *rsa.PrivateKey, r Request) (*Identity, error) {
	cmd := s.Run(ctx, "scepclient",
		"-server-url", r.URL, "-cn", r.CommonName, "-organization", r.Organization,
		"-country", "", "-ou", "", "-challenge", r.Challenge,
		"-private-key", filepath.Join(dir, keyFile), "-certificate", filepath.Join(dir, certFile))
	if _, err := output(cmd, s.Name()); err != nil {
		return nil, err
	}
	return identity(dir, key)
}

func copyFile(to, from string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(from), err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(to), err)
	}
	return nil
}
