package pkifacts_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var now = time.Date(2031, 3, 4, 5, 6, 7, 0, time.UTC)

func TestCheckValidity(t *testing.T) {
	c := &x509.Certificate{NotBefore: now, NotAfter: now.Add(time.Hour)}
	for name, tc := range map[string]struct {
		at   time.Time
		want error
	}{
		"before":        {now.Add(-time.Second), pkifacts.ErrNotYetValid},
		"at the start":  {now, nil},
		"at the end":    {now.Add(time.Hour), nil},
		"after the end": {now.Add(time.Hour + time.Second), pkifacts.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			if err := pkifacts.CheckValidity(c, tc.at); !errors.Is(err, tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheckKeyMatch(t *testing.T) {
	key, other := sceptest.RSAKey(t, 1), sceptest.RSAKey(t, 2)
	c := &x509.Certificate{PublicKey: key.Public()}
	for name, tc := range map[string]struct {
		key  crypto.Signer
		want error
	}{
		"its own":      {key, nil},
		"another":      {other, pkifacts.ErrKeyMismatch},
		"another kind": {ecKey(t), pkifacts.ErrKeyMismatch},
		"none":         {nil, pkifacts.ErrKeyMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			if err := pkifacts.CheckKeyMatch(c, tc.key); !errors.Is(err, tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheckEndEntity(t *testing.T) {
	for name, tc := range map[string]struct {
		c    *x509.Certificate
		want error
	}{
		"end entity":       {&x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature}, nil},
		"CA":               {&x509.Certificate{IsCA: true}, pkifacts.ErrCA},
		"certificate sign": {&x509.Certificate{KeyUsage: x509.KeyUsageCertSign}, pkifacts.ErrCA},
		"CRL sign":         {&x509.Certificate{KeyUsage: x509.KeyUsageCRLSign}, pkifacts.ErrCA},
	} {
		t.Run(name, func(t *testing.T) {
			if err := pkifacts.CheckEndEntity(tc.c); !errors.Is(err, tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheckAlgorithm(t *testing.T) {
	small := &x509.Certificate{PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 3}}
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaCertificate := &x509.Certificate{PublicKey: sceptest.RSAKey(t, 2).Public()}
	ecCertificate := &x509.Certificate{PublicKey: ecKey(t).Public(), PublicKeyAlgorithm: x509.ECDSA}
	for name, tc := range map[string]struct {
		c    *x509.Certificate
		role v1alpha1.CredentialRole
		want string
	}{
		"RSA signs":           {rsaCertificate, v1alpha1.RoleSigning, ""},
		"RSA encrypts":        {rsaCertificate, v1alpha1.RoleEncryption, ""},
		"RSA for a client":    {rsaCertificate, v1alpha1.RoleClient, ""},
		"EC for a client":     {ecCertificate, v1alpha1.RoleClient, ""},
		"EC cannot encrypt":   {ecCertificate, v1alpha1.RoleEncryption, "the key is ECDSA, and role Encryption needs RSA"},
		"EC is not for SCEP":  {ecCertificate, v1alpha1.RoleCombined, "the key is ECDSA, and role Combined needs RSA"},
		"RSA is too small":    {small, v1alpha1.RoleSigning, "the RSA key has 1024 bits, fewer than 2048"},
		"Ed25519 for nothing": {&x509.Certificate{PublicKey: edPublic, PublicKeyAlgorithm: x509.Ed25519}, v1alpha1.RoleClient, "the key is Ed25519, and role Client needs RSA"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := text(pkifacts.CheckAlgorithm(tc.c, tc.role)); got != tc.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestCheckUsages(t *testing.T) {
	const (
		signature    = x509.KeyUsageDigitalSignature
		encipherment = x509.KeyUsageKeyEncipherment
	)
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for name, tc := range map[string]struct {
		role     v1alpha1.CredentialRole
		usage    x509.KeyUsage
		extended []x509.ExtKeyUsage
		want     string
	}{
		"signing":                 {v1alpha1.RoleSigning, signature, nil, ""},
		"signing, non-repudiable": {v1alpha1.RoleSigning, signature | x509.KeyUsageContentCommitment, nil, ""},
		"signing and more":        {v1alpha1.RoleSigning, signature | encipherment, nil, "its usages are digital signature, key encipherment, and role Signing needs exactly digital signature"},
		"signing without":         {v1alpha1.RoleSigning, 0, nil, "its usages are none, and role Signing needs exactly digital signature"},
		"encryption":              {v1alpha1.RoleEncryption, encipherment, nil, ""},
		"encryption, data too":    {v1alpha1.RoleEncryption, encipherment | x509.KeyUsageDataEncipherment, nil, ""},
		"encryption that signs":   {v1alpha1.RoleEncryption, encipherment | signature, nil, "its usages are digital signature, key encipherment, and role Encryption needs exactly key encipherment"},
		"combined":                {v1alpha1.RoleCombined, signature | encipherment, nil, ""},
		"combined, one half":      {v1alpha1.RoleCombined, signature, nil, "its usages are digital signature, and role Combined needs exactly digital signature, key encipherment"},
		"client":                  {v1alpha1.RoleClient, signature, client, ""},
		"client and server":       {v1alpha1.RoleClient, signature | encipherment, append(client, x509.ExtKeyUsageServerAuth), ""},
		"client without the EKU": {
			v1alpha1.RoleClient, signature,
			[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			"its usages are digital signature, server auth, and role Client needs exactly digital signature, client auth",
		},
		"signing, for clients": {
			v1alpha1.RoleSigning, signature, client,
			"its usages are digital signature, client auth, and an extended key usage that is not for registration authorities keeps role Signing from using it: it needs exactly digital signature",
		},
		"signing, for anything": {v1alpha1.RoleSigning, signature, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, ""},
		"unknown role":          {"Janitor", signature, nil, `role "Janitor" is not known`},
	} {
		t.Run(name, func(t *testing.T) {
			c := &x509.Certificate{KeyUsage: tc.usage, ExtKeyUsage: tc.extended}
			if got := text(pkifacts.CheckUsages(c, tc.role)); got != tc.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestPurposesOfARegistrationAuthority(t *testing.T) {
	for name, tc := range map[string]struct {
		oid  asn1.ObjectIdentifier
		want bool
	}{
		"Certificate Request Agent": {asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 1}, true},
		"id-kp-cmcRA":               {asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 28}, true},
		"smart-card logon":          {asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := &x509.Certificate{KeyUsage: x509.KeyUsageKeyEncipherment, UnknownExtKeyUsage: []asn1.ObjectIdentifier{tc.oid}}
			if err := pkifacts.CheckUsages(c, v1alpha1.RoleEncryption); (err == nil) != tc.want {
				t.Errorf("error: %v", err)
			}
		})
	}
}

func TestUsageNamesNameWhatIsNotKnown(t *testing.T) {
	got := pkifacts.UsageNames(&x509.Certificate{
		KeyUsage:           x509.KeyUsageCRLSign,
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageMicrosoftKernelCodeSigning},
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}},
	})
	want := []string{"crl sign", "extended key usage 13", "1.3.6.1.4.1.311.20.2.2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOrderChain(t *testing.T) {
	ca := sceptest.NewCA(t)
	leaf, err := ca.Issue(&x509.Certificate{}, sceptest.RSAKey(t, 1).Public())
	if err != nil {
		t.Fatal(err)
	}
	stranger := sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 2))
	for name, tc := range map[string]struct {
		candidates, want []*x509.Certificate
	}{
		"in order":         {ca.Chain(), ca.Chain()},
		"out of order":     {[]*x509.Certificate{ca.Root, leaf, ca.Certificate}, ca.Chain()},
		"twice":            {append(ca.Chain(), ca.Chain()...), ca.Chain()},
		"with a stranger":  {append([]*x509.Certificate{stranger}, ca.Chain()...), ca.Chain()},
		"without the root": {[]*x509.Certificate{ca.Certificate}, []*x509.Certificate{ca.Certificate}},
		"without a link":   {[]*x509.Certificate{ca.Root}, nil},
		"nothing":          {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := pkifacts.OrderChain(leaf, tc.candidates)
			if !slices.EqualFunc(got, tc.want, (*x509.Certificate).Equal) {
				t.Errorf("chain of %d certificates instead of %d", len(got), len(tc.want))
			}
		})
	}
	if got := pkifacts.OrderChain(stranger, []*x509.Certificate{stranger}); len(got) != 0 {
		t.Error("a self-signed certificate is behind itself")
	}
}

func TestOrderChainEndsAtTheFirstRoot(t *testing.T) {
	// Two chains of the same names and keys, as a renewal of the CA makes them.
	a, b := sceptest.NewCA(t), sceptest.NewCA(t)
	leaf, err := a.Issue(&x509.Certificate{}, sceptest.RSAKey(t, 1).Public())
	if err != nil {
		t.Fatal(err)
	}
	got := pkifacts.OrderChain(leaf, append(a.Chain(), b.Chain()...))
	if !slices.EqualFunc(got, a.Chain(), (*x509.Certificate).Equal) {
		t.Errorf("chain of %d certificates", len(got))
	}
}

func TestErrorsHoldNoKey(t *testing.T) {
	key := sceptest.RSAKey(t, 1)
	c := &x509.Certificate{PublicKey: key.Public(), PublicKeyAlgorithm: x509.RSA}
	for _, err := range []error{
		pkifacts.CheckKeyMatch(c, sceptest.RSAKey(t, 2)),
		pkifacts.CheckUsages(c, v1alpha1.RoleSigning),
	} {
		if strings.Contains(err.Error(), key.D.String()) || strings.Contains(err.Error(), key.N.String()) {
			t.Errorf("an error carries the key")
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
