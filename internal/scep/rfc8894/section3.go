package rfc8894

// section3 is about what messages are made of.
var section3 = []Requirement{
	{
		ID: "R3-1", Section: "3", Binds: Both, Strength: Must,
		Text:  "A message without data has no envelope, not even an empty one",
		Where: []string{"reply.go:seal"},
	},
	{
		ID: "R3.1-1", Section: "3.1", Binds: Both, Strength: Fact,
		Text:  "Data is encrypted first and signed then: to a key that can decrypt, as RSA, by key transport; to one that cannot, as EC, by a password recipient with the challengePassword",
		Where: []string{"reply.go:seal", "content.go:passwordSource", "../ra/unanswerable.go:takePassword"},
		Tests: []string{"internal/ra:TestOneTimeChallengesServeECKeys", "internal/ra:TestStaticChallengesDoNotServeECKeys", "internal/ra:TestKeysThatCannotDecrypt"},
		Note:  "The RA does the second with one-time challenges only: a static one could be guessed from a recorded answer",
	},
	{
		ID: "R3.1-2", Section: "3.1", Binds: Both, Strength: ShouldNot,
		Text:  "Data is not left in clear because a key cannot decrypt",
		Where: []string{"request.go:readEnvelope", "reply.go:errNoPassword"},
	},
	{
		ID: "R3.2-1", Section: "3.2", Binds: Both, Strength: Must,
		Text:  "What is signed has type id-data, though there is an EnvelopedData in it",
		Where: []string{"cms/sign.go:addContent", "cms/signed.go:readContent"},
	},
	{
		ID: "R3.2-2", Section: "3.2", Binds: Both, Strength: Must,
		Text:  "What is signed, if anything, is an envelope, and is as the messageType says",
		Where: []string{"content.go:requestRules"},
	},
	{
		ID: "R3.2-3", Section: "3.2", Binds: Both, Strength: Must,
		Text:  "The signer's block has authenticated attributes",
		Where: []string{"cms/signed.go:verifyContent"},
	},
	{
		ID: "R3.2.1-1", Section: "3.2.1", Binds: Both, Strength: Must,
		Text:  "Every message has transactionID, messageType, a new senderNonce, and the contentType and messageDigest of CMS",
		Where: []string{"request.go:readAttributes", "cms/signed.go:verifyContent", "reply.go:replyAttributes"},
	},
	{
		ID: "R3.2.1-2", Section: "3.2.1", Binds: Server, Strength: Must,
		Text:  "A CertRep has also pkiStatus, the request's nonce as recipientNonce and, if it is a FAILURE, failInfo",
		Where: []string{"reply.go:replyAttributes"},
	},
	{
		ID: "R3.2.1.1-1", Section: "3.2.1.1", Binds: Client, Strength: Must,
		Text:  "The transactionID is another for each transaction, and a PrintableString",
		Where: []string{"transaction.go:begin", "attributes.go:textAttribute"},
	},
	{
		ID: "R3.2.1.1-2", Section: "3.2.1.1", Binds: Both, Strength: Must,
		Text:  "It is the same in all messages of a transaction",
		Where: []string{"reply.go:replyAttributes", "certrep.go:readReply"},
	},
	{
		ID: "R3.2.1.1-3", Section: "3.2.1.1", Binds: Server, Strength: Fact,
		Text:  "It need not be random: a device's name will do, or what the CA says",
		Where: []string{"request.go:readAttributes"},
	},
	{
		ID: "R3.2.1.2-1", Section: "3.2.1.2", Binds: Both, Strength: Must,
		Text:  "Every message has a messageType",
		Where: []string{"request.go:readAttributes"},
	},
	{
		ID: "R3.2.1.2-2", Section: "3.2.1.2", Binds: Both, Strength: Must,
		Text:   "Types that the RFC does not list are errors, unless GetCACaps announced them",
		Status: Deviates,
		Where:  []string{"content.go:requestRules"},
		Note:   "All but 18, UpdateReq of the drafts, which an endpoint that allows RenewalReq reads as one: it says the same, and old clients know no other. It is never announced",
	},
	{
		ID: "R3.2.1.3-1", Section: "3.2.1.3", Binds: Server, Strength: Must,
		Text:  "Every answer has a pkiStatus",
		Where: []string{"reply.go:replyAttributes"},
	},
	{
		ID: "R3.2.1.3-2", Section: "3.2.1.3", Binds: Server, Strength: Must,
		Text:  "A FAILURE has a failInfo",
		Where: []string{"reply.go:replyAttributes"},
	},
	{
		ID: "R3.2.1.3-3", Section: "3.2.1.3", Binds: Client, Strength: Must,
		Text:  "A pkiStatus that the RFC does not list is an error",
		Where: []string{"certrep.go:readStatus"},
	},
	{
		ID: "R3.2.1.4-1", Section: "3.2.1.4", Binds: Server, Strength: Must,
		Text:  "A failInfo is one of the five there are",
		Where: []string{"message.go:FailInfo"},
		Tests: []string{"internal/ra/refusal:TestFailInfo"},
	},
	{
		ID: "R3.2.1.4-2", Section: "3.2.1.4", Binds: Client, Strength: Must,
		Text:  "Another failInfo is an error",
		Where: []string{"certrep.go:readFailure"},
	},
	{
		ID: "R3.2.1.4-3", Section: "3.2.1.4", Binds: Both, Strength: ShouldNot,
		Text:  "No program goes by failInfoText",
		Where: []string{"certrep.go:readFailure"},
		Note:  "A client hands it on as it is",
	},
	{
		ID: "R3.2.1.5-1", Section: "3.2.1.5", Binds: Both, Strength: Must,
		Text:  "The sender puts a new senderNonce of 16 random bytes into each message",
		Where: []string{"attributes.go:newNonce"},
	},
	{
		ID: "R3.2.1.5-2", Section: "3.2.1.5", Binds: Server, Strength: Must,
		Text:  "It comes back as the answer's recipientNonce",
		Where: []string{"reply.go:replyAttributes"},
	},
	{
		ID: "R3.2.1.5-3", Section: "3.2.1.5", Binds: Client, Strength: Must,
		Text:  "Looks whether recipientNonce is what it sent",
		Where: []string{"certrep.go:readReply"},
	},
	{
		ID: "R3.2.1.5-4", Section: "3.2.1.5", Binds: Client, Strength: Must,
		Text:  "Refuses the answer if not",
		Where: []string{"certrep.go:readReply"},
	},
	{
		ID: "R3.2.2-1", Section: "3.2.2", Binds: Both, Strength: Must,
		Text:  "What is encrypted has type id-data",
		Where: []string{"cms/encrypt.go:addEncryptedContent"},
		Note:  "Written. Whoever writes another type is read all the same: nothing depends on it",
	},
	{
		ID: "R3.2.2-2", Section: "3.2.2", Binds: Both, Strength: Must,
		Text:  "What comes out of the envelope is as the messageType says",
		Where: []string{"content.go:requestRules"},
	},
	{
		ID: "R3.3-1", Section: "3.3", Binds: Both, Strength: Must,
		Text:  "The kind of a message is told by messageType and by nothing else",
		Where: []string{"content.go:requestRule"},
	},
	{
		ID: "R3.3.1-1", Section: "3.3.1", Binds: Client, Strength: Must,
		Text:  "A PKCS #10 has a subject, a public key and, where a password authorises, the challengePassword",
		Where: []string{"csr.go:NewCSR", "content.go:readCSR"},
		Tests: []string{"internal/ra:TestChallenge", "internal/ra/policy:TestRefused"},
		Note:  "Which subjects will do is the template's affair",
	},
	{
		ID: "R3.3.1-2", Section: "3.3.1, 3.3.2, 3.3.3, 3.3.4", Binds: Both, Strength: Lowercase,
		Text:  "Messages of each type have the attributes of section 3.2.1",
		Where: []string{"request.go:readAttributes", "transaction.go:message"},
	},
}

