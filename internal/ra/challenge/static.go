package challenge

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
)

// ErrNoPassword says that the file of a Static challenge holds no password.
var ErrNoPassword = errors.New("the file holds no password")

// Static is a password shared by all devices. It keeps hashes only.
type Static struct {
	name   string
	hashes [][sha256.Size]byte
}

// NewStatic reads a file of passwords, one a line; empty lines do not count.
// Blanks belong to the password.
func NewStatic(name string, file []byte) (*Static, error) {
	s := &Static{name: name}
	for line := range strings.Lines(string(file)) {
		if password := strings.TrimRight(line, "\r\n"); password != "" {
			s.hashes = append(s.hashes, sha256.Sum256([]byte(password)))
		}
	}
	if len(s.hashes) == 0 {
		return nil, ErrNoPassword
	}
	return s, nil
}

// Name implements Verifier.
func (s *Static) Name() string { return s.name }

// Verify implements Verifier. Its time depends neither on the passwords nor on
// which one matches.
func (s *Static) Verify(_ context.Context, attempt Attempt) (*Admission, error) {
	sum := sha256.Sum256([]byte(attempt.Password))
	matches := 0
	for i := range s.hashes {
		matches |= subtle.ConstantTimeCompare(sum[:], s.hashes[i][:])
	}
	if matches == 0 {
		return nil, nil
	}
	return &Admission{Challenge: s.name}, nil
}
