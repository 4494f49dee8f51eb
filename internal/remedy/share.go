package remedy

import (
	"errors"
	"strconv"
	"strings"
)

// Share is a number of endpoints: so many, or so many of a hundred. At least one is always
// allowed, or nothing would ever be mended. It is a flag.Value.
type Share struct {
	count   int
	percent int
}

// DefaultShare is a tenth of the endpoints.
var DefaultShare = Share{percent: 10}

var errShare = errors.New("must be a number of endpoints from 1, or 1% to 100%")

// Of is the share of so many endpoints.
func (s Share) Of(endpoints int) int {
	if s.count > 0 {
		return s.count
	}
	return max(1, endpoints*s.percent/100)
}

// String is what Set reads.
func (s Share) String() string {
	if s.count > 0 {
		return strconv.Itoa(s.count)
	}
	return strconv.Itoa(s.percent) + "%"
}

// Set reads "3" or "10%".
func (s *Share) Set(text string) error {
	digits, isPercent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || isPercent && n > 100 {
		return errShare
	}
	*s = Share{count: int(n)}
	if isPercent {
		*s = Share{percent: int(n)}
	}
	return nil
}
