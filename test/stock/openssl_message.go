package stock

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers of RFC 5652, RFC 8017 and RFC 8894.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}

	oidMessageType   = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 2}
	oidSenderNonce   = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 5}
	oidTransactionID = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7}

	oidRSA         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidPSS         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidECDSASHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
)

// digests are those that an OpenSSL can be told to sign with, by openssl's names.
var digests = map[string]struct {
	oid  asn1.ObjectIdentifier
	size int
}{
	"md5":    {asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}, 16},
	"sha1":   {asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, 20},
	"sha224": {asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, 28},
	"sha256": {asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, 32},
	"sha384": {asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, 48},
	"sha512": {asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, 64},
}

func (d *device) digest() string { return cmp.Or(d.Digest, "sha256") }

// makeMessage makes message.der: an envelope of openssl, with the attributes of SCEP
// and openssl's signature over them.
func (d *device) makeMessage(ctx context.Context, x exchange) error {
	encryption := d.EncryptOptions
	if len(encryption) == 0 {
		encryption = []string{"-aes-128-cbc"}
	}
	err := d.openssl(ctx, slices.Concat(
		[]string{"cms", "-encrypt", "-binary", "-in", x.content, "-outform", "der", "-out", "envelope.der"},
		encryption, []string{"-recip", "recipient.pem"}, d.RecipientOptions)...)
	if err != nil {
		return err
	}
	attributes, err := d.attributes(ctx, x)
	if err != nil {
		return err
	}
	signature, err := d.sign(ctx, x, attributes)
	if err != nil {
		return err
	}
	message, err := d.assemble(x, attributes, signature)
	if err != nil {
		return err
	}
	return d.write("message.der", message)
}

// attributes are the signed ones, as a SET in DER.
func (d *device) attributes(ctx context.Context, x exchange) ([]byte, error) {
	sum, err := d.run(ctx, "openssl", "dgst", "-"+d.digest(), "-binary", "envelope.der")
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("make a nonce: %w", err)
	}
	all := [][]byte{
		attribute(oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) }),
		attribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum) }),
		attribute(oidSigningTime, func(b *cryptobyte.Builder) { b.AddASN1UTCTime(time.Now()) }),
		attribute(oidMessageType, printable(strconv.Itoa(x.messageType))),
		attribute(oidTransactionID, printable(x.transactionID)),
		attribute(oidSenderNonce, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) }),
	}
	slices.SortFunc(all, slices.Compare)
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(all...)) })
	})
}

func attribute(oid asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.SET, value)
	})
	return b.BytesOrPanic()
}

func printable(text string) cryptobyte.BuilderContinuation {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.PrintableString, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
	}
}

func build(fill cryptobyte.BuilderContinuation) ([]byte, error) {
	var b cryptobyte.Builder
	fill(&b)
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("make a message: %w", err)
	}
	return der, nil
}

func (d *device) sign(ctx context.Context, x exchange, attributes []byte) ([]byte, error) {
	if err := d.write("attributes.der", attributes); err != nil {
		return nil, err
	}
	args := []string{"dgst", "-" + d.digest(), "-sign", x.key, "-out", "signature"}
	if d.PSS {
		args = append(args, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
	}
	if err := d.openssl(ctx, append(args, "attributes.der")...); err != nil {
		return nil, err
	}
	return d.read("signature")
}

// assemble lays a SignedData (RFC 5652, section 5.1) around the envelope.
func (d *device) assemble(x exchange, attributes, signature []byte) ([]byte, error) {
	envelope, err := d.read("envelope.der")
	if err != nil {
		return nil, err
	}
	path := x.certificate
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.dir, path)
	}
	signers, err := readCertificates(path)
	if err != nil {
		return nil, err
	}
	explicit0 := cbasn1.Tag(0).Constructed().ContextSpecific()
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidSignedData)
			b.AddASN1(explicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(1)
					b.AddASN1(cbasn1.SET, d.addDigest)
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidData)
						b.AddASN1(explicit0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(envelope) })
					})
					b.AddASN1(explicit0, func(b *cryptobyte.Builder) { b.AddBytes(signers[0].Raw) })
					b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { d.addSignerInfo(b, signers[0], attributes, signature) })
				})
			})
		})
	})
}

func (d *device) addSignerInfo(b *cryptobyte.Builder, signer *x509.Certificate, attributes, signature []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(signer.RawIssuer)
			b.AddASN1BigInt(signer.SerialNumber)
		})
		d.addDigest(b)
		// [0] IMPLICIT takes the place of the SET's tag.
		implicit := slices.Clone(attributes)
		implicit[0] = byte(cbasn1.Tag(0).Constructed().ContextSpecific())
		b.AddBytes(implicit)
		b.AddASN1(cbasn1.SEQUENCE, d.addSignatureAlgorithm)
		b.AddASN1OctetString(signature)
	})
}

func (d *device) addDigest(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(digests[d.digest()].oid)
		b.AddASN1NULL()
	})
}

func (d *device) addSignatureAlgorithm(b *cryptobyte.Builder) {
	switch {
	case d.isEC():
		b.AddASN1ObjectIdentifier(oidECDSASHA256)
	case d.PSS:
		b.AddASN1ObjectIdentifier(oidPSS)
		b.AddASN1(cbasn1.SEQUENCE, d.addPSSParameters)
	default:
		b.AddASN1ObjectIdentifier(oidRSA)
		b.AddASN1NULL()
	}
}

// addPSSParameters adds hash, mask and salt length (RFC 4055, section 3.1).
func (d *device) addPSSParameters(b *cryptobyte.Builder) {
	parameter := func(n uint8, fill cryptobyte.BuilderContinuation) {
		b.AddASN1(cbasn1.Tag(n).Constructed().ContextSpecific(), fill)
	}
	parameter(0, d.addDigest)
	parameter(1, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidMGF1)
			d.addDigest(b)
		})
	})
	parameter(2, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(digests[d.digest()].size)) })
}

// issuerAndSubject is the content of a CertPoll (RFC 8894, section 3.3.3).
func issuerAndSubject(issuer *x509.Certificate, csr []byte) ([]byte, error) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("read openssl's request: %w", err)
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(issuer.RawSubject)
			b.AddBytes(request.RawSubject)
		})
	})
}

func transactionID() string { return hex.EncodeToString([]byte(rand.Text()[:16])) }

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
