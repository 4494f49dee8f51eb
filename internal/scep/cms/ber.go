package cms

import (
	"errors"
	"fmt"
)

// ErrEncoding is wrapped by every error about bytes that are no BER, or that
// exceed a limit on nesting.
var ErrEncoding = errors.New("cms: malformed encoding")

// Identifier octets of ASN.1 (X.690, 8.1.2).
const (
	classMask      = 0xc0
	classUniversal = 0x00
	constructedBit = 0x20
	numberMask     = 0x1f
	highTagNumber  = 0x1f

	maxTagOctets    = 5
	maxLengthOctets = 4
	indefinite      = -1
)

// Normalize converts one BER element to DER as far as CMS needs it: indefinite
// and overlong lengths become definite and minimal, strings in pieces become
// one (X.690, 8.7 and 8.14). SET OF is not sorted and primitive contents are
// not looked into, so that signatures over what was sent still verify. A
// SEQUENCE that says it is primitive stays one, which only the reader of
// smallstep/pkcs7's AES-GCM parameters accepts.
//
// It takes time and memory linear in len(data); maxNesting bounds how deep
// elements may be nested. Bytes after the element are an error.
func Normalize(data []byte, maxNesting int) ([]byte, error) {
	r := berReader{in: data, out: make([]byte, 0, len(data)+16), depth: maxNesting}
	if err := r.element(len(data)); err != nil {
		return nil, err
	}
	if r.pos != len(data) {
		return nil, r.fail("%d bytes follow the message", len(data)-r.pos)
	}
	return r.out, nil
}

// berReader walks the input once. Each level of nesting may move its contents
// once more to make room for a length, hence linear for a bounded depth.
type berReader struct {
	in    []byte
	pos   int
	out   []byte
	depth int // levels that may still be opened
	moved int // bytes so far; with pos, all the work there is
}

// berHeader is an element's identifier and length octets.
type berHeader struct {
	identifier []byte
	length     int // or indefinite
}

func (h berHeader) constructed() bool { return h.identifier[0]&constructedBit != 0 }
func (h berHeader) universal() bool   { return h.identifier[0]&classMask == classUniversal }
func (h berHeader) number() byte      { return h.identifier[0] & numberMask }

func (h berHeader) endOfContents() bool {
	return h.identifier[0] == 0 && h.length == 0
}

// universalForm says how a universal type may be encoded; types that are not
// listed are primitive only.
var universalForm = map[byte]struct{ structure, pieces bool }{
	4:  {pieces: true},    // OCTET STRING
	8:  {structure: true}, // EXTERNAL
	11: {structure: true}, // EMBEDDED PDV
	12: {pieces: true},    // UTF8String
	16: {structure: true}, // SEQUENCE
	17: {structure: true}, // SET
	18: {pieces: true},    // NumericString
	19: {pieces: true},    // PrintableString
	20: {pieces: true},    // T61String
	22: {pieces: true},    // IA5String
	26: {pieces: true},    // VisibleString
	28: {pieces: true},    // UniversalString
	30: {pieces: true},    // BMPString
}

func (r *berReader) fail(format string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", ErrEncoding, r.pos, fmt.Sprintf(format, args...))
}

// element copies the element at pos, which must end at or before end.
func (r *berReader) element(end int) error {
	h, err := r.header(end)
	if err != nil {
		return err
	}
	return r.body(h, end)
}

func (r *berReader) body(h berHeader, end int) error {
	if h.endOfContents() {
		return r.fail("end-of-contents outside an indefinite length")
	}
	form := universalForm[h.number()]
	switch {
	case !h.constructed():
		return r.primitive(h)
	case h.universal() && form.pieces:
		return r.assemble(h, end)
	case h.universal() && !form.structure:
		return r.fail("constructed encoding of type %d", h.number())
	default:
		return r.structure(h, end)
	}
}

func (r *berReader) primitive(h berHeader) error {
	r.out = append(r.out, h.identifier...)
	r.out = appendLength(r.out, h.length)
	r.copyContents(h)
	return nil
}

func (r *berReader) copyContents(h berHeader) {
	r.out = append(r.out, r.in[r.pos:r.pos+h.length]...)
	r.pos += h.length
}

