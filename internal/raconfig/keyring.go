package raconfig

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// KeyringIndexFile is the key of the keyring Secret that lists the generations.
const KeyringIndexFile = "keyring.json"

// MaxGenerations is how many generations a keyring holds at most.
const MaxGenerations = 4

// ErrKeyring is wrapped by every error about a keyring's content. Such errors name
// files and fingerprints, never key material.
var ErrKeyring = errors.New("invalid keyring")

// Keyring holds every generation of an RA credential that may still be in use,
// the newest first. In a Secret, or a directory made from it, it is the file
// keyring.json and, for each certificate, "<fingerprint>.crt" (PEM: the
// certificate and the chain behind it, up to the root where known) and
// "<fingerprint>.key" (PEM, PKCS #8). A file of a retired generation is gone.
type Keyring struct {
	Generations []Generation
}

// Generation is the material that is published together.
type Generation struct {
	// ID as made by GenerationID.
	ID string
	// AddedAt is when the generation came into the keyring.
	AddedAt time.Time
	// Certificates by role: Signing and Encryption, or Combined, or Client.
	Certificates []Certificate
}

// Certificate is a certificate with its key and the chain behind it.
type Certificate struct {
	Role        v1alpha1.CredentialRole
	Certificate *x509.Certificate
	// Chain behind the certificate: its issuer first, the root last where known.
	Chain []*x509.Certificate
	Key   crypto.Signer
}

type keyringIndex struct {
	Version     string            `json:"version"`
	Generations []generationIndex `json:"generations"`
}

type generationIndex struct {
	ID           string             `json:"id"`
	AddedAt      time.Time          `json:"addedAt"`
	Certificates []certificateIndex `json:"certificates"`
}

type certificateIndex struct {
	Role        v1alpha1.CredentialRole `json:"role"`
	Fingerprint string                  `json:"fingerprint"`
}

// Fingerprint is the SHA-256 over a certificate's DER, in lower-case hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// GenerationID names a generation by its certificates, in whatever order they
// come: the first sixteen hexadecimal digits of the SHA-256 over the sorted fingerprints.
func GenerationID(certificates ...*x509.Certificate) string {
	prints := make([]string, 0, len(certificates))
	for _, c := range certificates {
		prints = append(prints, Fingerprint(c))
	}
	slices.Sort(prints)
	sum := sha256.Sum256([]byte(strings.Join(prints, "\n")))
	return hex.EncodeToString(sum[:8])
}

// Find returns the generation with the given ID, or nil.
func (k *Keyring) Find(id string) *Generation {
	for i := range k.Generations {
		if k.Generations[i].ID == id {
			return &k.Generations[i]
		}
	}
	return nil
}

// IDs lists the generations' IDs, the newest first.
func (k *Keyring) IDs() []string {
	ids := make([]string, 0, len(k.Generations))
	for i := range k.Generations {
		ids = append(ids, k.Generations[i].ID)
	}
	return ids
}

// ByRole returns the generation's certificate for a role. A Combined certificate
// serves as Signing and as Encryption. It returns nil if there is none.
func (g *Generation) ByRole(role v1alpha1.CredentialRole) *Certificate {
	for i := range g.Certificates {
		have := g.Certificates[i].Role
		if have == role || have == v1alpha1.RoleCombined && role != v1alpha1.RoleClient {
			return &g.Certificates[i]
		}
	}
	return nil
}

// NotAfter is the end of the generation's first certificate to end.
func (g *Generation) NotAfter() time.Time {
	var end time.Time
	for i := range g.Certificates {
		if t := g.Certificates[i].Certificate.NotAfter; end.IsZero() || t.Before(end) {
			end = t
		}
	}
	return end
}

// Chain is the chain behind the generation's certificates: its issuing CA first.
func (g *Generation) Chain() []*x509.Certificate {
	for i := range g.Certificates {
		if chain := g.Certificates[i].Chain; len(chain) > 0 {
			return chain
		}
	}
	return nil
}

// EncodeKeyring writes a keyring as the data of a Secret.
func EncodeKeyring(k *Keyring) (map[string][]byte, error) {
	index := keyringIndex{Version: Version}
	files := map[string][]byte{}
	for i := range k.Generations {
		g := &k.Generations[i]
		entry := generationIndex{ID: g.ID, AddedAt: g.AddedAt.UTC()}
		for j := range g.Certificates {
			c := &g.Certificates[j]
			print := Fingerprint(c.Certificate)
			key, err := encodeKey(c.Key)
			if err != nil {
				return nil, fmt.Errorf("%w: key of %s: %w", ErrKeyring, print, err)
			}
			files[print+".crt"], files[print+".key"] = encodeChain(c), key
			entry.Certificates = append(entry.Certificates, certificateIndex{Role: c.Role, Fingerprint: print})
		}
		index.Generations = append(index.Generations, entry)
	}
	out, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyring, err)
	}
	files[KeyringIndexFile] = append(out, '\n')
	return files, nil
}

