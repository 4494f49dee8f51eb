package raconfig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newCertificate(t *testing.T, name string, notAfter time.Time) Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: notAfter.Add(-time.Hour), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Certificate{Role: v1alpha1.RoleSigning, Certificate: c, Key: key}
}

// pairKeyring is a keyring of one generation with a signing certificate, which
// has a chain behind it, and an encryption certificate that ends earlier.
func pairKeyring(t *testing.T) *Keyring {
	t.Helper()
	end := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	signing, encryption := newCertificate(t, "sign", end), newCertificate(t, "encrypt", end.Add(-time.Minute))
	encryption.Role = v1alpha1.RoleEncryption
	signing.Chain = []*x509.Certificate{newCertificate(t, "ca", end).Certificate}
	return &Keyring{Generations: []Generation{{
		ID:           GenerationID(signing.Certificate, encryption.Certificate),
		AddedAt:      end.Add(-30 * time.Minute),
		Certificates: []Certificate{signing, encryption},
	}}}
}

func mustEncode(t *testing.T, k *Keyring) map[string][]byte {
	t.Helper()
	files, err := EncodeKeyring(k)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestKeyringRoundTrip(t *testing.T) {
	want := pairKeyring(t)
	got, err := DecodeKeyring(mustEncode(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.IDs(), want.IDs()) {
		t.Fatalf("generations %v, want %v", got.IDs(), want.IDs())
	}
	g, w := got.Generations[0], want.Generations[0]
	if !g.AddedAt.Equal(w.AddedAt) || !g.NotAfter().Equal(w.Certificates[1].Certificate.NotAfter) {
		t.Errorf("added %v, ends %v; want %v, %v", g.AddedAt, g.NotAfter(), w.AddedAt, w.Certificates[1].Certificate.NotAfter)
	}
	signing := g.ByRole(v1alpha1.RoleSigning)
	if signing == nil || !signing.Certificate.Equal(w.Certificates[0].Certificate) || len(signing.Chain) != 1 {
		t.Error("the signing certificate or its chain was lost")
	}
	if got.Find(g.ID) == nil || got.Find("other") != nil {
		t.Error("Find does not tell generations apart")
	}
}

func TestByRole(t *testing.T) {
	cases := map[string]struct {
		have v1alpha1.CredentialRole
		want map[v1alpha1.CredentialRole]bool
	}{
		"Combined serves for both": {v1alpha1.RoleCombined, map[v1alpha1.CredentialRole]bool{v1alpha1.RoleSigning: true, v1alpha1.RoleEncryption: true, v1alpha1.RoleClient: false}},
		"Signing only signs":       {v1alpha1.RoleSigning, map[v1alpha1.CredentialRole]bool{v1alpha1.RoleSigning: true, v1alpha1.RoleEncryption: false}},
		"Client only identifies":   {v1alpha1.RoleClient, map[v1alpha1.CredentialRole]bool{v1alpha1.RoleClient: true, v1alpha1.RoleSigning: false}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := Generation{Certificates: []Certificate{{Role: tc.have}}}
			for role, want := range tc.want {
				if got := g.ByRole(role) != nil; got != want {
					t.Errorf("%s: got %v, want %v", role, got, want)
				}
			}
		})
	}
}

func TestGenerationIDIgnoresOrder(t *testing.T) {
	end := time.Now().Add(time.Hour)
	a, b := newCertificate(t, "a", end).Certificate, newCertificate(t, "b", end).Certificate
	if GenerationID(a, b) != GenerationID(b, a) {
		t.Error("the order of the certificates changed the ID")
	}
	if GenerationID(a, b) == GenerationID(a) {
		t.Error("different certificates have the same ID")
	}
}

func TestDecodeKeyringRefuses(t *testing.T) {
	k := pairKeyring(t)
	print := Fingerprint(k.Generations[0].Certificates[0].Certificate)
	otherKey := mustEncode(t, pairKeyring(t))
	foreign := firstWithSuffix(otherKey, ".key")
	cases := map[string]struct {
		change func(files map[string][]byte)
		want   string
	}{
		"no index":            {func(f map[string][]byte) { delete(f, KeyringIndexFile) }, "is missing"},
		"a torn index":        {func(f map[string][]byte) { f[KeyringIndexFile] = f[KeyringIndexFile][:20] }, KeyringIndexFile},
		"another version":     {func(f map[string][]byte) { f[KeyringIndexFile] = []byte(`{"version":"v9"}`) }, `version "v9"`},
		"an empty generation": {func(f map[string][]byte) { f[KeyringIndexFile] = []byte(`{"version":"v1","generations":[{"id":"x"}]}`) }, "no certificates"},
		"no certificate":      {func(f map[string][]byte) { delete(f, print+".crt") }, "holds no certificate"},
		"another certificate": {func(f map[string][]byte) { f[print+".crt"] = firstWithSuffix(otherKey, ".crt") }, "another certificate"},
		"no key":              {func(f map[string][]byte) { delete(f, print+".key") }, "no PEM block"},
		"a key of another":    {func(f map[string][]byte) { f[print+".key"] = foreign }, "not the certificate's key"},
		"something not a key": {func(f map[string][]byte) { f[print+".key"] = f[print+".crt"] }, "no private key"},
		"a damaged certificate": {func(f map[string][]byte) {
			f[print+".crt"] = []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
		}, "holds no certificate"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(mustEncode(t, k))
			tc.change(files)
			_, err := DecodeKeyring(files)
			if !errors.Is(err, ErrKeyring) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrKeyring with %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE") {
				t.Error("the error carries key material")
			}
		})
	}
}

func firstWithSuffix(files map[string][]byte, suffix string) []byte {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, suffix) {
			return files[name]
		}
	}
	return nil
}

func TestParsePrivateKeyForms(t *testing.T) {
	key := newKey(t)
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for block, der := range map[string][]byte{"EC PRIVATE KEY": sec1, "PRIVATE KEY": pkcs8} {
		t.Run(block, func(t *testing.T) {
			got, err := ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}))
			if err != nil {
				t.Fatal(err)
			}
			if !got.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
				t.Error("another key came back")
			}
		})
	}
}

func TestReplicaStatusHolds(t *testing.T) {
	s := &ReplicaStatus{HeldGenerations: []string{"b", "a"}}
	if !s.Holds("a") || s.Holds("c") {
		t.Error("Holds does not tell generations apart")
	}
}
