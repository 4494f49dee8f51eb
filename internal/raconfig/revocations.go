package raconfig

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// RevocationsFile is the key of the ConfigMap "<endpoint>-revoked", and the file in RevokedDir.
const RevocationsFile = "revoked.json"

// Bounds of a list: an object in a cluster holds a mebibyte.
const (
	// MaxRevocationsBytes is the size of RevocationsFile.
	MaxRevocationsBytes = 1000 << 10
	// MaxRevocations is how many certificates a list names.
	MaxRevocations = 6500
)

// RevocationReason says why a certificate was revoked, in the words of RFC 5280,
// section 5.3.1.
type RevocationReason string

// The reasons. Those that concern CAs are left out, and those that take a
// revocation back.
const (
	Unspecified          RevocationReason = "unspecified"
	KeyCompromise        RevocationReason = "keyCompromise"
	AffiliationChanged   RevocationReason = "affiliationChanged"
	Superseded           RevocationReason = "superseded"
	CessationOfOperation RevocationReason = "cessationOfOperation"
	PrivilegeWithdrawn   RevocationReason = "privilegeWithdrawn"
)

// reasonCodes are those of CRLReason (RFC 5280, section 5.3.1).
var reasonCodes = map[RevocationReason]int{
	Unspecified: 0, KeyCompromise: 1, AffiliationChanged: 3, Superseded: 4, CessationOfOperation: 5, PrivilegeWithdrawn: 9,
}

// Code is the reason's number in a CRL.
func (r RevocationReason) Code() int { return reasonCodes[r] }

// RevocationReasons lists the reasons in the order of their numbers.
func RevocationReasons() []RevocationReason {
	return []RevocationReason{Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn}
}

// Revocations are the certificates that an endpoint has revoked. A value is never
// changed; With makes the next one.
type Revocations struct {
	Version string `json:"version"`
	// Updated is when the list was changed, to the second, and later than that of every
	// list before: CRLs are numbered by it.
	Updated time.Time `json:"updated"`
	// Revoked in the order of their serial numbers, each once.
	Revoked []Revocation `json:"revoked"`
}

// Revocation is a certificate that was revoked.
type Revocation struct {
	// Serial number as made by SerialText.
	Serial string           `json:"serial"`
	Time   time.Time        `json:"time"`
	Reason RevocationReason `json:"reason"`
	// Expires is the certificate's end, where it is known: a while later it need not be
	// listed any more.
	Expires time.Time `json:"expires,omitzero"`
}

// ErrRevocations is wrapped by the errors of revocation lists.
var ErrRevocations = errors.New("invalid list of revocations")

// maxSerialDigits are twenty octets (RFC 5280, section 4.1.2.2).
const maxSerialDigits = 40

// SerialText is a serial number in lower-case hexadecimal without leading zeros.
func SerialText(n *big.Int) string { return n.Text(16) }

// ParseSerial reads a positive serial number in hexadecimal, as people and programs
// write it: in either case, with colons or blanks between octets, or after "0x".
func ParseSerial(text string) (*big.Int, error) {
	digits := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(text)), "0x")
	digits = strings.NewReplacer(":", "", " ", "").Replace(digits)
	if strings.ContainsFunc(digits, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) }) {
		return nil, fmt.Errorf("serial number %.50q is not hexadecimal", text)
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" || len(digits) > maxSerialDigits {
		return nil, fmt.Errorf("serial number %.50q has not between 1 and %d hexadecimal digits", text, maxSerialDigits)
	}
	n, _ := new(big.Int).SetString(digits, 16) // nothing but digits
	return n, nil
}

// Find returns the revocation of a serial number; nil if there is none.
func (r *Revocations) Find(serial *big.Int) *Revocation {
	i, found := slices.BinarySearchFunc(r.Revoked, SerialText(serial), func(have Revocation, serial string) int {
		return compareSerials(have.Serial, serial)
	})
	if !found {
		return nil
	}
	return &r.Revoked[i]
}