// DecodeKeyring reads a keyring from the data of a Secret, or from the files of
// a directory. Every certificate must have its key.
func DecodeKeyring(files map[string][]byte) (*Keyring, error) {
	return decodeKeyring(files, decodeCertificate)
}

// DecodeChains reads a keyring's certificates and leaves its keys alone: they are nil.
func DecodeChains(files map[string][]byte) (*Keyring, error) {
	return decodeKeyring(files, decodeChain)
}

type certificateDecoder func(certificateIndex, map[string][]byte) (*Certificate, error)

func decodeKeyring(files map[string][]byte, decode certificateDecoder) (*Keyring, error) {
	raw, ok := files[KeyringIndexFile]
	if !ok {
		return nil, fmt.Errorf("%w: %s is missing", ErrKeyring, KeyringIndexFile)
	}
	var index keyringIndex
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKeyring, KeyringIndexFile, err)
	}
	if index.Version != Version {
		return nil, fmt.Errorf("%w: version %q is not %q", ErrKeyring, index.Version, Version)
	}
	k := &Keyring{}
	for _, entry := range index.Generations {
		g, err := decodeGeneration(entry, files, decode)
		if err != nil {
			return nil, err
		}
		k.Generations = append(k.Generations, *g)
	}
	return k, nil
}

func decodeGeneration(entry generationIndex, files map[string][]byte, decode certificateDecoder) (*Generation, error) {
	g := &Generation{ID: entry.ID, AddedAt: entry.AddedAt}
	for _, c := range entry.Certificates {
		certificate, err := decode(c, files)
		if err != nil {
			return nil, err
		}
		g.Certificates = append(g.Certificates, *certificate)
	}
	if len(g.Certificates) == 0 {
		return nil, fmt.Errorf("%w: generation %s has no certificates", ErrKeyring, entry.ID)
	}
	return g, nil
}

func decodeCertificate(c certificateIndex, files map[string][]byte) (*Certificate, error) {
	out, err := decodeChain(c, files)
	if err != nil {
		return nil, err
	}
	out.Key, err = ParsePrivateKey(files[c.Fingerprint+".key"])
	if err != nil {
		return nil, fmt.Errorf("%w: %s.key: %w", ErrKeyring, c.Fingerprint, err)
	}
	if !samePublicKey(out.Key, out.Certificate) {
		return nil, fmt.Errorf("%w: %s.key is not the certificate's key", ErrKeyring, c.Fingerprint)
	}
	return out, nil
}

func decodeChain(c certificateIndex, files map[string][]byte) (*Certificate, error) {
	chain, err := ParseCertificates(files[c.Fingerprint+".crt"])
	if err != nil || len(chain) == 0 {
		return nil, fmt.Errorf("%w: %s.crt holds no certificate", ErrKeyring, c.Fingerprint)
	}
	if Fingerprint(chain[0]) != c.Fingerprint {
		return nil, fmt.Errorf("%w: %s.crt holds another certificate", ErrKeyring, c.Fingerprint)
	}
	return &Certificate{Role: c.Role, Certificate: chain[0], Chain: chain[1:]}, nil
}

func samePublicKey(key crypto.Signer, c *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

func encodeChain(c *Certificate) []byte {
	return EncodeCertificates(append([]*x509.Certificate{c.Certificate}, c.Chain...))
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseCertificates reads every certificate of a PEM file, in its order.
func ParseCertificates(in []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for block, rest := pem.Decode(in); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse certificate: %w", err)
		}
		out = append(out, c)
	}
	return out, nil
}

// ErrEncryptedKey is returned for a private key that is protected by a passphrase.
var ErrEncryptedKey = errors.New("the private key is encrypted: store it without a passphrase")

// ParsePrivateKey reads a private key from PEM: PKCS #8, PKCS #1 or SEC 1. What else
// is in the file, such as certificates or parameters, is skipped. Its errors do not
// carry the input.
func ParsePrivateKey(in []byte) (crypto.Signer, error) {
	found := ""
	for block, rest := pem.Decode(in); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return parseKeyBlock(block)
		}
		found = block.Type
	}
	if found == "" {
		return nil, errors.New("no PEM block")
	}
	return nil, fmt.Errorf("PEM block %q is no private key", found)
}

func parseKeyBlock(block *pem.Block) (crypto.Signer, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, ErrEncryptedKey
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("PEM block %q is no private key", block.Type)
}
