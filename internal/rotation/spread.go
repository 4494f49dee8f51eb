package rotation

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	// spreadShare is the part of a certificate's time in use that renewals are spread over.
	spreadShare = 10
	// maxSpread bounds it.
	maxSpread = 24 * time.Hour
)

// Spread is how much earlier than the others of its age a credential is renewed, so
// that a thousand that were made together do not all ask the issuer in one moment:
// a tenth of the time from issue to renewal, and a day, at most. It is the same each
// time for one UID, in whole seconds.
func Spread(uid string, duration, renewBefore time.Duration) time.Duration {
	window := min((duration-renewBefore)/spreadShare, maxSpread)
	if window < time.Second {
		return 0
	}
	sum := sha256.Sum256([]byte(uid))
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%uint64(window/time.Second)) * time.Second
}
