package rotation

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// The keys of one-time challenges are replaced without a moment in which a server
// meets a challenge that it cannot verify:
//
//	make    after the period a next key is made, which verifies only
//	switch  when every server says that it holds it, it mints; the one before verifies only
//	settle  when every server says that it mints with it, that time is noted
//	drop    when the last challenge of the key before has ended since then, that key goes
//
// Each step is one write, and none is forced.
const (
	// KeyPeriod is how long a key mints before the next one is made.
	KeyPeriod = 90 * 24 * time.Hour
	// keySettle is how long a next key is there before it may mint at the earliest: a pod
	// that is not seen yet may have mounted what was there before.
	keySettle = 30 * time.Second
	// keySlack is added to the validity of challenges: the clocks of servers may be five
	// minutes apart, and challenges of the NDES form live ten minutes longer.
	keySlack = 15 * time.Minute
	// keyClock is how far ahead of the clock a time may be that was noted.
	keyClock = 5 * time.Minute
)

// KeyTimes is what is remembered of an endpoint's keys of one-time challenges.
type KeyTimes struct {
	// Since is when the active key began to mint; zero if that is not known.
	Since time.Time `json:"since"`
	// Changed is when the last step was taken.
	Changed time.Time `json:"changed"`
	// Settled is when every server was known to mint with the active key and none with the
	// one before; zero while that is not known, or if there is none before.
	Settled time.Time `json:"settled,omitzero"`
	// LongestSeconds is how long, at most, a challenge can be of use that was minted with
	// any of the keys. It only grows: a challenge keeps the validity that it was minted with.
	LongestSeconds int64 `json:"longestSeconds"`
}

func (t KeyTimes) longest() time.Duration { return time.Duration(t.LongestSeconds) * time.Second }

func (t KeyTimes) equal(o KeyTimes) bool {
	return t.Since.Equal(o.Since) && t.Changed.Equal(o.Changed) && t.Settled.Equal(o.Settled) && t.LongestSeconds == o.LongestSeconds
}

// EncodeKeyTimes writes them as JSON.
func EncodeKeyTimes(t KeyTimes) ([]byte, error) {
	raw, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode the times of keys: %w", err)
	}
	return raw, nil
}

// DecodeKeyTimes reads what EncodeKeyTimes wrote. What cannot be read is as good as
// nothing: the period begins anew.
func DecodeKeyTimes(raw []byte) KeyTimes {
	var t KeyTimes
	if json.Unmarshal(raw, &t) != nil || t.LongestSeconds < 0 {
		return KeyTimes{}
	}
	return t
}

// KeySlots names the keys that are stored, by their IDs; "" is none.
type KeySlots struct {
	// Active mints and verifies; the others verify.
	Active, Next, Previous string
}

// KeyInput is the state that a KeyPlan is made from.
type KeyInput struct {
	KeySlots
	// Times as they are stored.
	Times KeyTimes
	// Servers has, for each server that may serve, the IDs that it reports to hold, of
	// which the first mints; none for one that does not say.
	Servers [][]string
	// Unknown is true while it is not known which servers there are.
	Unknown bool
	// Longest is how long, at most, a one-time challenge of the endpoint can be of use;
	// zero if it has none.
	Longest time.Duration
	// Period is how long a key mints.
	Period time.Duration
	// RotateAfter has a key replaced that began to mint before it; zero for none.
	RotateAfter time.Time
	Now         time.Time
}

// KeyStep is what is to be done with the stored keys.
type KeyStep string

// The steps.
const (
	// KeyRest is nothing.
	KeyRest KeyStep = ""
	// KeyNote stores Times and leaves the keys.
	KeyNote KeyStep = "Note"
	// KeyMake makes a next key.
	KeyMake KeyStep = "Make"
	// KeySwitch makes the next key the active one, and that the one before.
	KeySwitch KeyStep = "Switch"
	// KeyDrop takes the key before away.
	KeyDrop KeyStep = "Drop"
)

// KeyPlan is the next step.
type KeyPlan struct {
	Step KeyStep
	// Times to be stored with the step.
	Times KeyTimes
	// Next is when, without any other event, there is a step; zero for never.
	Next time.Time
	// Waiting is true while servers are awaited.
	Waiting bool
}

