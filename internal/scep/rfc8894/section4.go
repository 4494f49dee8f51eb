package rfc8894

// section4 is about transactions, HTTP, and the registry of keywords.
var section4 = []Requirement{
	{
		ID: "R4.1-1", Section: "4.1", Binds: Client, Strength: Should,
		Text:  "Uses the path /cgi-bin/pkiclient.exe unless told otherwise",
		Where: []string{"client.go:defaultPath"},
	},
	{
		ID: "R4.1-2", Section: "4.1", Binds: Server, Strength: Should,
		Text:  "Passes over the path, unless it makes a difference",
		Where: []string{"handler.go:servesPath", "handler.go:HistoricalPaths"},
		Tests: []string{"internal/scep:TestPathsAndBareURL"},
		Note:  "By default every path is answered; an endpoint may list prefixes",
	},
	{
		ID: "R4.1-3", Section: "4.1", Binds: Client, Strength: Must,
		Text:  "If the CA takes POST, sends every message by it; the three other operations stay with GET",
		Where: []string{"capabilities.go:bestMethod", "client.go:transport"},
	},
	{
		ID: "R4.1-4", Section: "4.1", Binds: Client, Strength: Must,
		Text:  "Writes the message of a GET in base64 with + and /",
		Where: []string{"client.go:transport", "query.go:decodeMessage"},
		Note:  "As a server we read the alphabet for URLs, too",
	},
	{
		ID: "R4.1-5", Section: "4.1", Binds: Client, Strength: Must,
		Text:  "Escapes that for the query by RFC 3986",
		Where: []string{"client.go:target", "query.go:QueryParameter"},
		Note:  "As a server we take a bare + for a plus, and much else",
	},
	{
		ID: "R4.1-6", Section: "4.1", Binds: Both, Strength: Fact,
		Text:  "Long GETs are refused, cut off or lost on their way; POST is the cure",
		Where: []string{"client.go:transport"},
		Tests: []string{"internal/scep:TestLongGET", "internal/ra:TestLongURL", "controllers/scependpoint:TestLongURLs"},
	},
	{
		ID: "R4.2-1", Section: "4.2", Binds: Client, Strength: Must,
		Text:  "Asks for operation=GetCACert, without data",
		Where: []string{"client.go:GetCACert"},
	},
	{
		ID: "R4.2.1-1", Section: "4.2.1.1", Binds: Server, Strength: Fact,
		Text:  "Without intermediates answers with the DER certificate as application/x-x509-ca-cert",
		Where: []string{"handler.go:getCACert"},
	},
	{
		ID: "R4.2.1-2", Section: "4.2.1.2", Binds: Server, Strength: Fact,
		Text:  "With intermediates answers with a degenerate SignedData as application/x-x509-ca-ra-cert",
		Where: []string{"handler.go:getCACert"},
	},
	{
		ID: "R4.3-1", Section: "4.3", Binds: Client, Strength: Must,
		Text:  "Asks for operation=PKIOperation to send a PKCSReq or RenewalReq",
		Where: []string{"client.go:transport"},
	},
	{
		ID: "R4.3-2", Section: "4.3", Binds: Both, Strength: Fact,
		Text:  "A POST has the bare DER as application/x-pki-message; many servers look neither at that type nor for the operation",
		Where: []string{"client.go:transport", "handler.go:operationName", "handler.go:readMessage"},
	},
	{
		ID: "R4.3.1-1", Section: "4.3.1", Binds: Server, Strength: Fact,
		Text:  "A request that is granted is answered SUCCESS, a refused one FAILURE, all as application/x-pki-message",
		Where: []string{"handler.go:answer"},
	},
	{
		ID: "R4.3.1-2", Section: "4.3.1", Binds: Server, Strength: May,
		Text:  "PENDING is for a request that somebody has to approve, or for whatever other reason",
		Where: []string{"reply.go:Pending"},
		Tests: []string{"internal/ra:TestPendingIsServedByAnyReplica", "internal/ra:TestAPIServerLostWhileWaiting"},
	},
	{
		ID: "R4.4-1", Section: "4.4", Binds: Client, Strength: Must,
		Text:  "Asks for operation=PKIOperation to send a CertPoll",
		Where: []string{"client.go:transport"},
	},
	{
		ID: "R4.4-2", Section: "4.4", Binds: Client, Strength: Must,
		Text:  "A CertPoll has the transactionID of the request it is about",
		Where: []string{"transaction.go:message"},
	},
	{
		ID: "R4.4-3", Section: "4.4", Binds: Server, Strength: Must,
		Text:  "A CertPoll about nothing is refused",
		Where: []string{"../ra/recall.go:recall"},
		Tests: []string{"internal/ra:TestOnlyTheSignerMayPoll"},
	},
	{
		ID: "R4.4-4", Section: "4.4", Binds: Client, Strength: ShouldNot,
		Text:  "Has more than one request open",
		Where: []string{"poll.go:poll"},
		Note:  "A call is one request. As a server we keep them apart all the same",
	},
	{
		ID: "R4.4-5", Section: "4.4", Binds: Client, Strength: Fact,
		Text:  "Stops polling after some time or number of polls",
		Where: []string{"poll.go:poll"},
	},
	{
		ID: "R4.5-1", Section: "4.5", Binds: Client, Strength: Must,
		Text:  "Asks for operation=PKIOperation to send a GetCert",
		Where: []string{"client.go:transport"},
	},
	{
		ID: "R4.5.1-1", Section: "4.5.1", Binds: Server, Strength: Fact,
		Text:  "GetCert is answered SUCCESS or FAILURE, never PENDING",
		Where: []string{"reply.go:isQuery"},
	},
	{
		ID: "R4.6-1", Section: "4.6", Binds: Client, Strength: Must,
		Text:  "Asks for operation=PKIOperation to send a GetCRL",
		Where: []string{"client.go:transport"},
	},
	{
		ID: "R4.6.1-1", Section: "4.6.1", Binds: Server, Strength: Fact,
		Text:  "The answer to GetCRL has the newest CRL only",
		Where: []string{"reply.go:Reply"},
		Note:  "One CRL fits into an answer; which is the newest the Backend knows",
	},
	{
		ID: "R4.7-1", Section: "4.7", Binds: Client, Strength: Must,
		Text:  "Asks for operation=GetNextCACert, without data",
		Where: []string{"nextca.go:GetNextCACert"},
	},
	{
		ID: "R4.7.1-1", Section: "4.7.1", Binds: Server, Strength: Fact,
		Text:  "The next CA's certificates come in a degenerate SignedData, around which the current CA's key signed another, as application/x-x509-next-ca-cert",
		Where: []string{"nextca.go:NextCACertificates"},
		Tests: []string{"internal/ra:TestNextCA"},
		Note:  "An RA does not have the CA's key. Unless it is given a signer for this, it signs with its own, which a client believes in all else. spec.ca.next of a ScepEndpoint says which CA is next",
	},
	{
		ID: "R4.7.1-2", Section: "4.7.1", Binds: Client, Strength: Must,
		Text:  "Looks at that signature before it trusts what is inside",
		Where: []string{"nextca.go:GetNextCACert"},
	},
	{
		ID: "R5.1-1", Section: "5.1", Binds: Both, Strength: Fact,
		Text:  "When the CA's key changes, the certificate that a request is encrypted to says which key is meant; clients keep the new one until the old one expires",
		Where: []string{"identity.go:Identity", "request.go:Request"},
		Tests: []string{"internal/scep:TestPreviousGeneration", "internal/ra:TestRolloverOfTheRACredential"},
		Note:  "Generations of the RA's keys live side by side; a Backend sees which one a request was for",
	},
	{
		ID: "R5.2-1", Section: "5.2", Binds: Client, Strength: Should,
		Text:  "After an interruption begins again, rather than to go on polling",
		Where: []string{"transaction.go:begin"},
	},
	{
		ID: "R5.2-2", Section: "5.2", Binds: Server, Strength: Lowercase,
		Text:  "A request that was granted already may be refused when it comes again, and a poll answered with the certificate",
		Where: []string{"../ra/recall.go:recall"},
		Tests: []string{"internal/ra:TestARepeatedRequestGetsTheSameCertificate", "internal/ra:TestAPollFindsWhatTheWatchHasMissed"},
		Note:  "We answer both with the same certificate",
	},
	{
		ID: "R6-1", Section: "6", Binds: Both, Strength: Should,
		Text:   "New keywords come from IANA's registry, or have one's own name before them",
		Status: Deviates,
		Where:  []string{"capabilities.go:CapabilitySHA384"},
		Note:   "SHA-384 does neither: without it strongSwan 5.9 does not use AES",
	},
}
