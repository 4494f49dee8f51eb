package dev

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// start is when the first start of each test is.
var start = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

func options(dir string, now time.Time) Options {
	return Options{Dir: dir, Challenge: "secret", Template: DefaultTemplate(), Now: func() time.Time { return now }}
}

// visit opens a directory and gives it back.
func visit(t *testing.T, o Options) *Home {
	t.Helper()
	h, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return h
}

// contents are the files below a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func keyringOf(t *testing.T, h *Home) *raconfig.Keyring {
	t.Helper()
	k, err := readKeyring(h.Dirs.Keyring)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestASecondStartChangesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	visit(t, options(dir, start))
	first := contents(t, dir)
	visit(t, options(dir, start.Add(time.Hour)))
	if diff := cmp.Diff(first, contents(t, dir)); diff != "" {
		t.Error(diff)
	}
	for name := range first {
		if strings.Contains(name, "..") {
			t.Errorf("%s was left", name)
		}
	}
}

func TestKeysAreReadableByTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := visit(t, options(dir, start))
	private := []string{CAKeyFile, "state/hmac", "challenges/static/password"}
	for _, c := range keyringOf(t, h).Generations[0].Certificates {
		private = append(private, "keyring/"+raconfig.Fingerprint(c.Certificate)+".key")
	}
	for _, name := range private {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", name, mode)
		}
	}
}

func TestWhatAStartIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := options(dir, start)
	h := visit(t, o)
	if got := contents(t, dir)["challenges/static/password"]; got != "secret\n" {
		t.Errorf("the password file holds %q", got)
	}
	o.Challenge, o.Legacy = "", []v1alpha1.LegacyAlgorithm{v1alpha1.SHA1}
	o.Template.Validity.Duration = time.Hour
	visit(t, o)
	files := contents(t, dir)
	if _, ok := files["challenges/static/password"]; ok {
		t.Error("the previous challenge is still there")
	}
	config, err := raconfig.Decode([]byte(files["config/config.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	want := []raconfig.Challenge{{Name: "anyone", Type: v1alpha1.ChallengeAnyone}}
	if diff := cmp.Diff(want, config.Challenges); diff != "" {
		t.Error(diff)
	}
	if config.ActiveGeneration != keyringOf(t, h).Generations[0].ID || config.LegacyAlgorithms[0] != v1alpha1.SHA1 || config.Templates[0].Spec.Validity.Duration != time.Hour {
		t.Errorf("configuration %+v", config)
	}
}

func TestTwoDirectoriesHaveDifferentCAs(t *testing.T) {
	t.Parallel()
	a, b := visit(t, options(t.TempDir(), start)), visit(t, options(t.TempDir(), start))
	if a.CA.Subject.String() == b.CA.Subject.String() {
		t.Errorf("both are %s", a.CA.Subject)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h, err := Open(options(dir, start))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(dir, start)); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second one: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	visit(t, options(dir, start))
}

func TestRACertificatesAreRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := keyringOf(t, visit(t, options(dir, start))).Generations[0]
	end := first.NotAfter()
	for _, tc := range []struct {
		name  string
		at    time.Time
		holds int
		kept  bool
	}{
		{"long before the end", end.Add(-renewBefore - time.Minute), 1, true},
		{"near the end", end.Add(-renewBefore + time.Minute), 2, true},
		{"a second time", end.Add(-renewBefore + time.Hour), 2, true},
		{"after the end of the first", end.Add(raValidity - renewBefore), 2, false},
	} {
		h := visit(t, options(dir, tc.at))
		k := keyringOf(t, h)
		if len(k.Generations) != tc.holds || (k.Find(first.ID) != nil) != tc.kept {
			t.Errorf("%s: generations %v, the first was %s", tc.name, k.IDs(), first.ID)
		}
		if left := k.Generations[0].NotAfter().Sub(tc.at); left < renewBefore {
			t.Errorf("%s: the active generation ends in %v", tc.name, left)
		}
		if files := len(contents(t, h.Dirs.Keyring)); files != tc.holds*4+1 {
			t.Errorf("%s: %d files for %d generations", tc.name, files, tc.holds)
		}
		if !strings.Contains(contents(t, dir)["config/config.yaml"], k.Generations[0].ID) {
			t.Errorf("%s: the configuration names another generation", tc.name)
		}
	}
}

func TestUnusableFiles(t *testing.T) {
	t.Parallel()
	model := t.TempDir()
	h := visit(t, options(model, start))
	index := raconfig.KeyringIndexFile
	raKey := "keyring/" + raconfig.Fingerprint(keyringOf(t, h).Generations[0].Certificates[0].Certificate) + ".key"
	for name, tc := range map[string]struct {
		file    string
		content []byte // nil: the file is removed
		at      time.Time
		want    string
	}{
		"no CA certificate":     {file: CAFile, want: "certificate is missing"},
		"no CA key":             {file: CAKeyFile, want: "key is missing"},
		"empty CA certificate":  {file: CAFile, content: []byte{}, want: "ca.pem"},
		"half a CA certificate": {file: CAFile, content: half(t, model, CAFile), want: "ca.pem"},
		"half a CA key":         {file: CAKeyFile, content: half(t, model, CAKeyFile), want: "ca-key.pem"},
		"another CA":            {file: CAFile, content: otherCA(t), want: "does not match"},
		"no CA at all":          {file: CAFile, content: leaf(t, h), want: "does not match"},
		"an expired CA":         {file: "lock", content: []byte{}, at: start.Add(caValidity + time.Hour), want: "expired"},
		"half a keyring":        {file: "keyring/" + index, content: half(t, model, "keyring/"+index), want: index},
		"half an RA key":        {file: raKey, content: half(t, model, raKey), want: ".key"},
		"no RA key":             {file: raKey, want: ".key"},
		"half a state key":      {file: "state/hmac", content: half(t, model, "state/hmac"), want: "hmac"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(dir, os.DirFS(model)); err != nil {
				t.Fatal(err)
			}
			damage(t, filepath.Join(dir, tc.file), tc.content)
			before := contents(t, dir)
			at := tc.at
			if at.IsZero() {
				at = start
			}
			_, err := Open(options(dir, at))
			if !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrUnusable with %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE") {
				t.Error("the error carries a key")
			}
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func half(t *testing.T, dir, name string) []byte {
	t.Helper()
	content := []byte(contents(t, dir)[name])
	return content[:len(content)/2]
}

func otherCA(t *testing.T) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sceptest.NewCA(t).Certificate.Raw})
}

