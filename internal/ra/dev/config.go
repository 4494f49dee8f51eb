package dev

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Names of the only template and challenge, in records and metrics.
const (
	templateName  = "default"
	challengeName = "static"
	anyoneName    = "anyone"
)

// configure writes what this start was told, as the operator would.
func (h *Home) configure(o Options, active string) error {
	password := filepath.Join(h.Dirs.Challenges, challengeName, raconfig.PasswordFile)
	entry := raconfig.Challenge{Name: challengeName, Type: v1alpha1.ChallengeStatic}
	if o.Challenge == "" {
		entry = raconfig.Challenge{Name: anyoneName, Type: v1alpha1.ChallengeAnyone}
		if err := os.Remove(password); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove the previous challenge: %w", err)
		}
	} else if err := writeFile(password, []byte(o.Challenge+"\n"), privateMode); err != nil {
		return err
	}
	file, err := raconfig.Encode(&raconfig.Config{
		Version:          raconfig.Version,
		Endpoint:         raconfig.Endpoint{Namespace: EndpointName, Name: EndpointName, Generation: 1},
		ActiveGeneration: active,
		Issuance:         raconfig.Issuance{Mode: v1alpha1.IssuanceDirect},
		Templates:        []raconfig.Template{{Name: templateName, Default: true, Spec: o.Template}},
		Challenges:       []raconfig.Challenge{entry},
		LegacyAlgorithms: o.Legacy,
	})
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return writeFile(filepath.Join(h.Dirs.Config, raconfig.ConfigFile), append([]byte(configHeader), file...), publicMode)
}

const configHeader = "# Written at each start of \"ra dev\"; a running one takes changes up.\n"

// stateKeySize is what a server wants, in bytes.
const stateKeySize = 32

var errShortKey = errors.New("the key is too short")

// openStateKey reads the key of serial numbers, or makes one where there is none.
func openStateKey(path string) ([]byte, error) {
	key, err := readIfThere(path)
	switch {
	case err != nil:
		return nil, err
	case key == nil:
		key = make([]byte, stateKeySize)
		_, _ = rand.Read(key) // never fails
		return key, writeFile(path, key, privateMode)
	case len(key) < stateKeySize:
		return nil, fmt.Errorf("%s: %w: %w", path, errShortKey, ErrUnusable)
	}
	return key, nil
}
