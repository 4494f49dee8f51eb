package onetime

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Order asks for a challenge.
type Order struct {
	Form Form
	Binding
	// Validity; zero: that of the entry, which is the longest.
	Validity time.Duration
	// Data for the template's rules; in the Long form only.
	Data map[string]any
}

// Minted is a challenge.
type Minted struct {
	Challenge string
	Expires   time.Time
}

// OrderError says what is wrong with an order.
type OrderError struct{ text string }

// Error is for whoever asked.
func (e *OrderError) Error() string { return e.text }

func wrong(format string, args ...any) error { return &OrderError{fmt.Sprintf(format, args...)} }

// Mint makes a challenge. It writes nothing, anywhere. Its error is an
// *OrderError, or that of the source of randomness.
func (o *OneTime) Mint(order Order, random io.Reader) (*Minted, error) {
	if order.Validity == 0 {
		order.Validity = o.config.Validity
	}
	if err := o.check(order); err != nil {
		return nil, err
	}
	if order.Form == NDES {
		return o.mintNDES(order, random)
	}
	return o.mintToken(order, random)
}

func (o *OneTime) check(order Order) error {
	rules, known := o.config.Templates[order.Template]
	switch {
	case !known:
		return wrong("template %q is none of this endpoint's", order.Template)
	case order.Rule != "" && !slices.Contains(rules, order.Rule):
		return wrong("template %q has no rule named %q", order.Template, order.Rule)
	case order.Validity < time.Second || order.Validity > o.config.Validity:
		return wrong("validity must be between 1s and %s, which is the challenge's own", o.config.Validity)
	case order.Form == NDES:
		return o.checkNDES(order)
	case layoutOf(order.Form) == nil:
		return wrong("form %q is none of %s, %s and %s", order.Form, Standard, Long, NDES)
	case len(order.Data) > 0 && order.Form != Long:
		return wrong("only the form %s carries data", Long)
	}
	return nil
}

func (o *OneTime) checkNDES(order Order) error {
	switch {
	case !o.config.NDES:
		return wrong("challenge %q does not allow the form %s", o.config.Name, NDES)
	case order.Subject != nil || order.AlternativeNames != nil || order.Rule != "" || len(order.Data) > 0:
		return wrong("the form %s is bound to its template only: ask for the form %s", NDES, Standard)
	case order.Validity != o.config.Validity:
		return wrong("the form %s has the validity of the challenge, %s", NDES, o.config.Validity)
	}
	return nil
}

func (o *OneTime) mintToken(order Order, random io.Reader) (*Minted, error) {
	l := layoutOf(order.Form)
	data, err := encodeData(order.Data, l.maxData)
	if err != nil {
		return nil, err
	}
	id := make([]byte, l.id)
	if _, err := io.ReadFull(random, id); err != nil {
		return nil, fmt.Errorf("mint a challenge: %w", err)
	}
	t := newToken(l, order.bits(), id, o.config.Now().Add(order.Validity), data)
	t.mac = t.sign(o.keys[0], order.Binding)
	return &Minted{Challenge: t.String(), Expires: t.expires()}, nil
}

func encodeData(data map[string]any, limit int) ([]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, wrong("data: %v", err)
	}
	if len(raw) > limit {
		return nil, wrong("data has %d bytes as JSON, at most %d have room", len(raw), limit)
	}
	return raw, nil
}

func (b Binding) bits() byte {
	var bits byte
	if b.Subject != nil {
		bits |= toSubject
	}
	if b.AlternativeNames != nil {
		bits |= toAlternativeNames
	}
	if b.Rule != "" {
		bits |= toRule
	}
	return bits
}

func (o *OneTime) mintNDES(order Order, random io.Reader) (*Minted, error) {
	var raw [8]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return nil, fmt.Errorf("mint a challenge: %w", err)
	}
	id := binary.BigEndian.Uint64(raw[:]) >> ndesMACs
	slot := slotOf(o.config.Now())
	return &Minted{
		Challenge: ndesText(o.keys[0], slot, id, order.Template),
		Expires:   slotExpires(slot, o.config.Validity),
	}, nil
}
