package onetime

import (
	"crypto/hmac"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/scepter-pki/scepter/internal/ra/challenge"
)

// The NDES form has no room for an expiry: the key that signs it changes with each
// slot, and the slots whose challenges may still be good are tried. Of its 64 bits,
// 28 are the id, so that two of a thousand challenges of one slot are alike with a
// probability of 1/500, and 36 are the MAC. A guess is right with one of 2³⁶ for
// each slot and key: Guard makes guessing hopeless.
const (
	ndesDigits = 16
	ndesIDBits = 28
	ndesMACs   = 64 - ndesIDBits
	slotLength = 10 * time.Minute
	// slotsRemembered is how many slots longer an old challenge is told that it expired.
	slotsRemembered = 6
)

// MaxNDESValidity bounds the slots to try.
const MaxNDESValidity = 24 * time.Hour

func isNDES(text string) bool {
	if len(text) != ndesDigits {
		return false
	}
	_, err := hex.DecodeString(text)
	return err == nil
}

func slotOf(t time.Time) int64 { return t.Unix() / int64(slotLength/time.Second) }

// slotExpires is when the challenges of a slot end: each is good for the validity
// at least, and for ten minutes longer at most.
func slotExpires(slot int64, validity time.Duration) time.Time {
	return time.Unix((slot+1)*int64(slotLength/time.Second), 0).Add(validity)
}

// ndesMAC is the MAC of an id within a slot.
func ndesMAC(key []byte, slot int64, id uint64, template string) uint64 {
	slotKey := mac(key, []byte("ndes"), binary.BigEndian.AppendUint64(nil, uint64(slot)))
	sum := mac(slotKey, binary.BigEndian.AppendUint64(nil, id), []byte(template))
	return binary.BigEndian.Uint64(sum) >> ndesIDBits
}

func ndesText(key []byte, slot int64, id uint64, template string) string {
	return strings.ToUpper(fmt.Sprintf("%016x", id<<ndesMACs|ndesMAC(key, slot, id, template)))
}

// ndesID names the issuance: ids repeat from slot to slot.
func ndesID(slot int64, id uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte("ndes"), uint64(slot)), id)
}

func (o *OneTime) verifyNDES(attempt challenge.Attempt, now time.Time) (*challenge.Admission, error) {
	if !o.config.NDES {
		return nil, nil
	}
	if !o.config.Guard.open() {
		return nil, ErrGuessing
	}
	slot, id, ok := o.provesNDES(attempt, now)
	if !ok {
		o.config.Guard.failed()
		return nil, nil
	}
	expires := slotExpires(slot, o.config.Validity)
	if !now.Before(expires) {
		return nil, errExpired
	}
	return o.admission(ndesID(slot, id), expires, "", nil), nil
}

// provesNDES tries the slots from the present one back.
func (o *OneTime) provesNDES(attempt challenge.Attempt, now time.Time) (slot int64, id uint64, ok bool) {
	raw, err := hex.DecodeString(attempt.Password)
	if err != nil || len(raw)*2 != ndesDigits {
		return 0, 0, false
	}
	value := binary.BigEndian.Uint64(raw)
	id = value >> ndesMACs
	oldest := slotOf(now.Add(-o.config.Validity)) - slotsRemembered
	for slot := slotOf(now); slot >= oldest; slot-- {
		for _, key := range o.keys {
			want := id<<ndesMACs | ndesMAC(key, slot, id, attempt.Template)
			if hmac.Equal(raw, binary.BigEndian.AppendUint64(nil, want)) {
				return slot, id, true
			}
		}
	}
	return 0, 0, false
}

// ErrGuessing says that so many wrong challenges of the NDES form came that
// somebody may be guessing: for a while none is looked at.
var ErrGuessing = errors.New("too many wrong challenges of 16 digits: somebody may be guessing; look for the clients in the audit records")

// Limits of a Guard, which are a server's. With challenges of one hour and one key,
// a guess is right once in some ten thousand million: at this rate and with two
// servers, once in 155 years.
const (
	guessesPerSecond = 1
	guessesBurst     = 60
)

// Guard limits how many wrong challenges of the NDES form a server looks at.
type Guard struct{ limiter *rate.Limiter }

// NewGuard makes a guard.
func NewGuard() *Guard { return &Guard{rate.NewLimiter(guessesPerSecond, guessesBurst)} }

func (g *Guard) open() bool { return g.limiter.Tokens() >= 1 }

func (g *Guard) failed() { g.limiter.Allow() }
