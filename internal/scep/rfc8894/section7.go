package rfc8894

// section7 is what can be tested of the security considerations.
var section7 = []Requirement{
	{
		ID: "R7.1-1", Section: "7.1", Binds: Both, Strength: Lowercase,
		Text:  "Private keys stay private, and keys are long enough",
		Where: []string{"../ra/policy/keys.go:judgeKey"},
		Tests: []string{"internal/ra/policy:TestDefaults", "internal/pkifacts:TestErrorsHoldNoKey", "internal/pkifacts:TestCheckAlgorithm"},
	},
	{
		ID: "R7.2-1", Section: "7.2", Binds: Server, Strength: Fact,
		Text:  "The CA's key is better not used for messages",
		Where: []string{"identity.go:Generation"},
		Tests: []string{"controllers/racredential:TestFromNothingToReady"},
		Note:  "The RA has keys of its own and never sees the CA's",
	},
	{
		ID: "R7.3-1", Section: "7.3", Binds: Server, Strength: Lowercase,
		Text:  "Challenge passwords are hard to guess, good for one enrolment, and expire",
		Where: []string{"../ra/challenge/onetime/mint.go:Mint"},
		Tests: []string{"internal/ra:TestOneTimeChallenges", "internal/ra:TestRaceForOneTimeChallenges"},
		Note:  "One-time challenges are. A static password is what the administrator makes of it, and lasts until replaced",
	},
	{
		ID: "R7.3-2", Section: "7.3", Binds: Server, Strength: Lowercase,
		Text:   "They are stored as a slow salted hash or a MAC",
		Status: Deviates,
		Where:  []string{"../ra/challenge/static.go:NewStatic"},
		Tests:  []string{"internal/ra:TestChallenge", "internal/ra/issue:TestCSRsAreNotLogged"},
		Note:   "One-time challenges are not stored: each carries its own MAC. Static ones come from a Secret; a server keeps plain hashes in memory, and no log, event or URL of ours has one. But CSRs are stored as they came, so an endpoint has to acknowledge that its password can be read there",
	},
	{
		ID: "R7.4-1", Section: "7.4", Binds: Server, Strength: Fact,
		Text:  "Nobody says that a certificate has arrived: issued is not installed",
		Where: []string{"../ra/recall.go:recall"},
		Tests: []string{"internal/ra:TestARepeatedRequestGetsTheSameCertificate"},
		Note:  "Hence the same answer as often as it is asked for",
	},
	{
		ID: "R7.5-1", Section: "7.5", Binds: Client, Strength: Fact,
		Text:  "GetCACaps is not authenticated: who misses SCEPStandard may stop, or go on as if it were there",
		Where: []string{"enrol.go:EnrolRequest"},
		Note:  "A caller who knows the server sets digest, cipher and method, and does not depend on the list",
	},
	{
		ID: "R7.5-2", Section: "7.5", Binds: Both, Strength: Fact,
		Text:  "Servers do triple DES and SHA-1 whether they say so or not; nobody goes below",
		Where: []string{"capabilities.go:bestCipher", "capabilities.go:bestDigest"},
	},
	{
		ID: "R7.6-1", Section: "7.6", Binds: Server, Strength: Fact,
		Text:  "In a renewal the message's signature says nothing about the new key",
		Where: []string{"content.go:checkCSRSignature"},
		Note:  "So the PKCS #10's own signature is verified",
	},
	{
		ID: "R7.7-1", Section: "7.7", Binds: Client, Strength: Fact,
		Text:  "The signer's certificate, and with it a name, goes in clear",
		Where: []string{"enrol.go:EnrolRequest"},
		Note:  "A caller may give a self-signed certificate with any subject",
	},
	{
		ID: "R7.9-1", Section: "7.9", Binds: Both, Strength: Fact,
		Text:  "SHA-1 can be borne with old clients, but not for ever",
		Where: []string{"settings.go:Settings"},
	},
	{
		ID: "R7.10-1", Section: "7.10", Binds: Both, Strength: Fact,
		Text:  "HTTPS is not needed, and is no substitute for the challengePassword",
		Where: []string{"../ra/authenticate.go:authenticate"},
		Tests: []string{"internal/ra:TestTLS"},
		Note:  "Our RA serves both, and asks the same of both",
	},
}
