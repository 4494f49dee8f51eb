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

// files are the contents of the mounted directories, by file name; those of
// challenges by the name of the challenge, a slash, and the file name.
type files struct {
	config, keyring, challenges, state, tls, adminTLS, adminBasic map[string][]byte
	adminClients, clients, keyrings, signer                       map[string][]byte
	challengesDir                                                 string
	// failed are directories that cannot be read.
	failed map[string]error
}

func readFiles(d Dirs) *files {
	f := &files{failed: map[string]error{}, challengesDir: d.Challenges}
	read := func(what, dir string, within ...string) map[string][]byte {
		content, err := readDir(dir, within...)
		if err != nil {
			f.failed[what] = err
		}
		return content
	}
	f.config = read("config", d.Config)
	f.keyring = read("keyring", d.Keyring)
	f.challenges = read("challenges", d.Challenges, raconfig.ChallengeFiles...)
	f.state = read("state", d.State)
	f.tls = read("tls", d.TLS)
	f.adminTLS = read("admin-tls", d.AdminTLS)
	f.adminBasic = read("admin-basic", d.AdminBasic)
	f.adminClients = read("admin-clients", d.AdminClients)
	f.signer = read("signer", d.Signer)
	volumes := func(what, dir string) map[string][]byte {
		content, err := readVolumes(dir)
		if err != nil {
			f.failed[what] = err
		}
		return content
	}
	f.clients, f.keyrings = volumes("clients", d.Clients), volumes("keyrings", d.Keyrings)
	return f
}

// ofChallenge are the files of one challenge, by file name.
func (f *files) ofChallenge(name string) map[string][]byte {
	out := map[string][]byte{}
	for _, file := range raconfig.ChallengeFiles {
		if content, ok := f.challenges[name+"/"+file]; ok {
			out[file] = content
		}
	}
	return out
}

// tokenFile is where the kubelet keeps a challenge's service account token fresh.
func (f *files) tokenFile(name string) string {
	return filepath.Join(f.challengesDir, name, raconfig.TokenFile)
}

// sum identifies the contents.
func (f *files) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, dir := range []map[string][]byte{f.config, f.keyring, f.challenges, f.state, f.tls, f.adminTLS, f.adminBasic, f.adminClients, f.clients, f.keyrings, f.signer} {
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

// readDir reads the files of a directory or, with within, those files of each of its
// directories. A directory that is not there is empty.
func readDir(dir string, within ...string) (map[string][]byte, error) {
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
		for _, name := range namesWithin(e.Name(), within) {
			data, err := readFile(filepath.Join(dir, name))
			if err != nil {
				return nil, err
			}
			if data != nil {
				content[name] = data
			}
		}
	}
	return content, nil
}

// namesWithin are the files to read of an entry: itself, or those below it.
func namesWithin(entry string, within []string) []string {
	if len(within) == 0 {
		return []string{entry}
	}
	names := make([]string, len(within))
	for i, name := range within {
		names[i] = entry + "/" + name
	}
	return names
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
