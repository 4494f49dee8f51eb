package racredential

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// brought is an RA's certificate with key and chain, as PEM.
type broughtPEM struct {
	leaf, key, issuer, root []byte
	certificate             *x509.Certificate
}

func bring(t *testing.T) broughtPEM {
	t.Helper()
	ca, key := sceptest.NewCA(t), sceptest.RSAKey(t, 3)
	c, err := ca.Issue(&x509.Certificate{NotBefore: now, NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return broughtPEM{
		leaf: block("CERTIFICATE", c.Raw), key: block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
		issuer: block("CERTIFICATE", ca.Certificate.Raw), root: block("CERTIFICATE", ca.Root.Raw), certificate: c,
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestPEMInAnyOrder(t *testing.T) {
	b := bring(t)
	stranger := block("CERTIFICATE", sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 4)).Raw)
	for name, data := range map[string]map[string][]byte{
		"as cert-manager writes":      {"tls.crt": slices.Concat(b.leaf, b.issuer), "tls.key": b.key, "ca.crt": b.root},
		"all in tls.crt":              {"tls.crt": slices.Concat(b.leaf, b.issuer, b.root), "tls.key": b.key},
		"the root first":              {"tls.crt": slices.Concat(b.root, b.issuer, b.leaf), "tls.key": b.key},
		"text between":                {"tls.crt": slices.Concat([]byte("Bag Attributes\n"), b.issuer, []byte("subject=x\n"), b.leaf), "tls.key": b.key, "ca.crt": b.root},
		"everything in every file":    {"tls.crt": slices.Concat(b.key, b.root, b.issuer, b.leaf), "tls.key": slices.Concat(b.leaf, b.key), "ca.crt": slices.Concat(b.issuer, b.root)},
		"twice, and a stranger as CA": {"tls.crt": slices.Concat(b.leaf, b.leaf, b.issuer, b.issuer), "tls.key": b.key, "ca.crt": slices.Concat(stranger, b.root)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseExternal(v1alpha1.RoleSigning, data)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Certificate.Equal(b.certificate) || len(got.Chain) != 2 || !bytes.Equal(block("CERTIFICATE", got.Chain[1].Raw), b.root) {
				t.Errorf("certificate %s, chain of %d", got.Certificate.Subject, len(got.Chain))
			}
		})
	}
}

func TestSecretsThatAreNoCertificateWithKey(t *testing.T) {
	b := bring(t)
	for name, tc := range map[string]struct {
		data map[string][]byte
		says string // "" for: not there yet
	}{
		"empty":         {nil, ""},
		"without a key": {map[string][]byte{"tls.crt": b.leaf}, ""},
		"without":       {map[string][]byte{"tls.key": b.key}, ""},
		"junk":          {map[string][]byte{"tls.crt": []byte("junk"), "tls.key": b.key}, "tls.crt holds no certificate"},
		"cut off":       {map[string][]byte{"tls.crt": block("CERTIFICATE", b.certificate.Raw[:99]), "tls.key": b.key}, "tls.crt: parse certificate"},
		"a key of junk": {map[string][]byte{"tls.crt": b.leaf, "tls.key": []byte("junk")}, "tls.key: no PEM block"},
		"a certificate": {map[string][]byte{"tls.crt": b.leaf, "tls.key": b.leaf}, `tls.key: PEM block "CERTIFICATE" is no private key`},
		"a passphrase":  {map[string][]byte{"tls.crt": b.leaf, "tls.key": block("ENCRYPTED PRIVATE KEY", []byte{1})}, "store it without a passphrase"},
		"a CA of junk":  {map[string][]byte{"tls.crt": b.leaf, "tls.key": b.key, "ca.crt": block("CERTIFICATE", []byte{1})}, "ca.crt: parse certificate"},
		"a keyring":     {map[string][]byte{"keyring.json": []byte("{}")}, errIsKeyring.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseExternal(v1alpha1.RoleSigning, tc.data)
			if got != nil || (err == nil) != (tc.says == "") {
				t.Fatalf("got %v, error %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %q", err)
			}
		})
	}
}

func TestKeyringsOfAnotherCluster(t *testing.T) {
	certificate, err := parseExternal(v1alpha1.RoleCombined, func() map[string][]byte {
		b := bring(t)
		return map[string][]byte{"tls.crt": slices.Concat(b.leaf, b.issuer), "tls.key": b.key}
	}())
	if err != nil {
		t.Fatal(err)
	}
	encode := func(roles ...v1alpha1.CredentialRole) map[string][]byte {
		k := &raconfig.Keyring{}
		for _, role := range roles {
			c := *certificate
			c.Role = role
			k.Generations = append(k.Generations, raconfig.Generation{ID: string(role), Certificates: []raconfig.Certificate{c}})
		}
		data, err := raconfig.EncodeKeyring(k)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, tc := range map[string]struct {
		secret string
		data   map[string][]byte
		want   error
	}{
		"a keyring":          {"theirs", encode(v1alpha1.RoleCombined, v1alpha1.RoleCombined), nil},
		"no keyring":         {"theirs", map[string][]byte{"tls.crt": nil}, errNoKeyring},
		"a damaged keyring":  {"theirs", map[string][]byte{"keyring.json": []byte("{")}, raconfig.ErrKeyring},
		"an empty keyring":   {"theirs", encode(), errNoneUsable},
		"of another purpose": {"theirs", encode(v1alpha1.RoleClient), errRolesDiffer},
		"its own":            {"corp-keyring", encode(v1alpha1.RoleCombined), errOwnKeyring},
	} {
		t.Run(name, func(t *testing.T) {
			sources, imported := readForeignKeyring(credential(), source{name: tc.secret, external: true}, tc.data)
			if len(sources) != 1 || !errors.Is(sources[0].contentErr, tc.want) || sources[0].name != tc.secret {
				t.Fatalf("sources %+v", sources)
			}
			if tc.want == nil && (sources[0].role != v1alpha1.RoleCombined || len(imported) != 1) {
				t.Errorf("role %s, %d imported", sources[0].role, len(imported))
			}
		})
	}
}
