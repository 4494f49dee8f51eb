package baseline

// Hop is a stage that the requests of an enrolment come to, in this order.
type Hop int

// The hops.
const (
	// Arrives is GetCACaps or GetCACert; as the hop of a Break: nothing comes at all.
	Arrives Hop = iota
	// PKIOperation is a message that arrived.
	PKIOperation
	// Opened is a message that could be decrypted and whose signature verifies.
	Opened
	// Authenticated is a request that a challenge or a certificate let in, or one that
	// is known.
	Authenticated
	// Judged is a request that a template allows, or one that is known.
	Judged
	// Issued is a certificate that was handed out.
	Issued
	hops
)

var names = [hops]string{"Arrives", "PKIOperation", "Opened", "Authenticated", "Judged", "Issued"}

// String is the name of a hop, as in the API.
func (h Hop) String() string {
	if h < 0 || h >= hops {
		return "Unknown"
	}
	return names[h]
}

// HopOf is the hop of a name; false if there is none.
func HopOf(name string) (Hop, bool) {
	for h, have := range names {
		if have == name {
			return Hop(h), true
		}
	}
	return 0, false
}

// Counts are how many requests came to each hop.
type Counts [hops]uint64

// stepsOf are the steps of a server's funnel that count for a hop. A request that is
// known (recalled) skips two.
var stepsOf = [hops][]string{
	Arrives:       {"GetCACaps", "GetCACert"},
	PKIOperation:  {"PKIOperation"},
	Opened:        {"opened"},
	Authenticated: {"authenticated", "recalled"},
	Judged:        {"judged", "recalled"},
	Issued:        {"issued"},
}

// CountsOf adds up the steps of a server's funnel.
func CountsOf(steps map[string]uint64) Counts {
	var out Counts
	for hop, from := range stepsOf {
		for _, step := range from {
			out[hop] += steps[step]
		}
	}
	return out
}

// since is what was counted after an earlier look. A server that counts less than then
// has started anew.
func (c Counts) since(before Counts) Counts {
	var out Counts
	for h := range c {
		if c[h] < before[h] {
			return c
		}
		out[h] = c[h] - before[h]
	}
	return out
}

func (c Counts) plus(d Counts) Counts {
	for h := range c {
		c[h] += d[h]
	}
	return c
}
