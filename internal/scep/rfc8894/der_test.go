package rfc8894_test

import (
	"bytes"
	"encoding/asn1"
	"testing"
)

// at is the element that is reached by going to the n-th child, and so on.
func at(t *testing.T, der []byte, path ...int) asn1.RawValue {
	t.Helper()
	v := decode(t, der)[0]
	for _, n := range path {
		children := decode(t, v.Bytes)
		if n >= len(children) {
			t.Fatalf("no element %v in %x", path, der)
		}
		v = children[n]
	}
	return v
}

func decode(t *testing.T, der []byte) []asn1.RawValue {
	t.Helper()
	var all []asn1.RawValue
	for len(der) > 0 {
		var v asn1.RawValue
		var err error
		if der, err = asn1.Unmarshal(der, &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// edit replaces an element of DER.
func edit(t *testing.T, der []byte, change func(asn1.RawValue) []byte, path ...int) []byte {
	t.Helper()
	v := decode(t, der)[0]
	if len(path) == 0 {
		return change(v)
	}
	var contents []byte
	for n, child := range decode(t, v.Bytes) {
		if n == path[0] {
			contents = append(contents, edit(t, child.FullBytes, change, path[1:]...)...)
			continue
		}
		contents = append(contents, child.FullBytes...)
	}
	return element(v.FullBytes[0], contents)
}

// Where things are in a SignedData with certificates.
var (
	signedContentType  = []int{1, 0, 2, 0}
	signedContent      = []int{1, 0, 2, 1}
	signedCertificates = []int{1, 0, 3}
	signerInfo         = []int{1, 0, 4, 0}
	signedAttributes   = []int{1, 0, 4, 0, 3}
	signatureValue     = []int{1, 0, 4, 0, 5}
)

func drop(asn1.RawValue) []byte { return nil }

func replaced(by []byte) func(asn1.RawValue) []byte {
	return func(asn1.RawValue) []byte { return by }
}

func encodedOID(t *testing.T, oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	der, err := asn1.Marshal(oid)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var (
	idData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	idSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	idEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}
)

func wantOID(t *testing.T, v asn1.RawValue, want asn1.ObjectIdentifier) {
	t.Helper()
	if !bytes.Equal(v.FullBytes, encodedOID(t, want)) {
		t.Errorf("OID %x, want %v", v.FullBytes, want)
	}
}
