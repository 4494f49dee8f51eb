package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Signer signs messages.
type Signer struct {
	Certificate *x509.Certificate
	Key         crypto.Signer // RSA or ECDSA
	Digest      crypto.Hash
}

// Sign makes a ContentInfo with a SignedData over content, in DER. The signer's
// certificate is put in, contentType and messageDigest are added to attributes.
// An empty content is present all the same: OpenSSL and certmonger cannot read
// a message without eContent.
func Sign(content []byte, attributes []Attribute, s Signer) ([]byte, error) {
	d, err := digestByHash(s.Digest)
	if err != nil {
		return nil, err
	}
	if s.elliptic() && d.withECDSA == nil {
		return nil, fmt.Errorf("cms: no ECDSA with %v", s.Digest)
	}
	signed, err := marshalAttributes(content, attributes, d)
	if err != nil {
		return nil, err
	}
	signature, err := s.Key.Sign(rand.Reader, d.sumOfSet(signed), s.Digest)
	if err != nil {
		return nil, fmt.Errorf("cms: signing: %w", err)
	}
	return contentInfo(oidSignedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, d.oid, nil) })
		addContent(b, content)
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(s.Certificate.Raw) })
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { s.addSignerInfo(b, d, signed, signature) })
	})
}

func contentInfo(contentType asn1.ObjectIdentifier, body func(*cryptobyte.Builder)) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(contentType)
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, body) })
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("cms: encoding: %w", err)
	}
	return der, nil
}

func addContent(b *cryptobyte.Builder, content []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidData)
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
	})
}

// marshalAttributes returns the contents of signedAttrs, sorted.
func marshalAttributes(content []byte, attributes []Attribute, d digest) ([]byte, error) {
	contentType, err := asn1.Marshal(oidData)
	if err != nil {
		return nil, fmt.Errorf("cms: encoding: %w", err)
	}
	messageDigest, err := asn1.Marshal(d.sum(content))
	if err != nil {
		return nil, fmt.Errorf("cms: encoding: %w", err)
	}
	all := append([]Attribute{{oidContentType, contentType}, {oidMessageDigest, messageDigest}}, attributes...)
	elements := make([][]byte, 0, len(all))
	for _, a := range all {
		element, err := a.Marshal()
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	slices.SortFunc(elements, bytes.Compare)
	return slices.Concat(elements...), nil
}

// Marshal is the DER of an Attribute (RFC 5652, section 5.3), as CSRs have
// them too.
func (a Attribute) Marshal() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(a.Type)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(a.Value) })
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("cms: encoding attribute %v: %w", a.Type, err)
	}
	return der, nil
}

func (s Signer) addSignerInfo(b *cryptobyte.Builder, d digest, signed, signature []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		addIssuerAndSerial(b, s.Certificate)
		addAlgorithm(b, d.oid, nil)
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(signed) })
		s.addSignatureAlgorithm(b, d)
		b.AddASN1OctetString(signature)
	})
}

// addSignatureAlgorithm writes plain rsaEncryption for RSA: strongSwan 5.9
// reads no other, and everybody reads this (RFC 3370, section 3.2).
func (s Signer) addSignatureAlgorithm(b *cryptobyte.Builder, d digest) {
	if s.elliptic() {
		addAlgorithm(b, d.withECDSA, nil)
		return
	}
	addAlgorithm(b, oidRSAEncryption, addNull)
}

func (s Signer) elliptic() bool {
	_, ok := s.Key.Public().(*ecdsa.PublicKey)
	return ok
}
