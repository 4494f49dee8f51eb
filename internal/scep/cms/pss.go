package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// pssParameters are RSASSA-PSS-params (RFC 8017, appendix A.2.3).
type pssParameters struct {
	hash, mask crypto.Hash
	salt       int // bytes, or rsa.PSSSaltLengthAuto
}

// pssDefaults are what the fields stand for that are left out.
var pssDefaults = pssParameters{hash: crypto.SHA1, mask: crypto.SHA1, salt: 20}

// readPSSParameters reads the parameters of a signature made with digest d. They
// must be there (RFC 4056, section 3); clients that leave them out mean d.
func readPSSParameters(in cryptobyte.String, d digest) (pssParameters, error) {
	if in.Empty() {
		return pssParameters{hash: d.hash, mask: d.hash, salt: rsa.PSSSaltLengthAuto}, nil
	}
	var fields, salt cryptobyte.String
	var hasSalt bool
	if !in.ReadASN1(&fields, cbasn1.SEQUENCE) {
		return pssParameters{}, malformed("RSASSA-PSS parameters")
	}
	p := pssDefaults
	if err := readHashes(&fields, &p.hash, &p.mask); err != nil {
		return p, err
	}
	if !fields.ReadOptionalASN1(&salt, &hasSalt, tag2) {
		return p, malformed("RSASSA-PSS parameters")
	}
	if hasSalt && (!salt.ReadASN1Integer(&p.salt) || p.salt < 0 || p.salt > MaxRSABits/8) {
		return p, malformed("RSASSA-PSS salt length")
	}
	return p, nil
}

// verify verifies a signature over sum, which is made with digest d. crypto/rsa
// does it unless the mask is made with another digest.
func (p pssParameters) verify(key *rsa.PublicKey, d digest, sum, signature []byte) error {
	switch {
	case p.hash != d.hash: // RFC 4056, section 3: it must be that of digestAlgorithm
		return rsa.ErrVerification
	case p.mask == p.hash:
		return rsa.VerifyPSS(key, p.hash, sum, signature, &rsa.PSSOptions{SaltLength: p.salt})
	default:
		return p.verifyMixed(key, sum, signature)
	}
}

// verifyMixed is RSASSA-PSS-VERIFY (RFC 8017, section 8.1.2). All it works with
// is public.
func (p pssParameters) verifyMixed(key *rsa.PublicKey, sum, signature []byte) error {
	s := new(big.Int).SetBytes(signature)
	if len(signature) != key.Size() || s.Cmp(key.N) >= 0 {
		return rsa.ErrVerification
	}
	bits := key.N.BitLen() - 1
	m := s.Exp(s, big.NewInt(int64(key.E)), key.N)
	if m.BitLen() > bits {
		return rsa.ErrVerification
	}
	if !p.verifyEncoding(sum, m.FillBytes(make([]byte, (bits+7)/8)), bits) {
		return rsa.ErrVerification
	}
	return nil
}

// verifyEncoding is EMSA-PSS-VERIFY (RFC 8017, section 9.1.2); the first bits of
// em, up to bits, are zero.
func (p pssParameters) verifyEncoding(sum, em []byte, bits int) bool {
	hashed := p.hash.Size()
	zeros := len(em) - hashed - p.salt - 2
	if zeros < 0 || em[len(em)-1] != 0xbc {
		return false
	}
	db, h := em[:len(em)-hashed-1], em[len(em)-hashed-1:len(em)-1]
	subtle.XORBytes(db, db, mgf1(p.mask, h, len(db)))
	db[0] &= 0xff >> (8*len(em) - bits)
	if db[zeros] != 1 || !bytes.Equal(db[:zeros], make([]byte, zeros)) {
		return false
	}
	again := p.hash.New()
	again.Write(make([]byte, 8))
	again.Write(sum)
	again.Write(db[zeros+1:])
	return bytes.Equal(again.Sum(nil), h)
}

// mgf1 is the mask of RFC 8017, appendix B.2.1.
func mgf1(hash crypto.Hash, seed []byte, length int) []byte {
	var mask []byte
	for counter := uint32(0); len(mask) < length; counter++ {
		h := hash.New()
		h.Write(seed)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		mask = h.Sum(mask)
	}
	return mask[:length]
}

// publicKey is the key of a certificate. crypto/x509 does not read RSA keys that
// are marked as being for RSASSA-PSS only (RFC 4055, section 1.2).
func publicKey(cert *x509.Certificate) crypto.PublicKey {
	if cert.PublicKey != nil {
		return cert.PublicKey
	}
	a, bits, ok := publicKeyInfo(cert)
	if !ok || !a.oid.Equal(oidRSASSAPSS) {
		return nil
	}
	key, err := x509.ParsePKCS1PublicKey(bits)
	if err != nil {
		return nil
	}
	return key
}
