// Package onetime mints and verifies challenges that let one device in, once.
//
// A challenge carries its own proof, so nothing is written when it is minted: an
// id, its expiry, and a MAC over them and over all that it is bound to. What it is
// bound to beside the endpoint and the template (exact names, or a rule of the
// template) is not in it: whoever verifies it takes that from the request. That it
// is used once is the doing of whoever records the request under the id.
//
// There are three forms (see Form). All are pure functions of keys, time and
// randomness, and need neither files nor network.
package onetime

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// KeyBytes is the least length of a key.
const KeyBytes = 32

// MaxKeys is how many keys are valid at once.
const MaxKeys = 2

// Config of one entry of an endpoint's challenges.
type Config struct {
	// Name of the entry.
	Name string
	// Endpoint is the UID of the ScepEndpoint: a challenge of another does not fit,
	// even if somebody copied the key.
	Endpoint string
	// Keys, of which the first mints and all verify; one or two.
	Keys [][]byte
	// Validity of a challenge for which no other is asked; the longest that can be.
	Validity time.Duration
	// Rekey is for how long after its first use a challenge also serves another key.
	Rekey time.Duration
	// NDES allows the form of 16 hexadecimal digits.
	NDES bool
	// Templates of the endpoint, with the names of their named rules.
	Templates map[string][]string
	// Guard limits wrong tries of the NDES form. It outlives the configuration.
	Guard *Guard
	// Now is the clock.
	Now func() time.Time
}

// OneTime is an entry of type OneTime. It is safe for concurrent use.
type OneTime struct {
	config Config
	keys   [][]byte // derived
}

var (
	errKeys     = errors.New("one or two keys of at least 32 bytes are needed")
	errValidity = errors.New("the NDES form wants a guard, and a validity of a day at most")
)

// New makes an entry.
func New(c Config) (*OneTime, error) {
	if len(c.Keys) == 0 || len(c.Keys) > MaxKeys {
		return nil, errKeys
	}
	if c.NDES && (c.Guard == nil || c.Validity > MaxNDESValidity) {
		return nil, errValidity
	}
	o := &OneTime{config: c}
	for _, key := range c.Keys {
		if len(key) < KeyBytes {
			return nil, errKeys
		}
		o.keys = append(o.keys, mac(key, []byte("scepter.dev/one-time"), []byte(c.Endpoint), []byte(c.Name)))
	}
	return o, nil
}

// Name implements challenge.Verifier.
func (o *OneTime) Name() string { return o.config.Name }

// SingleUse implements challenge.SingleUse.
func (o *OneTime) SingleUse() {}

// errExpired is told only to whoever holds a challenge that was good once.
var errExpired = refusal.New(refusal.ChallengeExpired, "challenge expired: ask for a new one")

// Verify implements challenge.Verifier. A challenge in another form is somebody
// else's business, and a wrong MAC is simply wrong.
func (o *OneTime) Verify(_ context.Context, attempt challenge.Attempt) (*challenge.Admission, error) {
	now := o.config.Now()
	if isNDES(attempt.Password) {
		return o.verifyNDES(attempt, now)
	}
	token, err := decode(attempt.Password)
	if err != nil {
		return nil, nil //nolint:nilerr // not a challenge of this kind
	}
	rule, ok := o.proves(token, attempt)
	if !ok {
		return nil, nil
	}
	if !now.Before(token.expires()) {
		return nil, errExpired
	}
	data, err := token.data()
	if err != nil {
		return nil, nil //nolint:nilerr // minted by a version that knows other data
	}
	return o.admission(token.id(), token.expires(), rule, data), nil
}

func (o *OneTime) admission(id []byte, expires time.Time, rule string, data map[string]any) *challenge.Admission {
	return &challenge.Admission{
		Challenge: o.config.Name,
		ID:        id,
		Expires:   expires,
		Rekey:     o.config.Rekey,
		Rule:      rule,
		Data:      data,
	}
}

// proves says whether the MAC is right for the attempt, and by which rule.
func (o *OneTime) proves(t *token, attempt challenge.Attempt) (rule string, ok bool) {
	b, err := t.requestBinding(attempt)
	if err != nil {
		return "", false
	}
	rules := []string{""}
	if t.bound(toRule) {
		rules = o.config.Templates[attempt.Template]
	}
	for _, rule := range rules {
		b.Rule = rule
		for _, key := range o.keys {
			if hmac.Equal(t.mac, t.sign(key, b)) {
				return rule, true
			}
		}
	}
	return "", false
}

// Binding is what a challenge is bound to beside its endpoint and entry.
type Binding struct {
	// Template is the endpoint's name of a template.
	Template string
	// Subject and AlternativeNames, in canonical form; nil: any that the template
	// allows. An empty list that is not nil allows none.
	Subject, AlternativeNames []string
	// Rule is the name of a rule of the template; "": none.
	Rule string
}

// requestBinding is the binding that a challenge must have for the request.
func (t *token) requestBinding(attempt challenge.Attempt) (Binding, error) {
	b := Binding{Template: attempt.Template}
	if !t.bound(toSubject) && !t.bound(toAlternativeNames) {
		return b, nil
	}
	names, err := policy.RequestNames(attempt.CSR)
	if err != nil {
		return b, err //nolint:wrapcheck // a refusal, which nobody is shown
	}
	if t.bound(toSubject) {
		b.Subject = names.Subject
	}
	if t.bound(toAlternativeNames) {
		b.AlternativeNames = names.AlternativeNames
	}
	return b, nil
}

// parts of a binding, for the MAC.
func (b Binding) parts() [][]byte {
	out := [][]byte{[]byte(b.Template), []byte(b.Rule), count(b.Subject)}
	for _, s := range b.Subject {
		out = append(out, []byte(s))
	}
	for _, s := range b.AlternativeNames {
		out = append(out, []byte(s))
	}
	return out
}

func count(list []string) []byte { return binary.BigEndian.AppendUint32(nil, uint32(len(list))) }

// mac is an HMAC-SHA-256 over parts that cannot run into each other.
func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return h.Sum(nil)
}
