package scep

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// Credential is one RA certificate with its private key.
type Credential struct {
	Certificate *x509.Certificate
	Key         crypto.Signer // also a crypto.Decrypter (as *rsa.PrivateKey is) where it has to decrypt
}

// Fingerprint is the SHA-256 of the DER certificate in lower-case hexadecimal.
func (c *Credential) Fingerprint() string {
	sum := sha256.Sum256(c.Certificate.Raw)
	return hex.EncodeToString(sum[:])
}

// Generation is the RA material that is published together: a signing and an
// encryption credential, or twice the same one.
type Generation struct {
	Signing, Encryption *Credential
}

// Combined says whether one credential does both.
func (g *Generation) Combined() bool { return g.Signing == g.Encryption }

// Identity is what an RA is at a moment. It is never changed; a reload replaces
// the whole of it.
type Identity struct {
	Active  *Generation         // the one GetCACert advertises
	Others  []*Generation       // previous and next ones, whose messages still open
	CAChain []*x509.Certificate // issuing CA first, up to the root if known

	// NextCA is what GetNextCACert answers before a rollover of the CA: the CA
	// certificate to come, and what belongs to it. Empty: there is none.
	NextCA []*x509.Certificate
	// NextCASigner signs that answer. RFC 8894, section 4.7.1, wants the current
	// CA's key, which an RA does not have; its drafts let the RA sign, as it signs
	// everything else a client believes. So nil is the active signing credential.
	NextCASigner *Credential
}

// Generations returns all of them, the active one first.
func (id *Identity) Generations() []*Generation {
	return append([]*Generation{id.Active}, id.Others...)
}

// recipientMatch is a way to compare a recipient with a certificate.
type recipientMatch func(cms.Identifier, *x509.Certificate) bool

// recipientMatches is tried in order: first to the letter, then by serial
// number, for clients that encode the issuer's name anew. A wrong guess does no
// harm, decryption just fails.
var recipientMatches = []recipientMatch{cms.Identifier.Matches, cms.Identifier.MatchesSerial}

// recipient finds the generation one of the recipients belongs to, and which.
func (id *Identity) recipient(recipients []cms.Recipient) (*Generation, cms.Recipient, bool) {
	for _, match := range recipientMatches {
		for _, g := range id.Generations() {
			named := func(r cms.Recipient) bool { return match(r.ID, g.Encryption.Certificate) }
			if i := slices.IndexFunc(recipients, named); i >= 0 {
				return g, recipients[i], true
			}
		}
	}
	return nil, cms.Recipient{}, false
}

// chainSelector picks the CA certificates that follow the RA's.
var chainSelectors = map[ChainShape]func([]*x509.Certificate) []*x509.Certificate{
	RAAndChain:  func(chain []*x509.Certificate) []*x509.Certificate { return chain },
	RAAndIssuer: func(chain []*x509.Certificate) []*x509.Certificate { return chain[:min(1, len(chain))] },
}

// CAsFor returns the CA certificates that GetCACert answers, the issuing one first.
func (id *Identity) CAsFor(shape ChainShape) []*x509.Certificate {
	choose, ok := chainSelectors[shape]
	if !ok {
		return nil
	}
	return choose(id.CAChain)
}

// CertificatesFor returns what GetCACert answers, in order and without
// repetition: RA signing, RA encryption, issuing CA, chain.
func (id *Identity) CertificatesFor(shape ChainShape) []*x509.Certificate {
	all := []*x509.Certificate{id.Active.Signing.Certificate, id.Active.Encryption.Certificate}
	all = append(all, id.CAsFor(shape)...)
	var distinct []*x509.Certificate
	for _, c := range all {
		same := func(other *x509.Certificate) bool { return bytes.Equal(c.Raw, other.Raw) }
		if !slices.ContainsFunc(distinct, same) {
			distinct = append(distinct, c)
		}
	}
	return distinct
}
