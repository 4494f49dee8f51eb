package signer

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/ra/signer/mutual"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Dirs are the mounted directories; see package raconfig.
type Dirs struct {
	Config, Signer, CA, State, Revoked string
}

func (d Dirs) all() []string { return []string{d.Config, d.Signer, d.CA, d.State, d.Revoked} }

// authority is the CA's certificate with its key.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// parts are the last good content of each directory. A value is never changed.
type parts struct {
	config      *reload.Compiled
	credential  *mutual.Credential
	ca          *authority
	key         []byte
	revocations *raconfig.Revocations
	// problems keep newer files from use: each names the directory and what to do.
	problems []string
	// pod is the signer's name.
	pod string
}

// missing names what keeps a signer from issuing; "" if nothing does.
func (p *parts) missing() string {
	for _, part := range []struct {
		name  string
		there bool
	}{
		{"config", p.config != nil},
		{"signer", p.credential != nil},
		{"ca", p.ca != nil},
		{"state", p.key != nil},
		{"revoked", p.revocations != nil},
	} {
		if !part.there {
			return part.name
		}
	}
	return ""
}

// loader keeps the parts up to date.
type loader struct {
	dirs    Dirs
	logger  *slog.Logger
	current atomic.Pointer[parts]
	// changed is called after each change, by one goroutine.
	changed func(*parts)
	seen    [sha256.Size]byte
}

func newLoader(dirs Dirs, pod string, logger *slog.Logger, changed func(*parts)) *loader {
	l := &loader{dirs: dirs, logger: logger, changed: changed}
	l.current.Store(&parts{pod: pod, problems: []string{"the files have not been read yet: wait"}})
	return l
}

// run reads the files, and again after each change, until the context ends.
func (l *loader) run(ctx context.Context) { reload.Watch(ctx, l.logger, l.dirs.all(), l.load) }

// load reads the files once. Nothing happens if they are as they were.
func (l *loader) load() {
	read := map[string]content{}
	for name, dir := range map[string]string{
		"config": l.dirs.Config, "signer": l.dirs.Signer, "ca": l.dirs.CA, "state": l.dirs.State, "revoked": l.dirs.Revoked,
	} {
		files, err := reload.ReadDir(dir)
		read[name] = content{files, err}
	}
	sum := sumOf(read)
	if sum == l.seen {
		return
	}
	l.seen = sum
	next := l.current.Load().update(read)
	l.current.Store(next)
	l.changed(next)
}

// content is a directory's files, or why they cannot be read.
type content struct {
	files map[string][]byte
	err   error
}

func sumOf(read map[string]content) [sha256.Size]byte {
	h := sha256.New()
	for _, dir := range slices.Sorted(maps.Keys(read)) {
		_, _ = fmt.Fprintf(h, "%s %v\n", dir, read[dir].err) // a hash does not fail
		for _, name := range slices.Sorted(maps.Keys(read[dir].files)) {
			_, _ = fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(read[dir].files[name]))
		}
		_, _ = io.WriteString(h, "--\n")
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// update takes over what is good of the directories.
func (p *parts) update(read map[string]content) *parts {
	next := *p
	next.problems = nil
	for _, directory := range directories {
		c := read[directory.name]
		err := c.err
		if err == nil {
			err = directory.take(&next, c.files)
		}
		if err != nil {
			next.problems = append(next.problems, fmt.Sprintf("%s: %v; what was there before stays in use until this is corrected", directory.name, err))
		}
	}
	return &next
}

// directories say how each is read.
var directories = []struct {
	name string
	take func(*parts, map[string][]byte) error
}{
	{"config", (*parts).takeConfig},
	{"signer", func(p *parts, files map[string][]byte) error { return replace(&p.credential, files, mutual.Read) }},
	{"ca", func(p *parts, files map[string][]byte) error { return replace(&p.ca, files, readCA) }},
	{"state", (*parts).takeKey},
	{"revoked", (*parts).takeRevocations},
}

// replace reads a part anew, if it can be read.
func replace[T any](part **T, files map[string][]byte, read func(map[string][]byte) (*T, error)) error {
	next, err := read(files)
	if err != nil {
		return err
	}
	*part = next
	return nil
}

var (
	errNotDirect     = errors.New("issuance.signer is missing: the endpoint does not issue directly")
	errOtherEndpoint = errors.New("it belongs to another endpoint")
	errShortKey      = fmt.Errorf("%s holds less than %d bytes", raconfig.HMACKeyFile, keySize)
	errNoRevocations = fmt.Errorf("%s is missing", raconfig.RevocationsFile)
	errOlder         = fmt.Errorf("%s is older than the list in use", raconfig.RevocationsFile)
	errNotCA         = fmt.Errorf("%s holds no CA certificate that may sign certificates", raconfig.CertificateFile)
	errCannotSign    = fmt.Errorf("the key in %s cannot sign", raconfig.KeyFile)
)

// keySize is the length of the endpoint's key in bytes.
const keySize = 32

// takeConfig takes the newest over; a signer that has none yet, and cannot use it, goes
// back to the last good one.
func (p *parts) takeConfig(files map[string][]byte) error {
	newest, err := reload.Compile(files)
	problem := p.useConfig(newest, err)
	if problem != nil && p.config == nil {
		_ = p.useConfig(reload.Recall(files, p.pod)) // there may be none for this signer
	}
	return problem
}

func (p *parts) useConfig(next *reload.Compiled, err error) error {
	switch {
	case err != nil:
		return err
	case next.Config.Issuance.Signer == nil:
		return errNotDirect
	case p.config != nil && !sameEndpoint(p.config.Config.Endpoint, next.Config.Endpoint):
		return errOtherEndpoint
	}
	p.config = next
	return nil
}

func sameEndpoint(a, b raconfig.Endpoint) bool { return a.Namespace == b.Namespace && a.Name == b.Name }

func (p *parts) takeKey(files map[string][]byte) error {
	if len(files[raconfig.HMACKeyFile]) < keySize {
		return errShortKey
	}
	p.key = files[raconfig.HMACKeyFile]
	return nil
}

// takeRevocations does not go back to an older list: its CRL would have a lower number.
func (p *parts) takeRevocations(files map[string][]byte) error {
	raw, ok := files[raconfig.RevocationsFile]
	if !ok {
		return errNoRevocations
	}
	list, err := raconfig.DecodeRevocations(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", raconfig.RevocationsFile, err)
	}
	if p.revocations != nil && list.Updated.Before(p.revocations.Updated) {
		return errOlder
	}
	p.revocations = list
	return nil
}

// readCA reads a certificate and its key; behind the certificate there may be its chain.
func readCA(files map[string][]byte) (*authority, error) {
	pair, err := tls.X509KeyPair(files[raconfig.CertificateFile], files[raconfig.KeyFile]) // it compares the two
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", raconfig.CertificateFile, raconfig.KeyFile, err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errCannotSign
	}
	ca := pair.Leaf
	if !ca.IsCA || ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, errNotCA
	}
	return &authority{ca, key}, nil
}
