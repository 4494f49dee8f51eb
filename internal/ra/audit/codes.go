// Package audit records what happens to an enrolment: a structured log record for
// each step, and metrics. Nothing it writes is a secret.
package audit

import (
	"log/slog"
	"slices"
)

// Code is the stable code of an audit record.
type Code string

// The codes; what they mean is in events.
const (
	ServerStarted        Code = "SCEP1000"
	ConfigurationLoaded  Code = "SCEP1001"
	ConfigurationProblem Code = "SCEP1002"
	ServerStopped        Code = "SCEP1003"
	ConfigurationWarning Code = "SCEP1004"
	MessageOpened        Code = "SCEP1010"
	MessageRefused       Code = "SCEP1011"
	Recalled             Code = "SCEP1020"
	ObjectIgnored        Code = "SCEP1021"
	Authenticated        Code = "SCEP1030"
	ChallengeGuessing    Code = "SCEP1031"
	Judged               Code = "SCEP1040"
	RequestRecorded      Code = "SCEP1050"
	OutcomeNotTold       Code = "SCEP1051"
	Ordered              Code = "SCEP1052"
	AnsweredSuccess      Code = "SCEP1060"
	AnsweredPending      Code = "SCEP1061"
	AnsweredFailure      Code = "SCEP1062"
	Unavailable          Code = "SCEP1063"
	InternalError        Code = "SCEP1064"
	AnswerLost           Code = "SCEP1065"
	ChallengeMinted      Code = "SCEP1070"
	MintingRefused       Code = "SCEP1071"
	SignerIssued         Code = "SCEP1080"
	SignerRefused        Code = "SCEP1081"
	CRLMade              Code = "SCEP1082"
	RevocationWanted     Code = "SCEP1083"
	RevocationDone       Code = "SCEP1084"
	RevocationRefused    Code = "SCEP1085"
	RevocationStuck      Code = "SCEP1086"
	SinkAway             Code = "SCEP1090"
	SinkBack             Code = "SCEP1091"
	RingLost             Code = "SCEP1092"
)

// Event describes a code. It is a row of docs/audit.md.
type Event struct {
	Code Code
	// Text is the record's message.
	Text string
	// When says when there is such a record.
	When string
	// NDES is the number of the event that Microsoft's NDES logs then; 0: none.
	NDES int
	// Level is Info where it is not set.
	Level slog.Level
}

// table has every event, in the order of the codes.
var table = []Event{
	{ServerStarted, "server started", "a server begins to listen", 1, slog.LevelInfo},
	{ConfigurationLoaded, "configuration loaded", "the files changed, and are in use", 0, slog.LevelInfo},
	{ConfigurationProblem, "configuration cannot be used", "a file changed and cannot be used; what was there before stays in use", 8, slog.LevelWarn},
	{ServerStopped, "server stopping", "a server was told to end, and drains", 3, slog.LevelInfo},
	{ConfigurationWarning, "configuration is used in part", "the file has fields that this version does not know; the rest is in use", 0, slog.LevelWarn},
	{MessageOpened, "message opened", "a message was decrypted and its signature verifies", 0, slog.LevelInfo},
	{MessageRefused, "message refused", "a message could not be opened", 17, slog.LevelInfo},
	{Recalled, "request is known", "a device repeats a request, or polls", 0, slog.LevelInfo},
	{ObjectIgnored, "CertificateRequest does not count", "an object has the right name and was not made by this endpoint, or not for this request", 0, slog.LevelWarn},
	{Authenticated, "request authenticated", "a challenge or a certificate lets the request in", 0, slog.LevelInfo},
	{ChallengeGuessing, "challenges are being guessed", "too many wrong challenges of the 16-digit form", 0, slog.LevelError},
	{Judged, "request allowed by the template", "the template allows all that is asked for", 0, slog.LevelInfo},
	{RequestRecorded, "request recorded with the issuer", "the issuer has the request", 0, slog.LevelInfo},
	{OutcomeNotTold, "challenge could not be told how the enrolment ended", "a webhook or Intune did not take the notification", 0, slog.LevelWarn},
	{Ordered, "certificate is about to be ordered", "with onSinkFailure Refuse: nothing is ordered before the sink has this record", 0, slog.LevelInfo},
	{AnsweredSuccess, "certificate handed out", "the answer is SUCCESS", 0, slog.LevelInfo},
	{AnsweredPending, "device told to poll", "the answer is PENDING", 0, slog.LevelInfo},
	{AnsweredFailure, "request refused", "the answer is FAILURE, for the reason given", 31, slog.LevelInfo},
	{Unavailable, "device told to come again", "the answer is HTTP 503: something that is needed is away, and nothing was consumed", 0, slog.LevelWarn},
	{InternalError, "request failed", "the answer is HTTP 500", 0, slog.LevelError},
	{AnswerLost, "certificate not delivered", "the device was gone when its certificate was sent; its retry gets the same one", 0, slog.LevelWarn},
	{ChallengeMinted, "one-time challenge minted", "a caller got a challenge", 0, slog.LevelInfo},
	{MintingRefused, "one-time challenge refused to a caller", "a caller may not mint, or not that often", 6, slog.LevelWarn},
	{SignerIssued, "signer issued a certificate", "a server's order passed the signer's own checks", 0, slog.LevelInfo},
	{SignerRefused, "signer issued nothing", "a signer did not do what a server ordered, for the problem given", 0, slog.LevelWarn},
	{CRLMade, "revocation list made", "a certificate was revoked, or the list before is getting old", 0, slog.LevelInfo},
	{RevocationWanted, "revocation wanted", "Intune wants a certificate revoked", 0, slog.LevelInfo},
	{RevocationDone, "revocation done", "the revocation list names the certificate, and Intune knows", 0, slog.LevelInfo},
	{RevocationRefused, "revocation refused", "Intune wants a certificate revoked, and this endpoint cannot do that", 0, slog.LevelWarn},
	{RevocationStuck, "revocations cannot be carried out", "Intune or the signers do not answer; it is tried again", 0, slog.LevelWarn},
	{SinkAway, "audit sink away", "the sink takes no records", 0, slog.LevelWarn},
	{SinkBack, "audit sink back", "the sink takes records again; says how many it missed", 0, slog.LevelInfo},
	{RingLost, "audit records not kept", "the ring on disk cannot be written; the log still has the records", 0, slog.LevelWarn},
}

var events = index(table)

func index(all []Event) map[Code]Event {
	out := make(map[Code]Event, len(all))
	for _, e := range all {
		out[e.Code] = e
	}
	return out
}

// Events are all codes there are, in their order.
func Events() []Event { return slices.Clone(table) }

// String is the text that goes with a code.
func (c Code) String() string { return events[c].Text }

// ndesReasons are the reasons for which NDES logs an event of its own.
var ndesReasons = map[string]int{
	"Message/undecoded":  16,
	"Message/unreadable": 18,
	"ChallengeMissing":   29,
	"ChallengeWrong":     29,
	"ChallengeExpired":   29,
	"ChallengeUsed":      29,
}

// NDES is the number of the event that Microsoft's NDES logs for a code with a
// reason, which may be ""; 0: none.
func NDES(code Code, reason string) int {
	if n := ndesReasons[reason]; n != 0 && events[code].NDES != 0 {
		return n
	}
	return events[code].NDES
}
