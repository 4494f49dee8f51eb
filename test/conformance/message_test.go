package conformance

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strconv"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// message is what everybody can read of a pkiMessage, who has no key. The structures
// are those of RFC 5652 for encoding/asn1: the engine's own reader is what is tested.
type message struct {
	// attributes are those with one value, by object identifier.
	attributes map[string]asn1.RawValue
	digest     string
	signature  string
	cipher     string
	transport  string
	// signer names the certificate that the message is signed with.
	signer issuerAndSerial
	// envelope is the content, in DER.
	envelope []byte
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

type signedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	Content          struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0,optional"`
	}
	Certificates asn1.RawValue `asn1:"tag:0,optional"`
	CRLs         asn1.RawValue `asn1:"tag:1,optional"`
	SignerInfos  []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version    int
	Signer     asn1.RawValue
	Digest     pkix.AlgorithmIdentifier
	Attributes asn1.RawValue `asn1:"tag:0,optional"`
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

type envelopedData struct {
	Version    int
	Originator asn1.RawValue   `asn1:"tag:0,optional"`
	Recipients []asn1.RawValue `asn1:"set"`
	Content    struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Content   asn1.RawValue `asn1:"tag:0,optional"`
	}
}

type keyTransport struct {
	Version   int
	Recipient asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Key       []byte
}

// names of the algorithms that clients use, by object identifier.
var names = map[string]string{
	"1.3.14.3.2.7":            "DES",
	"1.2.840.113549.3.7":      "3DES",
	"2.16.840.1.101.3.4.1.2":  "AES-128-CBC",
	"2.16.840.1.101.3.4.1.22": "AES-192-CBC",
	"2.16.840.1.101.3.4.1.42": "AES-256-CBC",
	"2.16.840.1.101.3.4.1.6":  "AES-128-GCM",
	"2.16.840.1.101.3.4.1.26": "AES-192-GCM",
	"2.16.840.1.101.3.4.1.46": "AES-256-GCM",
	"1.2.840.113549.2.5":      "MD5",
	"1.3.14.3.2.26":           "SHA-1",
	"2.16.840.1.101.3.4.2.4":  "SHA-224",
	"2.16.840.1.101.3.4.2.1":  "SHA-256",
	"2.16.840.1.101.3.4.2.2":  "SHA-384",
	"2.16.840.1.101.3.4.2.3":  "SHA-512",
	"1.2.840.113549.1.1.1":    "PKCS #1 v1.5",
	"1.2.840.113549.1.1.5":    "PKCS #1 v1.5",
	"1.2.840.113549.1.1.7":    "OAEP",
	"1.2.840.113549.1.1.10":   "PSS",
	"1.2.840.113549.1.1.11":   "PKCS #1 v1.5",
	"1.2.840.113549.1.1.12":   "PKCS #1 v1.5",
	"1.2.840.113549.1.1.13":   "PKCS #1 v1.5",
	"1.2.840.113549.1.1.14":   "PKCS #1 v1.5",
	"1.2.840.10045.4.3.2":     "ECDSA",
}

func name(oid asn1.ObjectIdentifier) string {
	if n, ok := names[oid.String()]; ok {
		return n
	}
	return oid.String()
}

// passwordRecipient is the tag of a PasswordRecipientInfo (RFC 5652, section 6.2).
const passwordRecipient = 3

// Attributes of a pkiMessage: RFC 8894, section 3.2.1.
const (
	attributeMessageType = "2.16.840.1.113733.1.9.2"
	attributeStatus      = "2.16.840.1.113733.1.9.3"
	attributeFailInfo    = "2.16.840.1.113733.1.9.4"
	attributeSenderNonce = "2.16.840.1.113733.1.9.5"
	attributeRecipient   = "2.16.840.1.113733.1.9.6"
	attributeTransaction = "2.16.840.1.113733.1.9.7"
)

// readMessage reads a pkiMessage as far as it is one; nil if it is none.
func readMessage(ber []byte) *message {
	der, err := cms.Normalize(ber, 32)
	if err != nil {
		return nil
	}
	var outer contentInfo
	var signed signedData
	if !unmarshal(der, &outer) || !unmarshal(outer.Content.Bytes, &signed) || len(signed.SignerInfos) == 0 {
		return nil
	}
	signer := signed.SignerInfos[0]
	m := &message{digest: name(signer.Digest.Algorithm), signature: name(signer.Algorithm.Algorithm)}
	m.readAttributes(signer.Attributes.Bytes)
	m.readEnvelope(signed.Content.Content)
	unmarshal(signer.Signer.FullBytes, &m.signer)
	return m
}

func unmarshal(der []byte, into any) bool {
	_, err := asn1.Unmarshal(der, into)
	return err == nil
}

func (m *message) readAttributes(rest []byte) {
	m.attributes = map[string]asn1.RawValue{}
	for len(rest) > 0 {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return
		}
		if len(a.Values) == 1 {
			m.attributes[a.Type.String()] = a.Values[0]
		}
	}
}

func (m *message) readEnvelope(ber []byte) {
	der, err := cms.Normalize(ber, 32)
	if err != nil {
		return
	}
	var outer contentInfo
	var enveloped envelopedData
	if !unmarshal(der, &outer) || !unmarshal(outer.Content.Bytes, &enveloped) {
		return
	}
	m.envelope = der
	m.cipher = name(enveloped.Content.Algorithm.Algorithm)
	var recipient keyTransport
	if len(enveloped.Recipients) == 0 {
		return
	}
	if enveloped.Recipients[0].Tag == passwordRecipient {
		m.transport = "password"
	} else if unmarshal(enveloped.Recipients[0].FullBytes, &recipient) {
		m.transport = name(recipient.Algorithm.Algorithm) + oaepHash(recipient.Algorithm)
	}
}

// algorithms are those of a request, as a row of the page names them.
func (m *message) algorithms() []string {
	return []string{m.cipher, m.transport, m.digest, m.signature}
}

func (m *message) typeName() string {
	return scep.MessageType(m.number(attributeMessageType)).String()
}

func (m *message) statusName() string { return scep.PKIStatus(m.number(attributeStatus)).String() }

// failInfoName is "" if there is none.
func (m *message) failInfoName() string {
	if _, ok := m.attributes[attributeFailInfo]; !ok {
		return ""
	}
	return scep.FailInfo(m.number(attributeFailInfo)).String()
}

// number is that of an attribute of digits, -1 if it is none.
func (m *message) number(attribute string) int {
	n, err := strconv.Atoi(string(m.attributes[attribute].Bytes))
	if err != nil {
		return -1
	}
	return n
}

// oaepHash names the digest of RSAES-OAEP (RFC 8017, appendix A.2.1), "" for another algorithm.
func oaepHash(a pkix.AlgorithmIdentifier) string {
	if name(a.Algorithm) != "OAEP" {
		return ""
	}
	var parameters struct {
		Hash pkix.AlgorithmIdentifier `asn1:"explicit,optional,tag:0"`
	}
	if !unmarshal(a.Parameters.FullBytes, &parameters) || parameters.Hash.Algorithm == nil {
		return " with SHA-1" // the default
	}
	return " with " + name(parameters.Hash.Algorithm)
}