// compareSerials compares numbers without leading zeros.
func compareSerials(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// With is the list with more revocations, and whether it differs: what is revoked
// already stays as it was. The error wraps ErrRevocations: one of more is not as it
// has to be, or the list is full.
func (r *Revocations) With(now time.Time, more ...Revocation) (next *Revocations, changed bool, err error) {
	next = &Revocations{Version: Version, Updated: r.Updated, Revoked: slices.Clone(r.Revoked)}
	for _, one := range more {
		if err := one.check(); err != nil {
			return nil, false, fmt.Errorf("%w: %w", ErrRevocations, err)
		}
		i, found := slices.BinarySearchFunc(next.Revoked, one, bySerial)
		if found {
			continue
		}
		one.Time, one.Expires = seconds(one.Time), seconds(one.Expires)
		next.Revoked, changed = slices.Insert(next.Revoked, i, one), true
	}
	if !changed {
		return r, false, nil
	}
	next.Updated = after(r.Updated, now)
	if len(next.Revoked) > MaxRevocations {
		return nil, false, fmt.Errorf("%w: it would name %d certificates, %d have room", ErrRevocations, len(next.Revoked), MaxRevocations)
	}
	return next, true, nil
}

// Without is the list without certificates that ended before a time: a CRL after
// their end has listed them (RFC 5280, section 3.3). It is the same list if there are none.
func (r *Revocations) Without(now, endedBefore time.Time) *Revocations {
	ended := func(one Revocation) bool { return !one.Expires.IsZero() && one.Expires.Before(endedBefore) }
	if !slices.ContainsFunc(r.Revoked, ended) {
		return r
	}
	return &Revocations{
		Version: Version,
		Updated: after(r.Updated, now),
		Revoked: slices.DeleteFunc(slices.Clone(r.Revoked), ended),
	}
}

// after is now, or the second after an earlier change.
func after(before, now time.Time) time.Time {
	now = seconds(now)
	if next := seconds(before).Add(time.Second); next.After(now) {
		return next
	}
	return now
}

func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func bySerial(a, b Revocation) int { return compareSerials(a.Serial, b.Serial) }

func (r *Revocation) check() error {
	n, err := ParseSerial(r.Serial)
	switch {
	case err != nil:
		return err
	case SerialText(n) != r.Serial:
		return fmt.Errorf("serial number %q is not in lower case without leading zeros", r.Serial)
	case !plausible(r.Time):
		return fmt.Errorf("%s: the time of revocation is not within the years that a CRL can name", r.Serial)
	case !r.Expires.IsZero() && !plausible(r.Expires):
		return fmt.Errorf("%s: the end is not within the years that a certificate can name", r.Serial)
	}
	if _, known := reasonCodes[r.Reason]; !known {
		return fmt.Errorf("%s: reason %.50q is none of %v", r.Serial, r.Reason, RevocationReasons())
	}
	return nil
}

// Years that times in certificates can have.
const (
	firstYear = 1970
	lastYear  = 9999
)

func plausible(t time.Time) bool { return t.UTC().Year() >= firstYear && t.UTC().Year() <= lastYear }

// EncodeRevocations writes a list as JSON, one certificate a line: the same bytes
// for the same list. A list that Decode would not read is an error that wraps ErrRevocations.
func EncodeRevocations(r *Revocations) ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRevocations, err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\"version\":%q,\"updated\":%q,\"revoked\":[", r.Version, r.Updated.UTC().Format(time.RFC3339))
	for i, one := range r.Revoked {
		line, err := json.Marshal(one)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRevocations, err)
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
		out.Write(line)
	}
	out.WriteString("\n]}\n")
	if out.Len() > MaxRevocationsBytes {
		return nil, fmt.Errorf("%w: it has %d bytes, %d have room", ErrRevocations, out.Len(), MaxRevocationsBytes)
	}
	return out.Bytes(), nil
}

// DecodeRevocations reads a list. Unknown fields, another version, and entries that
// are not sorted, not unique or not readable are errors that wrap ErrRevocations.
func DecodeRevocations(in []byte) (*Revocations, error) {
	if len(in) > MaxRevocationsBytes {
		return nil, fmt.Errorf("%w: it has %d bytes, %d are read", ErrRevocations, len(in), MaxRevocationsBytes)
	}
	decoder := json.NewDecoder(bytes.NewReader(in))
	decoder.DisallowUnknownFields()
	var r Revocations
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRevocations, err)
	}
	if decoder.More() {
		return nil, fmt.Errorf("%w: there is something behind it", ErrRevocations)
	}
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRevocations, err)
	}
	return &r, nil
}

func (r *Revocations) validate() error {
	switch {
	case r.Version != Version:
		return fmt.Errorf("version %q is not %q", r.Version, Version)
	case !plausible(r.Updated) || !r.Updated.Equal(seconds(r.Updated)):
		return errors.New("updated is no time in whole seconds")
	case len(r.Revoked) > MaxRevocations:
		return fmt.Errorf("it names %d certificates, %d have room", len(r.Revoked), MaxRevocations)
	}
	for i := range r.Revoked {
		if err := r.Revoked[i].check(); err != nil {
			return err
		}
		if i > 0 && bySerial(r.Revoked[i-1], r.Revoked[i]) >= 0 {
			return fmt.Errorf("%s: it is not in the order of the serial numbers, or is there twice", r.Revoked[i].Serial)
		}
	}
	return nil
}

// NewRevocations is an empty list.
func NewRevocations(now time.Time) *Revocations {
	return &Revocations{Version: Version, Updated: seconds(now), Revoked: []Revocation{}}
}
