package sceptest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// Message is a pkiMessage of which everything can be made wrong. NewMessage
// fills it like a good client.
type Message struct {
	Type          string // messageType as written; "" leaves it out
	TransactionID string // "" leaves it out
	SenderNonce   []byte // nil leaves it out
	TextTag       byte   // of the text attributes; 0 is PrintableString
	Extra         []cms.Attribute

	Content   []byte // inside the envelope
	Recipient *x509.Certificate
	Cipher    scep.Cipher
	Transport scep.KeyTransport
	Digest    crypto.Hash
	Signer    *x509.Certificate
	SignerKey crypto.Signer

	Envelope func([]byte) []byte // changes the envelope before it is signed
	Message  func([]byte) []byte // changes the signed message
}

// NewMessage is a PKCSReq of csr, signed with key by a self-signed certificate.
func NewMessage(t testing.TB, id *scep.Identity, csr []byte, key crypto.Signer) Message {
	t.Helper()
	return Message{
		Type:          strconv.Itoa(int(scep.PKCSReq)),
		TransactionID: rand.Text(),
		SenderNonce:   []byte(rand.Text()[:16]),
		Content:       csr,
		Recipient:     id.Active.Encryption.Certificate,
		Cipher:        scep.AES128CBC,
		Digest:        crypto.SHA256,
		Signer:        SelfSigned(t, nil, key),
		SignerKey:     key,
	}
}

var (
	oidMessageType   = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 2}
	oidSenderNonce   = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 5}
	oidTransactionID = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7}
)

// Bytes encodes the message.
func (m Message) Bytes(t testing.TB) []byte {
	t.Helper()
	envelope, err := cms.Encrypt(m.Content, m.Recipient, m.Cipher, m.Transport)
	if err != nil {
		t.Fatalf("encrypting: %v", err)
	}
	envelope = apply(m.Envelope, envelope)
	der, err := cms.Sign(envelope, m.attributes(), cms.Signer{Certificate: m.Signer, Key: m.SignerKey, Digest: m.Digest})
	if err != nil {
		t.Fatalf("signing: %v", err)
	}
	return apply(m.Message, der)
}

func apply(change func([]byte) []byte, b []byte) []byte {
	if change == nil {
		return b
	}
	return change(b)
}

// attributes are Extra and the three that every message has.
func (m Message) attributes() []cms.Attribute {
	tag := m.TextTag
	if tag == 0 {
		tag = asn1.TagPrintableString
	}
	m.add(oidMessageType, tag, []byte(m.Type))
	m.add(oidTransactionID, tag, []byte(m.TransactionID))
	m.add(oidSenderNonce, asn1.TagOctetString, m.SenderNonce)
	return m.Extra
}

// add adds to Extra, unless value is empty.
func (m *Message) add(oid asn1.ObjectIdentifier, tag byte, value []byte) {
	if len(value) > 0 {
		m.Extra = append(slices.Clip(m.Extra), cms.Attribute{Type: oid, Value: element(tag, value)})
	}
}

func element(tag byte, contents []byte) []byte { return cms.Element(cbasn1.Tag(tag), contents) }

const constructed = 0x20

// Indefinite encodes DER as BER with indefinite lengths, and with OCTET STRINGs
// (also the implicitly tagged [0] of an EncryptedContentInfo) in pieces of the
// given size, as iOS and Android do. The result normalises to der again, but for
// an implicitly tagged string: that it is one only its reader knows.
func Indefinite(der []byte, piece int) []byte {
	var out []byte
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return append(out, der...)
		}
		der = rest
		out = append(out, indefinite(v, piece)...)
	}
	return out
}

func indefinite(v asn1.RawValue, piece int) []byte {
	tag := v.FullBytes[0]
	isOctets := tag == asn1.TagOctetString || tag == 0x80
	switch {
	case v.IsCompound:
		return endOfContents(identifier(v.FullBytes), Indefinite(v.Bytes, piece))
	case isOctets && len(v.Bytes) > piece:
		return endOfContents([]byte{tag | constructed}, pieces(v.Bytes, piece))
	default:
		return v.FullBytes
	}
}

// identifier is the tag of an element, one octet or more.
func identifier(element []byte) []byte {
	const more = 0x1f
	n := 1
	if element[0]&more == more {
		for element[n]&0x80 != 0 {
			n++
		}
		n++
	}
	return element[:n]
}

func pieces(octets []byte, size int) []byte {
	var out []byte
	for len(octets) > 0 {
		n := min(size, len(octets))
		out = append(out, element(asn1.TagOctetString, octets[:n])...)
		octets = octets[n:]
	}
	return out
}

func endOfContents(identifier, contents []byte) []byte {
	return slices.Concat(identifier, []byte{0x80}, contents, []byte{0, 0})
}

// ReplaceOID changes every from in a DER message to to. It is how algorithms
// that nobody here can do come into a message.
func ReplaceOID(t testing.TB, der []byte, from, to asn1.ObjectIdentifier) []byte {
	t.Helper()
	encoded := func(oid asn1.ObjectIdentifier) []byte {
		b, err := asn1.Marshal(oid)
		if err != nil {
			t.Fatalf("encoding %v: %v", oid, err)
		}
		return b
	}
	return Replace(der, encoded(from), encoded(to))
}

// Replace changes every element from, in DER, to to, and rebuilds what is around
// it, so that all lengths fit again.
func Replace(der, from, to []byte) []byte {
	var out []byte
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return append(out, der...)
		}
		der = rest
		switch {
		case bytes.Equal(v.FullBytes, from):
			out = append(out, to...)
		case v.IsCompound:
			out = append(out, element(v.FullBytes[0], Replace(v.Bytes, from, to))...)
		default:
			out = append(out, v.FullBytes...)
		}
	}
	return out
}

// Nested is an element of depth SEQUENCEs in each other, of indefinite length.
func Nested(depth int) []byte {
	return append(bytes.Repeat([]byte{0x30, 0x80}, depth), make([]byte, 2*depth)...)
}

// SlowPost posts body in n parts with a pause between them and returns the HTTP
// status.
func SlowPost(ctx context.Context, url string, body []byte, n int, pause time.Duration) (int, error) {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(trickle(ctx, writer, body, n, pause)) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, reader)
	if err != nil {
		return 0, fmt.Errorf("sceptest: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("sceptest: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode, nil
}

func trickle(ctx context.Context, w io.Writer, body []byte, n int, pause time.Duration) error {
	size := max(1, len(body)/n)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for len(body) > 0 {
		part := body[:min(size, len(body))]
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("sceptest: %w", err)
		}
		body = body[len(part):]
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
