package raconfig

import "time"

// ChallengesPath is where one-time challenges are minted, by POST of a ChallengeRequest.
const ChallengesPath = "/v1/challenges"

// ChallengePagePath is where NDES has its page of challenges, and the servers theirs.
const ChallengePagePath = "/certsrv/mscep_admin/"

// Audience is the one that a token must be for, with which somebody mints
// challenges of an endpoint.
func Audience(namespace, endpoint string) string {
	return "scepter.dev/scependpoints/" + namespace + "/" + endpoint
}

// ChallengeRequest asks for a one-time challenge. Everything may be left out.
type ChallengeRequest struct {
	// Challenge is the name of an entry of type OneTime; "": the first.
	Challenge string `json:"challenge,omitempty"`
	// Template is the endpoint's name of a template; "": the default.
	Template string `json:"template,omitempty"`
	// Form is Standard, Long or NDES; "": Standard.
	Form string `json:"form,omitempty"`
	// Validity such as "15m"; "": that of the entry, which is the longest.
	Validity string `json:"validity,omitempty"`
	// Subject that the request must have, exactly: each as "commonName=d1". Left out:
	// any that the template allows; an empty list: none.
	Subject []string `json:"subject"`
	// AlternativeNames that the request must have, exactly: each as "dns:d1.example.com",
	// "email:…", "uri:…", "ip:…" or "upn:…". Left out: any that the template allows; an
	// empty list: none.
	AlternativeNames []string `json:"alternativeNames"`
	// Rule is the name of a rule of the template that the request must meet.
	Rule string `json:"rule,omitempty"`
	// Data for the template's rules; form Long only.
	Data map[string]any `json:"data,omitempty"`
}

// ChallengeReply is a one-time challenge.
type ChallengeReply struct {
	Challenge string    `json:"challenge"`
	Expires   time.Time `json:"expires"`
	// Name of the entry.
	Name     string `json:"name"`
	Template string `json:"template"`
	Form     string `json:"form"`
}

// ChallengeError says why there is none.
type ChallengeError struct {
	Error string `json:"error"`
}
