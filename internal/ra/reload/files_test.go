package reload

import (
	"os"
	"path/filepath"
	"testing"
)

// write makes a file with its directories.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// A mounted volume is a directory of links behind one link that the kubelet switches.
func TestReadDirOfAVolume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "..one", "mdm", "password"), "one")
	write(t, filepath.Join(dir, "..one", "config.yaml"), "one")
	link(t, "..one", filepath.Join(dir, "..data"))
	link(t, filepath.Join("..data", "config.yaml"), filepath.Join(dir, "config.yaml"))
	link(t, filepath.Join("..data", "mdm"), filepath.Join(dir, "mdm"))
	check := func(name, want string, within ...string) {
		t.Helper()
		content, err := readDir(dir, within...)
		if err != nil || len(content) != 1 || string(content[name]) != want {
			t.Errorf("read %q (%v), want %s: %s", content, err, name, want)
		}
	}
	check("config.yaml", "one")
	check("mdm/password", "one", "password", "token")

	write(t, filepath.Join(dir, "..two", "mdm", "password"), "two")
	write(t, filepath.Join(dir, "..two", "config.yaml"), "two")
	link(t, "..two", filepath.Join(dir, "..data"))
	check("config.yaml", "two")
	check("mdm/password", "two", "password", "token")
}

func TestReadDirThatIsNotThere(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", filepath.Join(t.TempDir(), "nothing")} {
		if content, err := readDir(dir); len(content) > 0 || err != nil {
			t.Errorf("%q: %v (%v)", dir, content, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	if _, err := readDir(file, ""); err == nil {
		t.Error("a file is read as a directory")
	}
}

func TestSumTellsContentsApart(t *testing.T) {
	t.Parallel()
	of := func(f files) [32]byte { return f.sum() }
	one := files{config: map[string][]byte{"a": []byte("b")}}
	sums := map[[32]byte]bool{}
	for _, f := range []files{
		{},
		one,
		{keyring: one.config},
		{config: map[string][]byte{"a": []byte("c")}},
		{config: map[string][]byte{"ab": nil}},
		{failed: map[string]error{"config": os.ErrPermission}},
	} {
		sums[of(f)] = true
	}
	if len(sums) != 6 {
		t.Errorf("%d different sums, want 6", len(sums))
	}
}
