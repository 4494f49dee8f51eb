// Package triage tells from audit records what became of one device's enrolment: whether
// it holds a certificate, was refused, waits, was left without an answer, or never asked.
// It never claims that nothing arrived beyond what the records cover. It is pure: others
// fetch the records, and print the verdict.
package triage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Class is what became of an enrolment.
type Class string

// The classes.
const (
	// Valid: a certificate was handed out, and is valid by its dates.
	Valid Class = "Valid"
	// Ended: a certificate was handed out, and has expired or was revoked; the device
	// has not asked again.
	Ended Class = "Ended"
	// Refused: the newest request was refused.
	Refused Class = "Refused"
	// Pending: the device was told to poll.
	Pending Class = "Pending"
	// Unanswered: a request arrived, and the device was told to come again or has no answer.
	Unanswered Class = "Unanswered"
	// NothingArrived: the records have no request, as far as they go.
	NothingArrived Class = "NothingArrived"
)

// Codes of audit records (docs/audit.md).
const (
	codeRefusedMessage = "SCEP1011"
	codeSuccess        = "SCEP1060"
	codePending        = "SCEP1061"
	codeFailure        = "SCEP1062"
	codeLost           = "SCEP1065"
	codeMinted         = "SCEP1070"
	codeRevoked        = "SCEP1084"

	firstOfRequests = "SCEP1010"
	lastOfRequests  = "SCEP1069"
)

// classes of a device without a valid certificate, by the code of its newest record.
// Those that are not here leave it without an answer.
var classes = map[string]Class{
	codeRefusedMessage: Refused,
	codeFailure:        Refused,
	codePending:        Pending,
	codeSuccess:        Ended,
}

// Tier is what else is known of the endpoint.
type Tier struct {
	// Conditions of the ScepEndpoint.
	Conditions []metav1.Condition
	// Funnel has the rows of all servers, counted since they started.
	Funnel []raconfig.FunnelRow
}

// Coverage is how far the records go.
type Coverage struct {
	// Since is the time from which no record is missing of the servers that were asked.
	Since time.Time `json:"since"`
	// Asked are the servers that answered.
	Asked []string `json:"asked"`
	// Gaps say what else is missing; empty: nothing.
	Gaps []string `json:"gaps,omitempty"`
}

// Advice is one thing to do or to check.
type Advice struct {
	Check string `json:"check"`
	Why   string `json:"why"`
}

// Verdict on a device or transaction.
type Verdict struct {
	Class   Class  `json:"class"`
	Summary string `json:"summary"`
	// Coverage is part of it: what is not recorded is not known.
	Coverage Coverage `json:"coverage"`
	// Evidence is the newest of the device's records, the oldest first.
	Evidence []Record `json:"evidence,omitempty"`
	// Notes are what else is known.
	Notes []string `json:"notes,omitempty"`
	// Advice is in the order in which it is best followed.
	Advice []Advice `json:"advice,omitempty"`
}

// maxEvidence bounds the records in a verdict.
const maxEvidence = 12

// Judge tells what became of what is asked about. At least one trail is without error.
func Judge(q Question, trails []Trail, tier Tier) Verdict {
	found := q.choose(trails)
	v := Verdict{Coverage: coverage(q, trails), Evidence: newest(found.own)}
	if len(found.own) == 0 {
		v.nothingArrived(q, found, tier)
		return v
	}
	last := found.own[len(found.own)-1]
	if held := found.held(q.Now); held != nil {
		v.valid(q, *held, last)
		return v
	}
	v.Class = Unanswered
	if class, known := classes[last.Code]; known {
		v.Class = class
	}
	v.Summary = fmt.Sprintf(summaries[v.Class], q, clock(last.Time), last.because())
	v.Advice = remedies(v.Class, last)
	return v
}

// summaries take what is asked about, the time of the newest record, and its reason.
var summaries = map[Class]string{
	Ended:      "the certificate of %s was handed out at %s and is valid no more%s; no request came after it",
	Refused:    "%s asked at %s and was refused%s",
	Pending:    "%s asked at %s and was told to poll%s: the issuer has not answered",
	Unanswered: "%s asked at %s and got no certificate and no refusal%s",
}

// because is a record's reason behind a colon; "" if it has none.
func (r Record) because() string {
	if r.Reason == "" {
		return ""
	}
	return ": " + r.Reason
}