// PlanKeys plans the next step of the keys of one-time challenges.
func PlanKeys(in KeyInput) KeyPlan {
	in.KeySlots = in.distinct()
	in.Now = in.Now.UTC().Truncate(time.Second)
	if in.Active == "" || in.Longest == 0 && in.Next == "" && in.Previous == "" {
		return KeyPlan{Times: in.Times}
	}
	stored := in.Times
	in.Times = in.noted()
	plan := KeyPlan{Step: in.step(), Times: in.Times}
	switch {
	case plan.Step == KeyRest && !plan.Times.equal(stored):
		plan.Step = KeyNote
	case plan.Step == KeyRest:
		plan.Next, plan.Waiting = in.next()
		return plan
	}
	in.take(&plan)
	return plan
}

// distinct leaves a key out that is in a second place as well.
func (s KeySlots) distinct() KeySlots {
	if s.Next == s.Active {
		s.Next = ""
	}
	if s.Previous == s.Active || s.Previous == s.Next {
		s.Previous = ""
	}
	return s
}

// noted are the times with what is known now. A time that is yet to come was noted by
// a clock that was ahead: it begins anew, so a key stays for longer and never shorter.
func (in *KeyInput) noted() KeyTimes {
	t := in.Times
	ahead := in.Now.Add(keyClock)
	if t.Since.IsZero() || t.Since.After(ahead) {
		t.Since = in.Now
	}
	if t.Changed.IsZero() || t.Changed.After(ahead) {
		t.Changed = in.Now
	}
	if in.Previous == "" || t.Settled.After(ahead) {
		t.Settled = time.Time{}
	}
	if in.Previous != "" && t.Settled.IsZero() && in.everyServer(in.mints) {
		t.Settled = in.Now
	}
	t.LongestSeconds = max(t.LongestSeconds, int64((in.Longest+time.Second-1)/time.Second))
	return t
}

func (in *KeyInput) mints(reported []string) bool {
	return len(reported) > 0 && reported[0] == in.Active
}

func (in *KeyInput) holdsNext(reported []string) bool { return slices.Contains(reported, in.Next) }

func (in *KeyInput) everyServer(does func([]string) bool) bool {
	return !in.Unknown && !slices.ContainsFunc(in.Servers, func(reported []string) bool { return !does(reported) })
}

// step is the one whose time has come. There are two keys at once at most.
func (in *KeyInput) step() KeyStep {
	due := func(at time.Time) bool { return !at.IsZero() && !in.Now.Before(at) }
	switch {
	case in.Previous != "" && due(in.dropAt()):
		return KeyDrop
	case in.Previous != "":
		return KeyRest
	case in.Next != "" && due(in.Times.Changed.Add(keySettle)) && in.everyServer(in.holdsNext):
		return KeySwitch
	case in.Next == "" && due(in.makeAt()):
		return KeyMake
	}
	return KeyRest
}

// dropAt is zero while a server may still mint with the key before.
func (in *KeyInput) dropAt() time.Time {
	if in.Times.Settled.IsZero() {
		return time.Time{}
	}
	return in.Times.Settled.Add(in.Times.longest() + keySlack)
}

// makeAt is zero where no challenges are minted.
func (in *KeyInput) makeAt() time.Time {
	if in.Longest == 0 {
		return time.Time{}
	}
	at := in.Times.Since.Add(in.Period)
	if in.RotateAfter.After(in.Times.Since) && in.RotateAfter.Before(at) {
		return in.RotateAfter
	}
	return at
}

func (in *KeyInput) next() (at time.Time, waiting bool) {
	switch {
	case in.Previous != "":
		return in.dropAt(), in.Times.Settled.IsZero()
	case in.Next != "":
		return time.Time{}, true
	}
	return in.makeAt(), false
}

// take notes the step in the times that are stored with it.
func (in *KeyInput) take(plan *KeyPlan) {
	plan.Times.Changed = in.Now
	switch plan.Step {
	case KeySwitch:
		plan.Times.Since, plan.Times.Settled = in.Now, time.Time{}
	case KeyDrop:
		plan.Times.Settled = time.Time{}
	case KeyRest, KeyNote, KeyMake:
	}
}
