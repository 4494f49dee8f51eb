package cms_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// Every string of a message may come in pieces, and every length may be
// indefinite.
func TestReadsPieces(t *testing.T) {
	t.Parallel()
	content := []byte("what is inside")
	for _, piece := range []int{1, 2, 7, 1000} {
		if r, ok := ours(sceptest.Indefinite(mustSign(t, content), piece)); !ok || !r.sound || !bytes.Equal(r.content, content) {
			t.Errorf("signed, pieces of %d: %v, %v", piece, r, ok)
		}
		for c := cms.AES128CBC; c <= cms.AES256GCM; c++ {
			der, err := cms.Encrypt(content, sceptest.FixedDevice(t), c, cms.OAEPSHA256)
			if err != nil {
				t.Fatal(err)
			}
			if got := openedByUs(t, sceptest.Indefinite(der, piece)); !bytes.Equal(got, content) {
				t.Errorf("%v, pieces of %d: %q", c, piece, got)
			}
		}
		mustOpenPassword(t, piece, content)
	}
}

func mustOpenPassword(t *testing.T, piece int, content []byte) {
	t.Helper()
	der, err := cms.EncryptToPassword(content, []byte("challenge"), cms.AES256GCM)
	if err != nil {
		t.Fatal(err)
	}
	if der, err = cms.Normalize(sceptest.Indefinite(der, piece), nesting); err != nil {
		t.Fatal(err)
	}
	e, err := cms.ParseEnvelopedData(der)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.DecryptWithPassword(e.PasswordRecipients[0], []byte("challenge"))
	if err != nil || !got.Sound || !bytes.Equal(got.Bytes, content) {
		t.Errorf("password, pieces of %d: %q, %v", piece, got.Bytes, err)
	}
}

// Versions say what is to be expected of a message; what is in it counts.
func TestIgnoresVersions(t *testing.T) {
	t.Parallel()
	version := []byte{0x02, 0x01}
	signed := mustSign(t, []byte("content"))
	enveloped, err := cms.Encrypt([]byte("content"), sceptest.FixedDevice(t), cms.AES128CBC, cms.PKCS1v15)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []byte{0, 2, 5, 0x7f, 0xff} {
		changed := slices.Clone(signed)
		changed[bytes.Index(changed, version)+2] = v
		if r, ok := ours(changed); !ok || !r.sound {
			t.Errorf("SignedData of version %d: %v, %v", v, r, ok)
		}
		changed = slices.Clone(enveloped)
		at := bytes.Index(changed, version)
		changed[at+2] = v
		changed[at+bytes.Index(changed[at+2:], version)+4] = v // the recipient's
		if got := openedByUs(t, changed); string(got) != "content" {
			t.Errorf("EnvelopedData of version %d: %q", v, got)
		}
	}
}
