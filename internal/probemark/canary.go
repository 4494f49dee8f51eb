package probemark

import (
	"crypto/x509"
	"encoding/binary"
	"time"
)

// CanaryKey lets messages pass as a canary's: those by which a prober tries what
// devices do, to the end. It is derived from the endpoint's key under a label of its
// own, so a probe's mark is no pass and a pass is no mark.
type CanaryKey []byte

// NewCanaryKey derives the key from the endpoint's own, which is 32 bytes.
func NewCanaryKey(endpoint []byte) CanaryKey { return sum(endpoint, "scepter canary", nil) }

// NewFullCanaryKey derives the key of the canaries that a certificate is issued to. Its
// passes are good for that alone, and those of the other key are not.
func NewFullCanaryKey(endpoint []byte) CanaryKey { return sum(endpoint, "scepter full canary", nil) }

// Keys are those that an endpoint's servers know their own probes by.
type Keys struct {
	Probe  Key
	Canary CanaryKey
	// Full is that of canaries which get a certificate.
	Full CanaryKey
}

// NewKeys derives them from the endpoint's own, which is 32 bytes.
func NewKeys(endpoint []byte) Keys {
	return Keys{Probe: NewKey(endpoint), Canary: NewCanaryKey(endpoint), Full: NewFullCanaryKey(endpoint)}
}

// CanaryName is the common name that every canary asks for.
const CanaryName = "Scepter canary"

// IsCanary says whether a certificate was issued to a canary. It authenticates nobody. An
// issuer may have added to the name, but it leaves that in.
func IsCanary(c *x509.Certificate) bool { return c.Subject.CommonName == CanaryName }

// DryRun is the failInfoText of the answer to a canary that was found good. No device
// gets it, and nothing is issued with it.
const DryRun = "dry run: nothing was issued"

// IssuedLately is the failInfoText of the answer to a canary that would get a certificate,
// had not another one got one a short while ago.
const IssuedLately = "a canary was issued lately: nothing more was issued"

const (
	passBytes = 8 + sumBytes + macBytes // time, message, MAC
	// passAge bounds how long a pass serves. With the same message alone, and to the
	// same end, so whoever overhears it gains nothing; clocks may differ by as much.
	passAge = 15 * time.Minute
)

// Pass makes what lets this one message be a canary's.
func (k CanaryKey) Pass(now time.Time, message []byte) string {
	pass := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	about := SumOf(message)
	pass = append(pass, about[:]...)
	return encoding.EncodeToString(append(pass, sum(k, "pass", pass)[:macBytes]...))
}

// Opens says whether this endpoint's prober has made a pass lately, and for which
// message it is good.
func (k CanaryKey) Opens(pass string, now time.Time) (message Sum, ok bool) {
	raw, err := Key(k).open("pass", pass, passBytes)
	if err != nil {
		return Sum{}, false
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	return Sum(raw[8:]), now.Sub(made).Abs() <= passAge
}

// Sign makes the receipt for a message with a pass.
func (k CanaryKey) Sign(pass string, r Receipt) string { return Key(k).Sign(pass, r) }

// Verify reads a receipt; ErrReceipt if it is not one for this pass.
func (k CanaryKey) Verify(pass, receipt string) (Receipt, error) { return Key(k).Verify(pass, receipt) }
