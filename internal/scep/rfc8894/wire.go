package rfc8894

// wire is what messages look like octet by octet, and HTTP line by line.
var wire = []Requirement{
	{
		ID: "W1", Section: "3.2.1.2", Binds: Both, Strength: Fact,
		Text:  "messageType is 2.16.840.1.113733.1.9.2: a PrintableString with a decimal number without padding",
		Where: []string{"message.go:oidMessageType", "attributes.go:numberAttribute"},
	},
	{
		ID: "W2", Section: "3.2.1.3", Binds: Both, Strength: Fact,
		Text:  "pkiStatus is 2.16.840.1.113733.1.9.3: a decimal PrintableString",
		Where: []string{"message.go:oidPKIStatus", "attributes.go:numberAttribute"},
	},
	{
		ID: "W3", Section: "3.2.1.4", Binds: Both, Strength: Fact,
		Text:  "failInfo is 2.16.840.1.113733.1.9.4: a decimal PrintableString",
		Where: []string{"message.go:oidFailInfo", "attributes.go:numberAttribute"},
	},
	{
		ID: "W4", Section: "3.2.1.5", Binds: Both, Strength: Fact,
		Text:  "senderNonce is 2.16.840.1.113733.1.9.5: an OCTET STRING of 16",
		Where: []string{"message.go:oidSenderNonce", "message.go:nonceSize"},
	},
	{
		ID: "W5", Section: "3.2.1.5", Binds: Both, Strength: Fact,
		Text:  "recipientNonce is 2.16.840.1.113733.1.9.6: an OCTET STRING, the octets of the senderNonce",
		Where: []string{"message.go:oidRecipientNonce", "reply.go:replyAttributes"},
	},
	{
		ID: "W6", Section: "3.2.1.1", Binds: Both, Strength: Fact,
		Text:  "transactionID is 2.16.840.1.113733.1.9.7: a PrintableString",
		Where: []string{"message.go:oidTransactionID", "attributes.go:textAttribute"},
	},
	{
		ID: "W7", Section: "3.2.1.4", Binds: Server, Strength: Fact,
		Text:  "failInfoText is 1.3.6.1.5.5.7.24.1: a UTF8String",
		Where: []string{"message.go:oidFailInfoText", "attributes.go:utf8Attribute"},
	},
	{
		ID: "W8", Section: "3.2", Binds: Both, Strength: Fact,
		Text:  "contentType, id-data, and messageDigest are attributes as CMS has them; signingTime is optional",
		Where: []string{"cms/sign.go:marshalAttributes", "cms/signed.go:verifyContent"},
	},
	{
		ID: "W9", Section: "3.3.1", Binds: Both, Strength: Fact,
		Text:  "challengePassword is 1.2.840.113549.1.9.7 of PKCS #10: one DirectoryString of any kind; IA5String is met too",
		Where: []string{"csr.go:readDirectoryString", "csr.go:directoryString"},
		Tests: []string{"internal/scep:TestReadDirectoryString", "internal/scep:TestTwoChallenges"},
	},
	{
		ID: "W10", Section: "3.2.1.2", Binds: Both, Strength: Fact,
		Text:  "Message types: 3 CertRep, 17 RenewalReq, 19 PKCSReq, 20 CertPoll, 21 GetCert, 22 GetCRL",
		Where: []string{"message.go:MessageType"},
	},
	{
		ID: "W11", Section: "3.2.1.3", Binds: Both, Strength: Fact,
		Text:  "Statuses: 0 SUCCESS, 2 FAILURE, 3 PENDING; there is no 1",
		Where: []string{"message.go:PKIStatus"},
	},
	{
		ID: "W12", Section: "3.2.1.4", Binds: Both, Strength: Fact,
		Text:  "Reasons: 0 badAlg, 1 badMessageCheck, 2 badRequest, 3 badTime, 4 badCertId",
		Where: []string{"message.go:FailInfo"},
	},
	{
		ID: "W13", Section: "3.3.1", Binds: Both, Strength: Fact,
		Text:  "A PKCSReq holds a PKCS #10, is signed with the same key by a self-signed certificate, and encrypted to the RA's certificate of GetCACert",
		Where: []string{"enrol.go:setSigner", "transaction.go:message"},
	},
	{
		ID: "W14", Section: "3.3.1", Binds: Both, Strength: Fact,
		Text:  "A RenewalReq holds a PKCS #10 of an old or new key, and is signed by an existing certificate",
		Where: []string{"enrol.go:Renew"},
	},
	{
		ID: "W15", Section: "3.3.3", Binds: Both, Strength: Fact,
		Text:  "A CertPoll holds a SEQUENCE of two Names, and is signed as the request was",
		Where: []string{"enrol.go:issuerAndSubject", "content.go:readIssuerAndSubject"},
	},
	{
		ID: "W16", Section: "3.3.4", Binds: Both, Strength: Fact,
		Text:  "GetCert and GetCRL hold a SEQUENCE of a Name and a serial number; the signer is the client's certificate",
		Where: []string{"certquery.go:issuerAndSerial", "content.go:readIssuerAndSerial"},
	},
	{
		ID: "W17", Section: "3.3.2.1", Binds: Server, Strength: Fact,
		Text:  "A SUCCESS holds a degenerate SignedData, is signed by the RA, and encrypted to the one who signed the request",
		Where: []string{"reply.go:Respond"},
	},
	{
		ID: "W18", Section: "3.3.2.2, 3.3.2.3", Binds: Server, Strength: Fact,
		Text:  "FAILURE and PENDING hold nothing, and are signed by the RA",
		Where: []string{"reply.go:Respond"},
	},
	{
		ID: "W19", Section: "4.7.1", Binds: Server, Strength: Fact,
		Text:  "The answer to GetNextCACert is no pkiMessage: it has no attributes of SCEP and no envelope",
		Where: []string{"nextca.go:NextCACertificates"},
	},
	{
		ID: "W20", Section: "3.1, 3.2", Binds: Both, Strength: Fact,
		Text:  "SignedData of type id-data around an OCTET STRING with the ContentInfo of an EnvelopedData, which says it holds id-data",
		Where: []string{"cms/sign.go:Sign", "cms/encrypt.go:envelop"},
	},
	{
		ID: "W21", Section: "3.2", Binds: Both, Strength: Fact,
		Text:  "Without content messageDigest is the digest of nothing",
		Where: []string{"cms/sign.go:marshalAttributes", "cms/signed.go:verifyContent"},
	},
	{
		ID: "W22", Section: "3.2", Binds: Both, Strength: Fact,
		Text:  "By RFC 5652 the signature is over the attributes as a sorted SET, and versions follow from how certificates are named",
		Where: []string{"cms/signed.go:Verify", "cms/sign.go:marshalAttributes"},
		Tests: []string{"internal/scep/cms:TestVerifyVariants"},
		Note:  "We verify over the attributes as they came, and then sorted",
	},
	{
		ID: "W23", Section: "3", Binds: Both, Strength: Fact,
		Text:  "Messages may come in BER, with indefinite lengths and strings in pieces",
		Where: []string{"cms/ber.go:Normalize"},
		Tests: []string{"internal/scep/cms:TestNormalize"},
	},
	{
		ID: "W24", Section: "3.2", Binds: Both, Strength: Fact,
		Text:  "By RFC 5754 SHA-2 identifiers have no parameters when written, and NULL or none when read",
		Where: []string{"cms/certificate.go:addAlgorithm", "cms/certificate.go:readAlgorithm"},
	},
	{
		ID: "W25", Section: "3.2", Binds: Both, Strength: Fact,
		Text:  "By RFC 3370 an RSA signature is called rsaEncryption, or by its digest too",
		Where: []string{"cms/sign.go:addSignatureAlgorithm", "cms/signed.go:verifyRSA"},
		Tests: []string{"internal/scep/cms:TestVerifyVariants"},
	},
	{
		ID: "W26", Section: "2.9, 3.1", Binds: Both, Strength: Fact,
		Text:  "Algorithms are told by the OIDs of their own RFCs; a CBC cipher's parameter is its IV",
		Where: []string{"cms/algorithms.go:oidData"},
	},
	{
		ID: "W27", Section: "3.1", Binds: Both, Strength: Fact,
		Text:  "A password recipient has key derivation, PBKDF2, and key wrap, PWRI-KEK with a CBC cipher; its EnvelopedData is of version 3",
		Where: []string{"cms/password.go:wrapToPassword"},
		Tests: []string{"internal/scep/cms:TestPWRIVectors", "internal/scep/cms:TestPasswordRoundTrip"},
	},
	{
		ID: "W28", Section: "3.1", Binds: Server, Strength: Fact,
		Text:  "Who receives decides between the two kinds of recipient; so the server must know the challengePassword when it answers",
		Where: []string{"request.go:NeedsPassword", "reply.go:Reply"},
	},
	{
		ID: "W29", Section: "3.5.1, 3.5.2", Binds: Both, Strength: Fact,
		Text:  "GET with operation=GetCACaps is answered with keyword lines in text/plain",
		Where: []string{"handler.go:getCACaps"},
	},
	{
		ID: "W30", Section: "4.2", Binds: Both, Strength: Fact,
		Text:  "GET with operation=GetCACert is answered with one DER certificate or a degenerate SignedData, each with its media type",
		Where: []string{"handler.go:getCACert"},
	},
	{
		ID: "W31", Section: "4.7", Binds: Both, Strength: Fact,
		Text:  "GET with operation=GetNextCACert is answered with a signed SignedData in application/x-x509-next-ca-cert",
		Where: []string{"nextca.go:getNextCACert"},
	},
	{
		ID: "W32", Section: "4.3", Binds: Both, Strength: Fact,
		Text:  "POST with operation=PKIOperation has a message as its body, and so has the answer: both bare DER in application/x-pki-message",
		Where: []string{"handler.go:pkiOperation", "client.go:transport"},
	},
	{
		ID: "W33", Section: "4.1", Binds: Both, Strength: Fact,
		Text:  "GET with operation=PKIOperation has it in the query, as escaped base64",
		Where: []string{"handler.go:readMessage", "client.go:target"},
	},
	{
		ID: "W34", Section: "4.2.1", Binds: Both, Strength: Fact,
		Text:  "Of several certificates the leaf is the one to encrypt to and to verify with, whatever the ra in the media type may mean",
		Where: []string{"identity.go:CertificatesFor", "cacert.go:ParseCACertificates"},
		Tests: []string{"internal/scep:TestGetCACert"},
		Note:  "The RA's certificates come first, then the issuing CA, then its chain",
	},
	{
		ID: "W35", Section: "4.7.1", Binds: Both, Strength: Fact,
		Text:  "Next CA certificates do not replace the present ones: GetCACert stays as it is until the rollover",
		Where: []string{"identity.go:Identity"},
	},
	{
		ID: "W36", Section: "3.5.2", Binds: Both, Strength: Fact,
		Text:  "Keywords are AES, DES3, GetNextCACert, POSTPKIOperation, Renewal, SCEPStandard, SHA-1, SHA-256 and SHA-512; SCEPStandard implies AES, POSTPKIOperation and SHA-256",
		Where: []string{"capabilities.go:Capabilities", "capabilities.go:impliedByStandard"},
		Tests: []string{"internal/scep:TestCapabilitiesAreWhatOpenAccepts"},
		Note:  "Only what works is announced; what is implied is announced as well, for clients that know no SCEPStandard",
	},
	{
		ID: "W37", Section: "3.2.1.1", Binds: Client, Strength: Fact,
		Text:  "The client chooses the transactionID, for a request and its polls together; GetCert and GetCRL have their own",
		Where: []string{"transaction.go:begin"},
	},
	{
		ID: "W38", Section: "3.2.1.5", Binds: Both, Strength: Fact,
		Text:  "One nonce counts in an exchange: the request's. A CertPoll has no recipientNonce, and servers compare nothing with earlier messages",
		Where: []string{"transaction.go:exchange", "request.go:readAttributes"},
	},
	{
		ID: "W39", Section: "2.5.1", Binds: Client, Strength: Fact,
		Text:  "A client has no certificate, or waits for one, or has it",
		Where: []string{"enrol.go:enrol", "poll.go:poll"},
	},
	{
		ID: "W40", Section: "2.5.1", Binds: Server, Strength: Fact,
		Text:  "A transaction is unknown, or pending, or over: with a certificate or refused, and stays so",
		Where: []string{"../ra/issue.go:answers"},
		Tests: []string{"internal/ra:TestFinalRefusalsOfTheIssuer", "internal/ra:TestARepeatedRequestGetsTheSameCertificate"},
	},
}
