package cms

import (
	"crypto"
	_ "crypto/md5"  // MD5, for those who allow it
	_ "crypto/sha1" // SHA-1 likewise
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"fmt"
	"strconv"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Content types of RFC 5652, sections 4 to 6, and RFC 5083.
var (
	oidData              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEnvelopedData     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}
	oidAuthEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 23}
)

// Signed attributes of RFC 5652, section 11.
var (
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
)

// Public key algorithms of RFC 8017 (RSA) and RFC 5480 (EC).
var (
	oidRSAEncryption = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidRSAESOAEP     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidMGF1          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidPSpecified    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 9}
	oidRSASSAPSS     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidECPublicKey   = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
)

// Key derivation and key wrap for a password: RFC 8018, RFC 3211, RFC 3565.
var (
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidPWRIKEK    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 9}
	oidAES128Wrap = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 5}
	oidAES192Wrap = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 25}
	oidAES256Wrap = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 45}
)

// UnsupportedAlgorithmError is returned for an algorithm the package cannot do.
type UnsupportedAlgorithmError struct {
	Use string // what it was meant for, e.g. "digest"
	OID asn1.ObjectIdentifier
}

// Error names the use, the algorithm's usual name if there is one, and the OID.
func (e *UnsupportedAlgorithmError) Error() string {
	return fmt.Sprintf("cms: unsupported %s algorithm %s", e.Use, AlgorithmName(e.OID))
}

// names are those of algorithms, other than ciphers we know, that are met in
// requests and may be refused.
var names = map[string]string{
	"1.2.840.113549.3.2":     "RC2-CBC",
	"1.2.840.113549.2.5":     "MD5",
	"1.2.840.113549.1.1.4":   "MD5 with RSA",
	"1.3.14.3.2.26":          "SHA-1",
	"2.16.840.1.101.3.4.2.4": "SHA-224",
}

// AlgorithmName is "DES-CBC (1.3.14.3.2.7)", or the bare OID if it has no name
// here.
func AlgorithmName(oid asn1.ObjectIdentifier) string {
	name, ok := names[oid.String()]
	if spec, err := cipherByOID(oid); err == nil {
		name, ok = spec.name, true
	}
	if !ok {
		return oid.String()
	}
	return name + " (" + oid.String() + ")"
}

// digest is a row of the table of digests: its own OID (RFC 5754, section 2),
// those of the signatures made with it, and that of its HMAC (RFC 8018, appendix
// B.1.2). What nobody uses has no OID.
type digest struct {
	hash      crypto.Hash
	oid       asn1.ObjectIdentifier
	withRSA   asn1.ObjectIdentifier
	withECDSA asn1.ObjectIdentifier
	hmac      asn1.ObjectIdentifier
}

var digests = []digest{
	{
		crypto.SHA1,
		asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7},
	},
	{
		crypto.SHA256,
		asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9},
	},
	{
		crypto.SHA384,
		asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10},
	},
	{
		crypto.SHA512,
		asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11},
	},
	{
		hash:    crypto.MD5,
		oid:     asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5},
		withRSA: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4},
	},
}

// digestByOID finds a digest by its own OID, or by that of a signature made
// with it: some clients write the latter where the former belongs.
func digestByOID(oid asn1.ObjectIdentifier) (digest, error) {
	for _, d := range digests {
		if oid.Equal(d.oid) || oid.Equal(d.withRSA) || oid.Equal(d.withECDSA) {
			return d, nil
		}
	}
	return digest{}, &UnsupportedAlgorithmError{Use: "digest", OID: oid}
}

func digestByHash(h crypto.Hash) (digest, error) {
	for _, d := range digests {
		if d.hash == h {
			return d, nil
		}
	}
	return digest{}, fmt.Errorf("cms: no digest algorithm %v", h)
}

func digestByHMAC(oid asn1.ObjectIdentifier) (digest, error) {
	for _, d := range digests {
		if oid.Equal(d.hmac) {
			return d, nil
		}
	}
	return digest{}, &UnsupportedAlgorithmError{Use: "key derivation", OID: oid}
}

func (d digest) sum(data ...[]byte) []byte {
	h := d.hash.New()
	for _, part := range data {
		h.Write(part)
	}
	return h.Sum(nil)
}

// sumOfSet is the sum of a SET with the contents given.
func (d digest) sumOfSet(contents []byte) []byte {
	return d.sum(appendLength([]byte{byte(cbasn1.SET)}, len(contents)), contents)
}

// DigestOID is the OID of a digest algorithm, nil for one that is not supported.
func DigestOID(h crypto.Hash) asn1.ObjectIdentifier {
	d, err := digestByHash(h)
	if err != nil {
		return nil
	}
	return d.oid
}

// Cipher is a content-encryption algorithm. The zero value is none.
type Cipher int

// The content-encryption algorithms of the package: AES (RFC 3565), three-key
// triple DES (RFC 3370, section 5.1) and single DES in CBC mode, and AES in GCM
// (RFC 5084).
const (
	AES128CBC Cipher = iota + 1
	AES192CBC
	AES256CBC
	TripleDESCBC
	DESCBC
	AES128GCM
	AES192GCM
	AES256GCM
)

// cipherSpec is a row of the table of ciphers; sizes in bytes.
type cipherSpec struct {
	id      Cipher
	name    string
	oid     asn1.ObjectIdentifier
	keySize int
	block   blockFunc
	mode    mode
}

var cipherSpecs = []cipherSpec{
	{AES128CBC, "AES-128-CBC", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16, newAES, cbc},
	{AES192CBC, "AES-192-CBC", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24, newAES, cbc},
	{AES256CBC, "AES-256-CBC", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32, newAES, cbc},
	{TripleDESCBC, "3DES-CBC", asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 24, newTripleDES, cbc},
	{DESCBC, "DES-CBC", asn1.ObjectIdentifier{1, 3, 14, 3, 2, 7}, 8, newDES, cbc},
	{AES128GCM, "AES-128-GCM", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 6}, 16, newAES, gcm},
	{AES192GCM, "AES-192-GCM", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 26}, 24, newAES, gcm},
	{AES256GCM, "AES-256-GCM", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}, 32, newAES, gcm},
}

// String is the cipher's usual name, e.g. "AES-128-CBC".
func (c Cipher) String() string {
	for _, s := range cipherSpecs {
		if s.id == c {
			return s.name
		}
	}
	return "cipher " + strconv.Itoa(int(c))
}

// OID is the cipher's object identifier, nil for the zero value.
func (c Cipher) OID() asn1.ObjectIdentifier {
	s, err := c.spec()
	if err != nil {
		return nil
	}
	return s.oid
}

func (c Cipher) spec() (cipherSpec, error) {
	for _, s := range cipherSpecs {
		if s.id == c {
			return s, nil
		}
	}
	return cipherSpec{}, fmt.Errorf("cms: no content encryption algorithm %v", c)
}

func cipherByOID(oid asn1.ObjectIdentifier) (cipherSpec, error) {
	for _, s := range cipherSpecs {
		if s.oid.Equal(oid) {
			return s, nil
		}
	}
	return cipherSpec{}, &UnsupportedAlgorithmError{Use: "content encryption", OID: oid}
}

// KeyTransport is how the content-encryption key travels under an RSA key.
type KeyTransport int

// PKCS1v15 is RSAES-PKCS1-v1_5 (RFC 3370, section 4.2.1); the others are
// RSAES-OAEP (RFC 3560) with the digest named, for the mask as well.
const (
	PKCS1v15 KeyTransport = iota
	OAEPSHA1
	OAEPSHA256
)