// structure copies a constructed element and its children.
func (r *berReader) structure(h berHeader, end int) error {
	r.out = append(r.out, h.identifier...)
	start := len(r.out)
	if err := r.children(h, end, r.body); err != nil {
		return err
	}
	r.insertLength(start)
	return nil
}

// assemble writes a string that came in pieces as one primitive.
func (r *berReader) assemble(h berHeader, end int) error {
	r.out = append(r.out, h.identifier[0]&^constructedBit)
	start := len(r.out)
	if err := r.pieces(h, end); err != nil {
		return err
	}
	r.insertLength(start)
	return nil
}

func (r *berReader) pieces(h berHeader, end int) error {
	return r.children(h, end, func(piece berHeader, end int) error {
		if !piece.universal() || piece.number() != h.number() {
			return r.fail("string has a piece of another type")
		}
		if piece.constructed() {
			return r.pieces(piece, end)
		}
		r.copyContents(piece)
		return nil
	})
}

// children calls each for every element inside h, one level deeper.
func (r *berReader) children(h berHeader, end int, each func(berHeader, int) error) error {
	if r.depth == 0 {
		return r.fail("nested too deeply")
	}
	r.depth--
	defer func() { r.depth++ }()
	if h.length != indefinite {
		end = r.pos + h.length
	}
	for h.length == indefinite || r.pos < end {
		child, err := r.header(end)
		if err != nil {
			return err
		}
		if h.length == indefinite && child.endOfContents() {
			return nil
		}
		if err := each(child, end); err != nil {
			return err
		}
	}
	return nil
}

// header reads identifier and length octets and checks that the contents fit.
func (r *berReader) header(end int) (berHeader, error) {
	identifier, err := r.identifier(end)
	if err != nil {
		return berHeader{}, err
	}
	start := r.pos
	length, err := r.length(end)
	if err != nil {
		return berHeader{}, err
	}
	h := berHeader{identifier: identifier, length: length}
	if h.endOfContents() && r.pos != start+1 {
		return h, r.fail("end-of-contents is not two octets of zero") // X.690, 8.1.5
	}
	if length == indefinite && !h.constructed() {
		return h, r.fail("indefinite length of a primitive")
	}
	if length > end-r.pos {
		return h, r.fail("%d bytes announced, %d left", length, end-r.pos)
	}
	return h, nil
}

func (r *berReader) identifier(end int) ([]byte, error) {
	start := r.pos
	first, err := r.octet(end)
	if err != nil || first&numberMask != highTagNumber {
		return r.in[start:r.pos], err
	}
	for range maxTagOctets {
		next, err := r.octet(end)
		if err != nil || next&0x80 == 0 {
			return r.in[start:r.pos], err
		}
	}
	return nil, r.fail("tag number too large")
}

func (r *berReader) length(end int) (int, error) {
	first, err := r.octet(end)
	if err != nil {
		return 0, err
	}
	if first < 0x80 {
		return int(first), nil
	}
	if first == 0x80 {
		return indefinite, nil
	}
	return r.longLength(int(first&0x7f), end)
}

func (r *berReader) longLength(octets, end int) (int, error) {
	length := 0
	for i := range octets {
		next, err := r.octet(end)
		if err != nil {
			return 0, err
		}
		length = length<<8 | int(next)
		if length > 0 && octets-i > maxLengthOctets {
			return 0, r.fail("length too large")
		}
	}
	return length, nil
}

func (r *berReader) octet(end int) (byte, error) {
	if r.pos >= end {
		return 0, r.fail("unexpected end")
	}
	b := r.in[r.pos]
	r.pos++
	return b, nil
}

// insertLength puts the length of everything written since start before it.
func (r *berReader) insertLength(start int) {
	var buf [1 + maxLengthOctets]byte
	length := appendLength(buf[:0], len(r.out)-start)
	r.moved += len(r.out) - start
	r.out = append(r.out, length...)
	copy(r.out[start+len(length):], r.out[start:len(r.out)-len(length)])
	copy(r.out[start:], length)
}

// appendLength appends the shortest definite form of n (X.690, 10.1).
func appendLength(dst []byte, n int) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	octets := 1
	for n>>(8*octets) != 0 {
		octets++
	}
	dst = append(dst, 0x80|byte(octets))
	for i := octets - 1; i >= 0; i-- {
		dst = append(dst, byte(n>>(8*i)))
	}
	return dst
}
