package remedy

import (
	"cmp"
	"maps"
	"slices"
)

const (
	// systemicAbove is the part of the endpoints, one in so many, above which a reason that
	// they share is systemic; it ends at systemicUntil, one in so many.
	systemicAbove = 5
	systemicUntil = 10
	// systemicLeast is how many endpoints it takes at least.
	systemicLeast = 5
)

// Systemic is a reason for which many endpoints are not Ready; the zero value is none.
type Systemic struct {
	// Reason that they share; "" for none.
	Reason string
	// Count of those that have it, of how many.
	Count, Of int
}

// Active says whether there is such a reason.
func (s Systemic) Active() bool { return s.Reason != "" }

// next judges anew. What has begun ends only when half as many are left, so that one
// endpoint that comes and goes does not switch it on and off.
func (s Systemic) next(counts map[string]int, of int) Systemic {
	if count := counts[s.Reason]; s.Active() && count*systemicUntil > of {
		return Systemic{Reason: s.Reason, Count: count, Of: of}
	}
	reason := commonest(counts)
	if count := counts[reason]; count >= systemicLeast && count*systemicAbove > of {
		return Systemic{Reason: reason, Count: count, Of: of}
	}
	return Systemic{}
}

// commonest is the reason that most share; of several the first by name.
func commonest(counts map[string]int) string {
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	if len(reasons) == 0 {
		return ""
	}
	return reasons[0]
}
