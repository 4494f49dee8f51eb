package cms_test

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const nesting = 32

// shapes are small pieces of BER, one for each rule of the reader.
var shapes = [][]byte{
	{0x30, 0x03, 0x02, 0x01, 0x05},
	{0x30, 0x80, 0x00, 0x00},
	{0x30, 0x80, 0x31, 0x80, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00},
	{0x04, 0x84, 0x00, 0x00, 0x00, 0x01, 0xaa},
	{0x24, 0x80, 0x04, 0x02, 0x01, 0x02, 0x04, 0x01, 0x03, 0x00, 0x00},
	{0x24, 0x80, 0x24, 0x04, 0x04, 0x02, 0x01, 0x02, 0x24, 0x80, 0x04, 0x01, 0x03, 0x00, 0x00, 0x00, 0x00},
	{0x2c, 0x06, 0x0c, 0x01, 0x61, 0x0c, 0x01, 0x62},
	{0xa0, 0x80, 0x04, 0x01, 0x01, 0x04, 0x01, 0x02, 0x00, 0x00},
	{0xbf, 0x8f, 0x01, 0x80, 0x05, 0x00, 0x00, 0x00},
}

// FuzzNormalize holds the BER reader to a slow one that builds a tree, and its
// output to encoding rules it never breaks: DER in lengths and strings, no
// longer than the input, and left alone if read again.
func FuzzNormalize(f *testing.F) {
	for _, shape := range shapes {
		f.Add(shape)
	}
	f.Add(sceptest.Nested(nesting))
	f.Add(sceptest.Indefinite(sceptest.FixedDevice(f).Raw, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		der, err := cms.Normalize(b, nesting)
		if err != nil {
			if der != nil || !errors.Is(err, cms.ErrEncoding) {
				t.Errorf("got %x, %v", der, err)
			}
			return
		}
		if len(der) > len(b)+len(b)>>16 {
			t.Errorf("%d bytes became %d", len(b), len(der))
		}
		if want, err := slowNormalize(b); err != nil || !bytes.Equal(der, want) {
			t.Errorf("%x became %x, the slow reader says %x, %v", b, der, want, err)
		}
		again, err := cms.Normalize(der, nesting)
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x normalises to %x, %v", der, again, err)
		}
		mustBeDER(t, der)
	})
}

// FuzzIndefinite takes DER apart as iOS and Android write it, in pieces of any
// size, and wants the same DER back.
func FuzzIndefinite(f *testing.F) {
	for _, shape := range shapes {
		f.Add(shape, uint8(1))
	}
	f.Add(sceptest.FixedDevice(f).Raw, uint8(100))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		der, err := cms.Normalize(b, nesting)
		if err != nil || bytes.IndexByte(der, 0x80) >= 0 { // an implicit [0] may be a string or not
			return
		}
		ber := sceptest.Indefinite(der, max(1, int(piece)))
		got, err := cms.Normalize(ber, 2*nesting)
		if err != nil || !bytes.Equal(got, der) {
			t.Errorf("%x came back as %x, %v", der, got, err)
		}
	})
}

// mustBeDER reads all structure with a library that knows DER only.
func mustBeDER(t *testing.T, in cryptobyte.String) {
	t.Helper()
	for !in.Empty() {
		if in[0]&0x1f == 0x1f {
			return // cryptobyte has no tags of more than one octet
		}
		var contents cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1(&contents, &tag) {
			t.Fatalf("no DER: %x", in)
		}
		if tag&0x20 != 0 {
			mustBeDER(t, contents)
		}
	}
}

// slowNormalize does what Normalize does in the plainest way: every level is
// encoded on its own and copied into the next.
func slowNormalize(in []byte) ([]byte, error) {
	element, rest, err := slowElement(in)
	if err == nil && len(rest) > 0 {
		err = errSlow
	}
	return element, err
}

var errSlow = errors.New("malformed")

func slowElement(in []byte) (element, rest []byte, err error) {
	identifier, length, in, err := slowHeader(in)
	if err != nil {
		return nil, nil, err
	}
	var contents []byte
	switch {
	case identifier[0]&0x20 == 0:
		contents, rest = in[:length], in[length:]
	case length >= 0:
		rest = in[length:]
		contents, _, err = slowChildren(identifier[0], in[:length], false)
	default:
		contents, rest, err = slowChildren(identifier[0], in, true)
	}
	if isString(identifier[0]) {
		identifier = []byte{identifier[0] &^ 0x20}
	}
	return append(append(bytes.Clone(identifier), derLength(len(contents))...), contents...), rest, err
}

// slowChildren encodes what is inside an element, up to the end of contents or of
// the input. Pieces of a string lose their headers.
func slowChildren(parent byte, in []byte, indefinite bool) (contents, rest []byte, err error) {
	for len(in) > 0 {
		if indefinite && bytes.HasPrefix(in, []byte{0, 0}) {
			return contents, in[2:], nil
		}
		var child []byte
		if child, in, err = slowElement(in); err != nil {
			return nil, nil, err
		}
		if isString(parent) {
			_, length, inside, err := slowHeader(child)
			if err != nil {
				return nil, nil, err
			}
			child = inside[:length]
		}
		contents = append(contents, child...)
	}
	if indefinite {
		return nil, nil, errSlow
	}
	return contents, nil, nil
}

// isString says whether an element of universal class is a string in pieces.
func isString(identifier byte) bool {
	return identifier&0xe0 == 0x20 && bytes.IndexByte([]byte{4, 12, 18, 19, 20, 22, 26, 28, 30}, identifier&0x1f) >= 0
}

func slowHeader(in []byte) (identifier []byte, length int, contents []byte, err error) {
	n := 1
	for len(in) > n && in[0]&0x1f == 0x1f && (n == 1 || in[n-1]&0x80 != 0) {
		n++
	}
	if len(in) <= n {
		return nil, 0, nil, errSlow
	}
	identifier, first, in := in[:n], in[n], in[n+1:]
	octets := 0
	switch {
	case first == 0x80:
		return identifier, -1, in, nil
	case first < 0x80:
		length = int(first)
	default:
		octets = int(first & 0x7f)
	}
	if len(in) < octets {
		return nil, 0, nil, errSlow
	}
	for _, b := range in[:octets] {
		length = length<<8 | int(b)
	}
	if in = in[octets:]; length < 0 || len(in) < length {
		return nil, 0, nil, errSlow
	}
	return identifier, length, in, nil
}

// derLength lets encoding/asn1 write a length.
func derLength(n int) []byte {
	der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagOctetString, Bytes: make([]byte, n)})
	if err != nil {
		return nil
	}
	return der[1 : len(der)-n]
}
