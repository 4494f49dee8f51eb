package onetime

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Form is how a challenge is written.
type Form string

// The forms.
const (
	// Standard has 32 characters, which every form field takes: 40 bits of id, 80 of MAC.
	Standard Form = "Standard"
	// Long carries data for the template's rules, within the 255 characters of a
	// challengePassword (RFC 2985, section 5.4.1): 128 bits of id, 256 of MAC.
	Long Form = "Long"
	// NDES has 16 hexadecimal digits, as Microsoft's server gives out: 28 bits of id, 36 of MAC.
	NDES Form = "NDES"
)

// binding bits of a token's first octet, beside the form's number.
const (
	toSubject = 1 << iota
	toAlternativeNames
	toRule
	bindingMask = toSubject | toAlternativeNames | toRule
)

// layout is what the forms of a token differ in; lengths in octets.
type layout struct {
	form    Form
	number  byte // the upper four bits of the first octet
	id, mac int
	maxData int
}

const expiryBytes = 4

// layouts; a token is the first octet, the id, its expiry in Unix seconds, data, the MAC.
var layouts = []layout{
	{form: Standard, number: 1, id: 5, mac: 10},
	{form: Long, number: 2, id: 16, mac: 32, maxData: 106},
}

func layoutOf(form Form) *layout {
	i := slices.IndexFunc(layouts, func(l layout) bool { return l.form == form })
	if i < 0 {
		return nil
	}
	return &layouts[i]
}

// token is a challenge of the Standard or Long form.
type token struct {
	layout *layout
	head   []byte // first octet, id, expiry, data
	mac    []byte
}

// errForm says that a text is no token.
var errForm = errors.New("not a one-time challenge")

// decode reads a token, and no text that its form would not be written as, but for
// the case of letters and the digits that people mistake for them.
func decode(text string) (*token, error) {
	raw, err := decodeText(text)
	if err != nil || len(raw) == 0 {
		return nil, errForm
	}
	first := raw[0]
	i := slices.IndexFunc(layouts, func(l layout) bool { return l.number == first>>4 })
	if i < 0 || first&0x0f&^bindingMask != 0 {
		return nil, errForm
	}
	l := &layouts[i]
	data := len(raw) - 1 - l.id - expiryBytes - l.mac
	if data < 0 || data > l.maxData {
		return nil, errForm
	}
	at := len(raw) - l.mac
	return &token{layout: l, head: raw[:at], mac: raw[at:]}, nil
}

// newToken has no MAC yet.
func newToken(l *layout, bindings byte, id []byte, expires time.Time, data []byte) *token {
	head := append([]byte{l.number<<4 | bindings}, id...)
	head = binary.BigEndian.AppendUint32(head, uint32(expires.Unix()))
	return &token{layout: l, head: append(head, data...)}
}

func (t *token) String() string { return encodeText(slices.Concat(t.head, t.mac)) }

// id names the issuance: it is the id with the form and the expiry, so that ids
// need to differ only among the challenges that expire in the same second.
func (t *token) id() []byte { return t.head[:1+t.layout.id+expiryBytes] }

func (t *token) expires() time.Time {
	return time.Unix(int64(binary.BigEndian.Uint32(t.head[1+t.layout.id:])), 0)
}

func (t *token) bound(bit byte) bool { return t.head[0]&bit != 0 }

// data is what the challenge carries for rules; nil if nothing.
func (t *token) data() (map[string]any, error) {
	raw := t.head[1+t.layout.id+expiryBytes:]
	if len(raw) == 0 {
		return nil, nil
	}
	var data map[string]any
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, errForm
	}
	return data, nil
}

// sign is the MAC that a token with such a binding has.
func (t *token) sign(key []byte, b Binding) []byte {
	return mac(key, slices.Concat([][]byte{t.head}, b.parts())...)[:t.layout.mac]
}
