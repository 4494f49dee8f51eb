// Package probemark is how the servers of an endpoint know their own probes, and how
// a probe knows their answers. A probe carries a mark, made with a key that only the
// endpoint's servers hold; a server that knows the mark puts a receipt beside its
// answer: what it received and what it answered, signed. So a probe can tell a server
// from anything in front of it, and a request that arrived whole from one that did
// not; and servers do not count probes among devices. Without a mark there is no
// receipt: strangers learn nothing.
//
// Somebody who overhears a mark can use it for an hour, to have GetCACaps and
// GetCACert answered uncounted, and to learn what he sent: nothing else.
package probemark

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// Header is the field that carries a mark in a request, and a receipt in an answer.
const Header = "Scepter-Probe"

// Key makes and checks marks and receipts.
type Key []byte

// NewKey derives the key from the endpoint's own, which is 32 bytes.
func NewKey(endpoint []byte) Key { return sum(endpoint, "scepter probe", nil) }

const (
	macBytes   = 16
	nonceBytes = 16
	markBytes  = 8 + nonceBytes + macBytes // time, nonce, MAC
	// maxAge bounds how long a mark serves whoever overhears it. It leaves room for
	// clocks that differ, which is for a probe to find out, not to fail by.
	maxAge = time.Hour
)

// Sum identifies what was sent, or answered.
type Sum [16]byte

// SumOf is the beginning of the SHA-256.
func SumOf(content []byte) Sum {
	full := sha256.Sum256(content)
	return Sum(full[:len(Sum{})])
}

// Receipt is what a server received and answered.
type Receipt struct {
	// TargetBytes is the length of the request target.
	TargetBytes int
	// Target, Body and Answer identify the request target, the request's body and the
	// answer's body.
	Target, Body, Answer Sum
}

const (
	sumBytes     = len(Sum{})
	fieldsBytes  = 8 + 3*sumBytes
	receiptBytes = fieldsBytes + macBytes
)

var (
	errMark = errors.New("no mark of this endpoint's probes")
	// ErrReceipt means that no server of this endpoint has made the receipt, or not for this mark.
	ErrReceipt = errors.New("no receipt of this endpoint's servers")
)

var encoding = base64.RawURLEncoding.Strict()

// Mark makes a mark. The nonce is random, and used once.
func (k Key) Mark(now time.Time, nonce [nonceBytes]byte) string {
	mark := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	mark = append(mark, nonce[:]...)
	return encoding.EncodeToString(append(mark, sum(k, "mark", mark)[:macBytes]...))
}

// Knows says whether this endpoint's prober has made a mark, within the hour.
func (k Key) Knows(mark string, now time.Time) bool {
	raw, err := k.open("mark", mark, markBytes)
	if err != nil {
		return false
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	return now.Sub(made).Abs() <= maxAge
}

// Sign makes the receipt for a request with a mark.
func (k Key) Sign(mark string, r Receipt) string {
	fields := binary.BigEndian.AppendUint64(nil, uint64(r.TargetBytes))
	for _, s := range []Sum{r.Target, r.Body, r.Answer} {
		fields = append(fields, s[:]...)
	}
	return encoding.EncodeToString(append(fields, sum(k, receiptLabel(mark), fields)[:macBytes]...))
}

// Verify reads a receipt; ErrReceipt if it is not one for this mark.
func (k Key) Verify(mark, receipt string) (Receipt, error) {
	raw, err := k.open(receiptLabel(mark), receipt, receiptBytes)
	if err != nil {
		return Receipt{}, ErrReceipt
	}
	at := func(i int) Sum { return Sum(raw[8+i*sumBytes:]) }
	return Receipt{
		TargetBytes: int(binary.BigEndian.Uint64(raw)), Target: at(0), Body: at(1), Answer: at(2),
	}, nil
}

func receiptLabel(mark string) string { return "receipt for " + mark }

// open decodes what ends in its MAC, and gives what is before that.
func (k Key) open(label, text string, size int) ([]byte, error) {
	text = strings.TrimSpace(text)
	raw, err := encoding.DecodeString(text)
	if err != nil || len(raw) != size {
		return nil, errMark
	}
	if encoding.EncodeToString(raw) != text {
		return nil, errMark // the decoder passes over line breaks
	}
	content, mac := raw[:size-macBytes], raw[size-macBytes:]
	if len(k) == 0 || !hmac.Equal(mac, sum(k, label, content)[:macBytes]) {
		return nil, errMark
	}
	return content, nil
}

func sum(key []byte, label string, content []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(label)) // a hash takes everything
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(content)
	return h.Sum(nil)
}