// section3Replies is about answers, the smaller messages, and GetCACaps.
var section3Replies = []Requirement{
	{
		ID: "R3.3.2-1", Section: "3.3.2", Binds: Both, Strength: Fact,
		Text:  "A poll's nonce has nothing to do with the one before",
		Where: []string{"transaction.go:exchange", "reply.go:replyAttributes"},
	},
	{
		ID: "R3.3.2.1-1", Section: "3.3.2.1", Binds: Server, Strength: Must,
		Text:  "A SUCCESS for an enrolment, a renewal or a poll holds at least the certificate that was issued",
		Where: []string{"reply.go:bundle"},
	},
	{
		ID: "R3.3.2.1-2", Section: "3.3.2.1", Binds: Server, Strength: May,
		Text:  "It may hold more certificates",
		Where: []string{"reply.go:Reply"},
	},
	{
		ID: "R3.3.2.1-3", Section: "3.3.2.1", Binds: Server, Strength: Must,
		Text:  "The issued one is the leaf",
		Where: []string{"cms/certificate.go:MarshalCertificates"},
		Note:  "It also comes first, and our RA sends it alone",
	},
	{
		ID: "R3.3.2.1-4", Section: "3.3.2.1", Binds: Server, Strength: Must,
		Text:  "The same holds for the certificate that GetCert asked for",
		Where: []string{"reply.go:bundle"},
	},
	{
		ID: "R3.3.2.1-5", Section: "3.3.2.1", Binds: Server, Strength: Must,
		Text:  "A SUCCESS for GetCRL has the CRL in the field crls",
		Where: []string{"reply.go:bundle"},
	},
	{
		ID: "R3.3.2.2-1", Section: "3.3.2.2", Binds: Server, Strength: Must,
		Text:  "A FAILURE has the failInfo that fits",
		Where: []string{"request.go:fail"},
		Tests: []string{"internal/scep:TestOpenRefuses", "internal/ra/refusal:TestFailInfo"},
	},
	{
		ID: "R3.3.2.2-2", Section: "3.3.2.2", Binds: Server, Strength: May,
		Text:  "A FAILURE may have a failInfoText, above all with badRequest",
		Where: []string{"reply.go:Fail"},
	},
	{
		ID: "R3.3.2.2-3", Section: "3.3.2.2", Binds: Server, Strength: Must,
		Text:  "A FAILURE has no envelope",
		Where: []string{"reply.go:seal"},
	},
	{
		ID: "R3.3.2.3-1", Section: "3.3.2.3", Binds: Server, Strength: Must,
		Text:  "A PENDING has no envelope",
		Where: []string{"reply.go:seal"},
	},
	{
		ID: "R3.3.3-1", Section: "3.3.3", Binds: Client, Strength: Fact,
		Text:  "A CertPoll names the CA that is to issue and the subject asked for",
		Where: []string{"enrol.go:issuerAndSubject"},
	},
	{
		ID: "R3.3.3-2", Section: "3.3.3", Binds: Both, Strength: Should,
		Text:  "A poll is matched by transactionID and recipient, not by these names",
		Where: []string{"content.go:IssuerAndSubject"},
		Tests: []string{"internal/ra:TestOnlyTheSignerMayPoll"},
	},
	{
		ID: "R3.3.4-1", Section: "3.3.4", Binds: Both, Strength: Should,
		Text:   "Certificates and CRLs are rather got from HTTP or LDAP stores than by GetCert and GetCRL",
		Status: DocumentedOnly,
		Note:   "An endpoint answers no GetCert, and GetCRL only where its signers make the CRL, which they publish over HTTP as well",
	},
	{
		ID: "R3.4-1", Section: "3.4", Binds: Both, Strength: Must,
		Text:  "A degenerate SignedData has no content field and no signer, certificates in the one field and a CRL in the other",
		Where: []string{"cms/certificate.go:MarshalCertificates"},
	},
	{
		ID: "R3.5-1", Section: "3.5", Binds: Server, Strength: Must,
		Text:  "Answers GetCACaps",
		Where: []string{"handler.go:getCACaps"},
	},
	{
		ID: "R3.5.2-1", Section: "3.5.2", Binds: Server, Strength: May,
		Text:  "May list further keywords",
		Where: []string{"capabilities.go:Capabilities"},
		Note:  "SHA-384 is one, see R6-1",
	},
	{
		ID: "R3.5.2-2", Section: "3.5.2", Binds: Client, Strength: Must,
		Text:  "Passes over keywords it does not know",
		Where: []string{"capabilities.go:parseCapabilities"},
	},
	{
		ID: "R3.5.2-3", Section: "3.5.2", Binds: Server, Strength: Must,
		Text:  "Writes keywords letter by letter as they are published",
		Where: []string{"capabilities.go:CapabilityAES"},
	},
	{
		ID: "R3.5.2-4", Section: "3.5.2", Binds: Client, Strength: Should,
		Text:  "Reads them in upper and lower case",
		Where: []string{"capabilities.go:Has"},
	},
	{
		ID: "R3.5.2-5", Section: "3.5.2", Binds: Client, Strength: Must,
		Text:  "Reads lines that end with CR LF or with LF",
		Where: []string{"client.go:GetCACaps"},
	},
	{
		ID: "R3.5.2-6", Section: "3.5.2", Binds: Client, Strength: Should,
		Text:  "Takes SHA-256 rather than SHA-1, AES-128 rather than triple DES",
		Where: []string{"capabilities.go:bestCipher", "capabilities.go:bestDigest"},
	},
	{
		ID: "R3.5.2-7", Section: "3.5.2", Binds: Both, Strength: Should,
		Text:  "Takes AES-128-CBC and SHA-256 rather than their bigger sisters",
		Where: []string{"capabilities.go:bestCipher", "capabilities.go:bestDigest"},
		Note:  "An answer has the algorithms of its request: who sends SHA-512 reads it too",
	},
	{
		ID: "R3.5.2-8", Section: "3.5.2", Binds: Server, Strength: Should,
		Text:  "Without any capability answers with an empty message, or just an HTTP error",
		Where: []string{"capabilities.go:Capabilities"},
		Note:  "Does not arise: the list always has something",
	},
	{
		ID: "R3.5.2-9", Section: "3.5.2", Binds: Client, Strength: Should,
		Text:  "Takes an empty answer or an HTTP error for no capability: GET, triple DES, SHA-1",
		Where: []string{"client.go:GetCACaps"},
		Tests: []string{"internal/scep:TestNoCapabilities"},
		Note:  "A connection closed without an answer is one, too. 429 and 503 are not: they only say when to come again",
	},
	{
		ID: "R3.5.2-10", Section: "3.5.2", Binds: Server, Strength: Should,
		Text:  "Answers with Content-Type text/plain",
		Where: []string{"handler.go:getCACaps"},
	},
	{
		ID: "R3.5.2-11", Section: "3.5.2", Binds: Client, Strength: Should,
		Text:  "Does not look at that Content-Type",
		Where: []string{"client.go:GetCACaps"},
	},
}
