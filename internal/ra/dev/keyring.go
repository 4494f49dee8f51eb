package dev

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const (
	raValidity = 365 * 24 * time.Hour
	// renewBefore is how long before its end a generation gets a successor, at a start.
	renewBefore = 30 * 24 * time.Hour
)

// raRoles are the certificates of a generation: the pair that NDES has too.
var raRoles = []struct {
	role  v1alpha1.CredentialRole
	name  string
	usage x509.KeyUsage
}{
	{v1alpha1.RoleSigning, "Scepter development RA signing", x509.KeyUsageDigitalSignature},
	{v1alpha1.RoleEncryption, "Scepter development RA encryption", x509.KeyUsageKeyEncipherment},
}

// openKeyring reads the keyring, whose first generation is the one to use. It adds
// a generation where there is none, or the newest ends soon; earlier ones stay as
// long as they are valid, for devices that know no other yet.
func openKeyring(dir string, ca *authority, now time.Time) (*raconfig.Keyring, error) {
	keyring, err := readKeyring(dir)
	if err == nil {
		err = checkKeyring(keyring, ca)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", dir, err, ErrUnusable)
	}
	if len(keyring.Generations) > 0 && now.Add(renewBefore).Before(keyring.Generations[0].NotAfter()) {
		return keyring, nil
	}
	return addGeneration(dir, keyring, ca, now)
}

// addGeneration writes the new files before the index that names them, and removes
// those of generations that have ended after it.
func addGeneration(dir string, before *raconfig.Keyring, ca *authority, now time.Time) (*raconfig.Keyring, error) {
	next, err := newGeneration(ca, now)
	if err != nil {
		return nil, err
	}
	ended := func(g raconfig.Generation) bool { return now.After(g.NotAfter()) }
	kept := slices.DeleteFunc(slices.Clone(before.Generations), ended)
	after := &raconfig.Keyring{Generations: append([]raconfig.Generation{*next}, kept[:min(len(kept), raconfig.MaxGenerations-1)]...)}
	previous, err := raconfig.EncodeKeyring(before)
	if err != nil {
		return nil, fmt.Errorf("RA credentials so far: %w", err)
	}
	files, err := raconfig.EncodeKeyring(after)
	if err != nil {
		return nil, fmt.Errorf("RA credentials: %w", err)
	}
	if err := writeKeyring(dir, files); err != nil {
		return nil, err
	}
	return after, removeRetired(dir, previous, files)
}

// readKeyring reads a directory; where there is no index, the keyring is empty.
func readKeyring(dir string) (*raconfig.Keyring, error) {
	index, err := readIfThere(filepath.Join(dir, raconfig.KeyringIndexFile))
	if err != nil || index == nil {
		return &raconfig.Keyring{}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
	}
	return raconfig.DecodeKeyring(files)
}

var (
	errOtherCA = errors.New("it holds RA certificates of another CA than " + CAFile)
	errRoles   = errors.New("it lacks the signing or the encryption certificate")
)

func checkKeyring(k *raconfig.Keyring, ca *authority) error {
	for i := range k.Generations {
		g := &k.Generations[i]
		if g.ByRole(v1alpha1.RoleSigning) == nil || g.ByRole(v1alpha1.RoleEncryption) == nil {
			return errRoles
		}
		for _, c := range g.Certificates {
			if err := c.Certificate.CheckSignatureFrom(ca.certificate); err != nil {
				return fmt.Errorf("%w: %w", errOtherCA, err)
			}
		}
	}
	return nil
}

func newGeneration(ca *authority, now time.Time) (*raconfig.Generation, error) {
	g := &raconfig.Generation{AddedAt: now}
	var made []*x509.Certificate
	for _, r := range raRoles {
		key, err := rsa.GenerateKey(rand.Reader, keySize)
		if err != nil {
			return nil, fmt.Errorf("make an RA credential: %w", err)
		}
		certificate, err := ca.sign(&x509.Certificate{
			Subject:               pkix.Name{CommonName: r.name},
			NotBefore:             latest(now.Add(-backdate), ca.certificate.NotBefore),
			NotAfter:              earliest(now.Add(raValidity), ca.certificate.NotAfter),
			BasicConstraintsValid: true,
			KeyUsage:              r.usage,
		}, key.Public())
		if err != nil {
			return nil, fmt.Errorf("make an RA credential: %w", err)
		}
		made = append(made, certificate)
		g.Certificates = append(g.Certificates, raconfig.Certificate{
			Role: r.role, Certificate: certificate, Chain: []*x509.Certificate{ca.certificate}, Key: key,
		})
	}
	g.ID = raconfig.GenerationID(made...)
	return g, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// writeKeyring writes the index last.
func writeKeyring(dir string, files map[string][]byte) error {
	names := slices.DeleteFunc(slices.Collect(maps.Keys(files)), func(name string) bool { return name == raconfig.KeyringIndexFile })
	for _, name := range append(names, raconfig.KeyringIndexFile) {
		if err := writeFile(filepath.Join(dir, name), files[name], privateMode); err != nil {
			return err
		}
	}
	return nil
}

func removeRetired(dir string, previous, files map[string][]byte) error {
	for name := range previous {
		if _, kept := files[name]; kept {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove an RA credential that has ended: %w", err)
		}
	}
	return nil
}
