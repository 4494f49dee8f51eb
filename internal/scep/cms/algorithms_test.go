package cms

import (
	"crypto"
	"encoding/asn1"
	"testing"
)

func TestAlgorithmNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		oid  asn1.ObjectIdentifier
		want string
	}{
		{DESCBC.OID(), "DES-CBC (1.3.14.3.2.7)"},
		{AES192GCM.OID(), "AES-192-GCM (2.16.840.1.101.3.4.1.26)"},
		{DigestOID(crypto.MD5), "MD5 (1.2.840.113549.2.5)"},
		{asn1.ObjectIdentifier{1, 2, 3}, "1.2.3"},
		{nil, ""},
	} {
		if got := AlgorithmName(test.oid); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	err := &UnsupportedAlgorithmError{Use: "digest", OID: DigestOID(crypto.MD5)}
	if want := "cms: unsupported digest algorithm MD5 (1.2.840.113549.2.5)"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// A value that is none of the table's has a name all the same, and no OID.
func TestUnknownAlgorithms(t *testing.T) {
	t.Parallel()
	for _, c := range []Cipher{-1, 0, 99} {
		if c.OID() != nil || c.String() == "" {
			t.Errorf("%v has OID %v", c, c.OID())
		}
		if _, err := Encrypt(nil, selfSigned(t, rsaKey(t)), c, PKCS1v15); err == nil {
			t.Errorf("encrypts with %v", c)
		}
		if _, err := EncryptToPassword(nil, []byte("password"), c); err == nil {
			t.Errorf("encrypts to a password with %v", c)
		}
	}
	if oid := DigestOID(crypto.SHA3_256); oid != nil {
		t.Errorf("SHA3-256 has OID %v", oid)
	}
}

// Each row can be told from all others by any of its OIDs.
func TestTablesAreUnambiguous(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	add := func(oid asn1.ObjectIdentifier, what string) {
		if oid == nil {
			return
		}
		if other, ok := seen[oid.String()]; ok {
			t.Errorf("%v is %s and %s", oid, other, what)
		}
		seen[oid.String()] = what
	}
	for _, s := range cipherSpecs {
		add(s.oid, s.name)
		if block, err := s.block(make([]byte, s.keySize)); err != nil || s.mode.authenticates && block.BlockSize() != 16 {
			t.Errorf("%s: %v", s.name, err)
		}
		if kek := s.keyEncryption(); kek.mode.authenticates || kek.keySize != s.keySize {
			t.Errorf("%s wraps keys with %s", s.name, kek.name)
		}
	}
	for _, d := range digests {
		if !d.hash.Available() {
			t.Errorf("%v is not linked in", d.hash)
		}
		for _, oid := range []asn1.ObjectIdentifier{d.oid, d.withRSA, d.withECDSA, d.hmac} {
			add(oid, d.hash.String())
		}
	}
}
