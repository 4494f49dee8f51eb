package reload

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"strings"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Admin is what the minting of challenges over HTTPS needs.
type Admin struct {
	// TLS is nil while there is no certificate: nothing is served then.
	TLS *tls.Certificate
	// Basic is nil where no user may mint.
	Basic *Basic
	// Callers is nil where nobody may mint by a client certificate.
	Callers *Callers
}

// Basic is a user with a password. It keeps hashes only.
type Basic struct{ username, password [sha256.Size]byte }

var errNoUser = errors.New("it holds no username or no password")

// newBasic reads the files of a Secret of type kubernetes.io/basic-auth. A line end
// behind the words is an editor's.
func newBasic(files map[string][]byte) (*Basic, error) {
	username := strings.TrimRight(string(files[raconfig.UsernameFile]), "\r\n")
	password := strings.TrimRight(string(files[raconfig.PasswordFile]), "\r\n")
	if username == "" || password == "" {
		return nil, errNoUser
	}
	return &Basic{sha256.Sum256([]byte(username)), sha256.Sum256([]byte(password))}, nil
}

// Is says whether it is this user; its time does not depend on how much of it is right.
func (b *Basic) Is(username, password string) bool {
	u, p := sha256.Sum256([]byte(username)), sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(u[:], b.username[:])&subtle.ConstantTimeCompare(p[:], b.password[:]) == 1
}

// updateAdmin reads what the admin exposure needs. Whoever takes the user away
// wants it gone, so here the last good one does not stay.
func (p *parts) updateAdmin(clients []string, f *files, found *problems) {
	p.updateCallers(clients, f, found)
	if pair, err := readTLS(f.adminTLS); err != nil {
		found.add("admin-tls", err)
	} else {
		p.admin.TLS = pair
	}
	p.admin.Basic = nil
	if len(f.adminBasic) == 0 {
		return
	}
	basic, err := newBasic(f.adminBasic)
	if err != nil {
		*found = append(*found, "admin-basic: "+err.Error()+"; nobody may mint challenges with a password until this is corrected")
		return
	}
	p.admin.Basic = basic
}