func leaf(t *testing.T, h *Home) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: keyringOf(t, h).Generations[0].Certificates[0].Certificate.Raw})
}

// damage writes a file, or removes it.
func damage(t *testing.T, path string, content []byte) {
	t.Helper()
	var err error
	if content == nil {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestACertificateOfTheKeyThatIsNoCA(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := sceptest.RSAKey(t, 1)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	damage(t, filepath.Join(dir, CAKeyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	damage(t, filepath.Join(dir, CAFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sceptest.SelfSigned(t, nil, key).Raw}))
	if _, err := Open(options(dir, time.Now())); !errors.Is(err, ErrUnusable) || !errors.Is(err, errNotCA) {
		t.Errorf("%v, want %v", err, errNotCA)
	}
}

func TestAKeyringOfAnotherCA(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	visit(t, options(dir, start))
	visit(t, options(other, start))
	if err := os.RemoveAll(filepath.Join(dir, "keyring")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(other, "keyring"), filepath.Join(dir, "keyring")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(dir, start)); !errors.Is(err, ErrUnusable) || !errors.Is(err, errOtherCA) {
		t.Errorf("%v, want %v", err, errOtherCA)
	}
}

func TestDirectoriesThatCannotBe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	damage(t, file, []byte("content"))
	places := map[string]string{"a file": file, "below a file": filepath.Join(file, "dir")}
	if runtime.GOOS == "linux" {
		places["read-only"] = "/proc/1" // even for root
	}
	for name, dir := range places {
		if _, err := Open(options(dir, start)); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
	}
}

func TestWriteFileLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	blocked := filepath.Join(dir, "blocked")
	if err := os.MkdirAll(filepath.Join(blocked, "within"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(blocked, []byte("x"), privateMode); err == nil {
		t.Error("a directory was replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left: %v (%v)", entries, err)
	}
	path := filepath.Join(dir, "file")
	for _, content := range []string{"first", "second"} {
		if err := writeFile(path, []byte(content), publicMode); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, []byte(content)) {
			t.Errorf("read %q (%v)", got, err)
		}
	}
}
