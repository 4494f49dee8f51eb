package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Recipient is a KeyTransRecipientInfo (RFC 5652, section 6.2.1).
type Recipient struct {
	ID           Identifier
	algorithm    algorithm
	encryptedKey []byte
}

func readKeyTransRecipient(in cryptobyte.String) (r Recipient, ok bool) {
	if !in.SkipASN1(cbasn1.INTEGER) { // the version
		return r, false
	}
	if r.ID, ok = readIdentifier(&in); !ok {
		return r, false
	}
	if r.algorithm, ok = readAlgorithm(&in); !ok {
		return r, false
	}
	return r, in.ReadASN1Bytes(&r.encryptedKey, cbasn1.OCTET_STRING)
}

// contentKey decrypts the content-encryption key. If that fails it returns a
// random one: implicit rejection, as in RFC 5246, section 7.4.7.1.
func (r Recipient) contentKey(key crypto.Decrypter, size int) ([]byte, error) {
	readings, err := r.readings(size)
	if err != nil {
		return nil, err
	}
	contentKey, err := randomBytes(size)
	if err != nil {
		return nil, err
	}
	for _, options := range readings {
		decrypted, err := key.Decrypt(rand.Reader, r.encryptedKey, options)
		if err == nil && len(decrypted) == size {
			copy(contentKey, decrypted)
		}
	}
	return contentKey, nil
}

// readings translates the recipient's keyEncryptionAlgorithm. All of them are
// tried, whichever is right, so that how long it takes says nothing.
func (r Recipient) readings(keySize int) ([]crypto.DecrypterOpts, error) {
	switch {
	case r.algorithm.oid.Equal(oidRSAEncryption):
		return []crypto.DecrypterOpts{&rsa.PKCS1v15DecryptOptions{SessionKeyLen: keySize}}, nil //nolint:staticcheck // all of SCEP uses it
	case r.algorithm.oid.Equal(oidRSAESOAEP):
		return oaepReadings(r.algorithm.parameters)
	default:
		return nil, &UnsupportedAlgorithmError{Use: "key transport", OID: r.algorithm.oid}
	}
}

// oaepReadings is the options of RSAES-OAEP. If the mask is left out, it is made
// with SHA-1; but smallstep/pkcs7 leaves it out and means the digest that it
// names.
func oaepReadings(parameters cryptobyte.String) ([]crypto.DecrypterOpts, error) {
	options, err := oaepOptions(parameters)
	if err != nil {
		return nil, err
	}
	if options.Hash == crypto.MD5 || options.MGFHash == crypto.MD5 { // nobody's; MD5 is for old signatures
		return nil, &UnsupportedAlgorithmError{Use: "key transport", OID: DigestOID(crypto.MD5)}
	}
	if options.MGFHash != 0 {
		return []crypto.DecrypterOpts{options}, nil
	}
	options.MGFHash = crypto.SHA1
	readings := []crypto.DecrypterOpts{options}
	if options.Hash != options.MGFHash {
		readings = append(readings, &rsa.OAEPOptions{Hash: options.Hash, MGFHash: options.Hash})
	}
	return readings, nil
}

// oaepOptions reads RSAES-OAEP-params (RFC 8017, appendix A.2.1). Each field
// may be left out: the digest is SHA-1 then, and MGFHash stays zero.
func oaepOptions(parameters cryptobyte.String) (*rsa.OAEPOptions, error) {
	options := &rsa.OAEPOptions{Hash: crypto.SHA1}
	if parameters.Empty() {
		return options, nil
	}
	var fields, source cryptobyte.String
	if !parameters.ReadASN1(&fields, cbasn1.SEQUENCE) {
		return nil, malformed("RSAES-OAEP parameters")
	}
	if err := readHashes(&fields, &options.Hash, &options.MGFHash); err != nil {
		return nil, err
	}
	if !fields.ReadOptionalASN1(&source, nil, tag2) {
		return nil, malformed("RSAES-OAEP parameters")
	}
	return options, readEmptySource(source)
}

// readHashes reads the two fields that OAEP and PSS have in common. What is left
// out of them keeps its value.
func readHashes(in *cryptobyte.String, hash, mask *crypto.Hash) (err error) {
	var hashField, maskField cryptobyte.String
	var hasHash, hasMask bool
	if !in.ReadOptionalASN1(&hashField, &hasHash, tag0) || !in.ReadOptionalASN1(&maskField, &hasMask, tag1) {
		return malformed("RSA parameters")
	}
	if hasHash {
		if *hash, err = readHash(hashField); err != nil {
			return err
		}
	}
	if hasMask {
		*mask, err = readMask(maskField)
	}
	return err
}

func readHash(in cryptobyte.String) (crypto.Hash, error) {
	a, ok := readAlgorithm(&in)
	if !ok {
		return 0, malformed("RSA parameters: digest")
	}
	d, err := digestByOID(a.oid)
	return d.hash, err
}

func readMask(in cryptobyte.String) (crypto.Hash, error) {
	a, ok := readAlgorithm(&in)
	if !ok {
		return 0, malformed("RSA parameters: mask")
	}
	if !a.oid.Equal(oidMGF1) {
		return 0, &UnsupportedAlgorithmError{Use: "mask generation", OID: a.oid}
	}
	return readHash(a.parameters)
}

// readEmptySource accepts an absent or empty label only: CMS defines no other
// (RFC 3560, section 3).
func readEmptySource(in cryptobyte.String) error {
	if in.Empty() {
		return nil
	}
	a, ok := readAlgorithm(&in)
	var label cryptobyte.String
	if !ok || !a.oid.Equal(oidPSpecified) ||
		!a.parameters.ReadASN1(&label, cbasn1.OCTET_STRING) || !label.Empty() {
		return malformed("RSAES-OAEP label")
	}
	return nil
}
