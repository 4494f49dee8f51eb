package ratest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// minSecret is how long a word has to be to be looked for, in bytes.
const minSecret = 8

// notSecret are the files of a challenge that hold none.
var notSecret = []string{"username", "ca.crt", "tls.crt"}

// wantNoSecrets looks in a log for all passwords and keys in the files that a server
// was given.
func (f *Files) wantNoSecrets(t testing.TB, log string) {
	t.Helper()
	for _, secret := range f.secrets(t) {
		WantNotIn(t, log, secret)
	}
}

// WantNotIn looks in a log for a secret, as it is and in the usual encodings.
func WantNotIn(t testing.TB, log, secret string) {
	t.Helper()
	for name, form := range map[string]string{
		"as it is":         secret,
		"in hexadecimal":   hex.EncodeToString([]byte(secret)),
		"in HEXADECIMAL":   strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"in base64":        base64.RawStdEncoding.EncodeToString([]byte(secret)),
		"in base64 of URL": base64.RawURLEncoding.EncodeToString([]byte(secret)),
	} {
		if i := strings.Index(log, form); i >= 0 {
			t.Errorf("a secret is in the log %s: …%s", name, log[max(0, i-200):min(len(log), i+len(form)+20)])
		}
	}
}

// secrets are the contents of all files but certificates: lines, and of keys the DER.
func (f *Files) secrets(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{f.Dirs.Challenges, f.Dirs.State, f.Dirs.Keyring, f.Dirs.AdminBasic, f.Dirs.AdminTLS, f.Dirs.TLS} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !holdsSecret(entry.Name()) {
				return nil //nolint:nilerr // a directory that is not there holds no secrets
			}
			content, err := os.ReadFile(path)
			if err == nil {
				out = append(out, words(content)...)
			}
			return err
		})
		must(t, err)
	}
	return out
}

func holdsSecret(name string) bool {
	for _, other := range notSecret {
		if strings.HasSuffix(name, other) {
			return false
		}
	}
	return true
}

// words are the lines of a file, or the keys where it is PEM; certificates are no secret.
func words(content []byte) []string {
	var out []string
	if block, rest := pem.Decode(content); block != nil {
		for ; block != nil; block, rest = pem.Decode(rest) {
			if strings.Contains(block.Type, "PRIVATE KEY") {
				out = append(out, string(block.Bytes))
			}
		}
		return out
	}
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
		return nil // an index
	}
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimRight(line, "\r\n"); len(line) >= minSecret {
			out = append(out, line)
		}
	}
	return out
}
