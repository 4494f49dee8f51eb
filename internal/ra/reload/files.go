package reload

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// files are the contents of the mounted directories, by file name; challenges by
// the name of the challenge.
type files struct {
	config, keyring, challenges, state, tls, adminTLS, adminBasic map[string][]byte
	// failed are directories that cannot be read.
	failed map[string]error
}

func readFiles(d Dirs) *files {
	f := &files{failed: map[string]error{}}
	read := func(what, dir, within string) map[string][]byte {
		content, err := readDir(dir, within)
		if err != nil {
			f.failed[what] = err
		}
		return content
	}
	f.config = read("config", d.Config, "")
	f.keyring = read("keyring", d.Keyring, "")
	f.challenges = read("challenges", d.Challenges, raconfig.PasswordFile)
	f.state = read("state", d.State, "")
	f.tls = read("tls", d.TLS, "")
	f.adminTLS = read("admin-tls", d.AdminTLS, "")
	f.adminBasic = read("admin-basic", d.AdminBasic, "")
	return f
}

// sum identifies the contents.
func (f *files) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, dir := range []map[string][]byte{f.config, f.keyring, f.challenges, f.state, f.tls, f.adminTLS, f.adminBasic} {
		for _, name := range slices.Sorted(maps.Keys(dir)) {
			part := sha256.Sum256(dir[name])
			_, _ = fmt.Fprintf(h, "%q %x\n", name, part) // a hash does not fail
		}
		_, _ = io.WriteString(h, "--\n")
	}
	for _, what := range slices.Sorted(maps.Keys(f.failed)) {
		_, _ = fmt.Fprintf(h, "%s %v\n", what, f.failed[what])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// dataLink is the link by which the kubelet switches a mounted directory to new
// content at once. Reading behind it never mixes old and new files.
const dataLink = "..data"

// maxFile bounds one file in bytes; a Secret cannot hold more.
const maxFile = 1 << 20

// readDir reads the files of a directory or, with within, that file of each of its
// directories. A directory that is not there is empty.
func readDir(dir, within string) (map[string][]byte, error) {
	if dir == "" {
		return nil, nil
	}
	if target, err := filepath.EvalSymlinks(filepath.Join(dir, dataLink)); err == nil {
		dir = target
	}
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read directory: %w", err)
	}
	content := map[string][]byte{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		data, err := readFile(filepath.Join(dir, e.Name(), within))
		if err != nil {
			return nil, err
		}
		if data != nil {
			content[e.Name()] = data
		}
	}
	return content, nil
}

// readFile reads a file; nil if it is not there or no file.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	return data, nil
}
