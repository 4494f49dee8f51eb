// Package audit records what happens to an enrolment: a structured log record for
// each step, and metrics. Nothing it writes is a secret.
package audit

// Code is the stable code of an audit record.
type Code string

// The codes; their texts are in descriptions.
const (
	ConfigurationLoaded  Code = "SCEP1001"
	ConfigurationProblem Code = "SCEP1002"
	MessageOpened        Code = "SCEP1010"
	MessageRefused       Code = "SCEP1011"
	Recalled             Code = "SCEP1020"
	ObjectIgnored        Code = "SCEP1021"
	Authenticated        Code = "SCEP1030"
	ChallengeGuessing    Code = "SCEP1031"
	Judged               Code = "SCEP1040"
	RequestRecorded      Code = "SCEP1050"
	OutcomeNotTold       Code = "SCEP1051"
	AnsweredSuccess      Code = "SCEP1060"
	AnsweredPending      Code = "SCEP1061"
	AnsweredFailure      Code = "SCEP1062"
	Unavailable          Code = "SCEP1063"
	InternalError        Code = "SCEP1064"
	ChallengeMinted      Code = "SCEP1070"
	MintingRefused       Code = "SCEP1071"
)

var descriptions = map[Code]string{
	ConfigurationLoaded:  "configuration loaded",
	ConfigurationProblem: "configuration cannot be used",
	MessageOpened:        "message opened",
	MessageRefused:       "message refused",
	Recalled:             "request is known",
	ObjectIgnored:        "CertificateRequest does not count",
	Authenticated:        "request authenticated",
	ChallengeGuessing:    "challenges are being guessed",
	Judged:               "request allowed by the template",
	RequestRecorded:      "request recorded with the issuer",
	OutcomeNotTold:       "challenge could not be told how the enrolment ended",
	AnsweredSuccess:      "certificate handed out",
	AnsweredPending:      "device told to poll",
	AnsweredFailure:      "request refused",
	Unavailable:          "device told to come again",
	InternalError:        "request failed",
	ChallengeMinted:      "one-time challenge minted",
	MintingRefused:       "one-time challenge refused to a caller",
}

// String is the text that goes with a code.
func (c Code) String() string { return descriptions[c] }