// held is the newest certificate that was handed out, did not get lost on the way, was
// not revoked and is still valid; nil: none.
func (s selection) held(now time.Time) *Record {
	var held *Record
	for i := range s.own {
		r := &s.own[i]
		switch {
		case r.Code == codeSuccess && now.Before(r.NotAfter) && !s.revoked[r.Serial]:
			held = r
		case r.Code == codeLost && held != nil && held.Transaction == r.Transaction:
			held = nil
		}
	}
	return held
}

// valid is the first answer wherever it is true; a refusal that came later is told too.
func (v *Verdict) valid(q Question, held, last Record) {
	v.Class = Valid
	v.Summary = fmt.Sprintf("%s was handed certificate %s at %s, which is valid until %s",
		q, held.Serial, clock(held.Time), clock(held.NotAfter))
	if classes[last.Code] == Refused {
		v.Notes = append(v.Notes, fmt.Sprintf("a later request was refused at %s%s", clock(last.Time), last.because()))
		v.Advice = remedies(Refused, last)
	}
}

func (v *Verdict) nothingArrived(q Question, found selection, tier Tier) {
	v.Class = NothingArrived
	v.Summary = fmt.Sprintf("the records have no request of %s since %s", q, clock(v.Coverage.Since))
	if len(v.Coverage.Gaps) > 0 {
		v.Summary += ", and they have gaps: that nothing arrived is not certain"
	}
	if q.Serial != "" {
		v.Advice = serialChecks
		return
	}
	v.Evidence = newest(found.minted)
	v.Notes = slices.Concat(mintedNotes(q, found.minted), tier.halfWay(), strangers(found.others))
	v.Advice = slices.Concat(tier.onTheWay(), expired(q, found.minted))
	if len(tier.onTheWay()) == 0 {
		v.Notes = append(v.Notes, servedNote(found.others))
		v.Advice = append(v.Advice, checksFor(q)...)
	}
}

// coverage is from when on the records of all servers are complete, and what they lack.
func coverage(q Question, trails []Trail) Coverage {
	c := Coverage{Since: q.Since}
	for _, t := range trails {
		if t.Err != nil {
			c.Gaps = append(c.Gaps, fmt.Sprintf("server %s could not be asked: %v", t.Pod, t.Err))
			continue
		}
		c.Asked = append(c.Asked, t.Pod)
		c.Since = later(c.Since, t.CompleteSince)
		if t.Lost > 0 {
			c.Gaps = append(c.Gaps, fmt.Sprintf("server %s has lost %d records; its log may have them", t.Pod, t.Lost))
		}
	}
	if c.Since.After(q.Since) {
		c.Gaps = append(c.Gaps, fmt.Sprintf("records from before %s are not all there: servers keep them as long as their pods live", clock(c.Since)))
	}
	return c
}

// mintedNotes say which challenges wait for the device.
func mintedNotes(q Question, minted []Record) []string {
	var notes []string
	for _, r := range newest(minted) {
		notes = append(notes, fmt.Sprintf("a one-time challenge for %s was minted at %s, good until %s, and no request came with its names", q, clock(r.Time), clock(r.Expires)))
	}
	return notes
}

// strangers counts refusals that may be the device's: of messages that nobody could open,
// whose names are not known, and of requests for other names.
func strangers(others []Record) []string {
	counts := map[string]int{}
	var reasons []string
	for _, r := range others {
		if classes[r.Code] != Refused {
			continue
		}
		if counts[r.Reason]++; counts[r.Reason] == 1 {
			reasons = append(reasons, r.Reason)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	slices.Sort(reasons)
	for i, reason := range reasons {
		reasons[i] = fmt.Sprintf("%s (%d)", reason, counts[reason])
	}
	return []string{"refused in that time under other names, or before names could be read: " + strings.Join(reasons, ", ") + "; one may be this device"}
}

// servedNote says whether others get certificates.
func servedNote(others []Record) string {
	served := map[string]bool{}
	for _, r := range others {
		if r.Code == codeSuccess {
			served[r.Transaction] = true
		}
	}
	if len(served) == 0 {
		return "no other device got a certificate in that time, though no condition of the endpoint tells of a break on the way"
	}
	return fmt.Sprintf("other enrolments got certificates in that time: %d", len(served))
}

func newest(records []Record) []Record {
	return records[max(0, len(records)-maxEvidence):]
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
