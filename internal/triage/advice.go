package triage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// deviceChecks are for a device that sent nothing, in the order of an enrolment.
var deviceChecks = []Advice{
	{
		"the SCEP profile is delivered, and assigned to the user or to the device, whichever is to hold the certificate",
		"what is not assigned, or to the other of the two, asks for nothing and shows no error",
	},
	{
		"the profile with the CA's certificate (trust anchor) is installed first",
		"management systems hold the SCEP profile back until it is",
	},
	{
		"the key store that the profile names is there and allowed: TPM or key storage provider on Windows, Secure Enclave on Apple devices, hardware keystore on Android",
		"a device that cannot make its key pair sends no request; only its own log says so",
	},
	{
		"that key store can make the key which the profile asks for, in algorithm and size",
		"many TPMs make no RSA keys beyond 2048 bits, and a Secure Enclave makes keys on P-256 only",
	},
	{
		"the URL in the profile is the endpoint's, with its path",
		"requests for another host or path do not come here, or come as nothing that is known",
	},
	{
		"the device's clock is right",
		"with a wrong one neither the server's nor the CA's certificate is valid to it",
	},
	{
		"the device reaches the URL: open it there with ?operation=GetCACaps",
		"name resolution, a proxy, a firewall or an untrusted TLS certificate may be in the way",
	},
	{
		"the names are as the device's own request has them",
		"records know a device only by the names that its request asks for",
	},
}

// transactionChecks are for a transaction that never arrived: its key pair was made.
var transactionChecks = []Advice{
	deviceChecks[4],
	deviceChecks[6],
	{"proxies and filters before the endpoint let POST and long URLs through", "the message itself is larger than all that the device sent before it"},
}

// serialChecks are for a certificate that no record tells of.
var serialChecks = []Advice{
	{"the serial number is in hexadecimal digits", "devices and tools also show it in decimal ones"},
	{"the certificate was handed out by this endpoint, in the time that the records cover: kubectl get certificaterequests, or the audit sink, go back further", "the servers keep their newest records only"},
}

func checksFor(q Question) []Advice {
	if q.Transaction != "" {
		return transactionChecks
	}
	return deviceChecks
}

// wayConditions of a ScepEndpoint tell of a break between devices and servers when they
// are False.
var wayConditions = []string{v1alpha1.ConditionExposed, v1alpha1.ConditionLongURLs, v1alpha1.ConditionEnrolling}

// onTheWay is what the endpoint's own conditions say of the way to it.
func (t Tier) onTheWay() []Advice {
	var advice []Advice
	for _, c := range t.Conditions {
		if c.Status == metav1.ConditionFalse && slices.Contains(wayConditions, c.Type) {
			advice = append(advice, Advice{
				fmt.Sprintf("condition %s of the ScepEndpoint is False, %s: %s", c.Type, c.Reason, c.Message),
				"what stops others stops this device; ask again once it is put right",
			})
		}
	}
	return advice
}

// ownFamily is this project's client: probes, which send no enrolment by themselves.
const ownFamily = "Scepter"

// halfWay names the families of clients that ask for the CA and send no message.
func (t Tier) halfWay() []string {
	asked, sent := map[string]bool{}, map[string]bool{}
	for _, row := range t.Funnel {
		asked[row.Family] = asked[row.Family] || row.Steps["GetCACaps"]+row.Steps["GetCACert"] > 0
		sent[row.Family] = sent[row.Family] || row.Steps["PKIOperation"] > 0
	}
	var families []string
	for family := range asked {
		if asked[family] && !sent[family] && family != ownFamily {
			families = append(families, family)
		}
	}
	if len(families) == 0 {
		return nil
	}
	slices.Sort(families)
	return []string{"clients of these families asked for the CA's certificates and never sent a message, since the servers started: " +
		strings.Join(families, ", ") + "; a device among them reaches the endpoint, and fails at the CA's certificate, at its key pair, or at sending"}
}

// expired advises another challenge where the newest has ended.
func expired(q Question, minted []Record) []Advice {
	if len(minted) == 0 || q.Now.Before(minted[len(minted)-1].Expires) {
		return nil
	}
	return []Advice{{"mint another one-time challenge before the device tries again", "the one that was minted for it has expired"}}
}

// remedies for a request that brought no certificate, by its newest record.
func remedies(class Class, last Record) []Advice {
	switch class {
	case Ended:
		return []Advice{{"have the device renew, or enrol anew, and look at when its profile has it renew", "it has not asked since"}}
	case Pending:
		request := cmp.Or(last.CertificateRequest, "that the servers made")
		return []Advice{{"look at what CertificateRequest " + request + " waits for, and approve it if that is up to you", "the device polls, and gets the certificate once it is issued"}}
	case Refused:
		check := cmp.Or(refusalRemedies[last.Reason], "look at the error in the evidence")
		return []Advice{{check, cmp.Or(last.Error, last.Reason)}}
	}
	check := cmp.Or(codeRemedies[last.Code], "have the device try again, and ask again: it may be at work just now, or a server ended meanwhile")
	return []Advice{{check, cmp.Or(last.Error, "nothing was refused")}}
}

// codeRemedies are for requests without an answer, by the code of their newest record.
var codeRemedies = map[string]string{
	"SCEP1031": "find out who guesses challenges; the device can try again when they stop",
	"SCEP1051": "look at the service that has to be told how the enrolment ended; the device polls meanwhile",
	"SCEP1063": "look at the ScepEndpoint's conditions for what is away; the device comes again by itself, and nothing of it is used up",
	"SCEP1064": "look at the server's log at that time",
	codeLost:   "have the device try again with the same key: it gets the same certificate",
}

// refusalRemedies are by the reason of the refusal. Texts for the device are in the error.
var refusalRemedies = map[string]string{
	"Malformed":           "have the device make its request anew; its software writes one that cannot be read",
	"KeyNotAllowed":       "make the key of the profile one that the template allows, or allow it in spec.keys of the CertificateTemplate",
	"DigestNotAllowed":    "make the digest of the profile one that the template allows, or allow it in spec.signatureDigests of the CertificateTemplate",
	"UsageNotAllowed":     "leave the usage out of the profile, or allow it in spec.usages of the CertificateTemplate",
	"UsageUnfit":          "make the key usage of the profile fit the key's algorithm",
	"CANotAllowed":        "have the profile ask for no CA certificate",
	"ExtensionNotAllowed": "leave the extension out of the profile",
	"SubjectNotAllowed":   "make the subject of the profile one that the template allows, or change spec.subject of the CertificateTemplate",
	"SubjectMissing":      "add to the profile the subject attribute that the template requires",
	"SANNotAllowed":       "make the alternative names of the profile those that the template allows",
	"RuleNotMet":          "compare the request with the rule of the CertificateTemplate that the error names",
	"TemplateUnknown":     "make the path in the profile's URL end with a template of the endpoint, or with none",
	"TemplateAmbiguous":   "have the profile name one Microsoft template",
	"SubjectHasEnough":    "let one of the subject's certificates end or revoke it, or allow more in the CertificateTemplate",

	"ChallengeMissing":     "add the challenge to the profile",
	"ChallengeWrong":       "put the endpoint's present challenge into the profile, or mint another; a management system has to deliver the profile anew",
	"ChallengeExpired":     "mint another challenge, and see that the device uses it in time",
	"ChallengeUsed":        "mint another challenge: each lets in one key",
	"IntuneRefused":        "look at the device's request in Intune: it refused it",
	"SignerUnknown":        "have the device enrol anew with a challenge; its certificate is not of this CA",
	"SignerExpired":        "have the device enrol anew with a challenge, and renew earlier",
	"SignerUnfit":          "have the device enrol anew with a challenge; the template would not grant its present certificate",
	"CertificateRevoked":   "have the device enrol anew with another key and a challenge, if it is still to be trusted",
	"SignerKeyUnfit":       "have the device sign with an RSA key, or use a challenge that can encrypt the answer",
	"NamesDiffer":          "have the device enrol anew with a challenge: a renewal keeps its names",
	"RenewalNotAllowed":    "have the device enrol with a challenge, or allow renewals in the CertificateTemplate",
	"RenewalTooEarly":      "wait for the renewal window, or widen it in the CertificateTemplate",
	"RenewalKeyNotAllowed": "have the device renew with the key that the template wants: the same, or another",
	"SignerRevoked":        "have the device enrol anew with another key and a challenge, if it is still to be trusted",
	"RevocationUnknown":    "have the device enrol anew with a challenge; its certificate names no source that tells of revocation",

	"QueryNotAnswered":   "get certificates and revocation lists elsewhere: this is not answered here",
	"CertificateUnknown": "ask the CA that issued the certificate",
	"TransactionUnknown": "have the device start anew: what it polls for is not known, or was another's",
	"Denied":             "ask who denied the CertificateRequest",
	"InvalidRequest":     "look at the CertificateRequest's conditions, and at what admission says",
	"IssuerFailed":       "look at the issuer; the device may try again",
	"AttemptsExhausted":  "look at the issuer, then have the device enrol anew",
	"PendingExpired":     "have the device enrol anew, and the CertificateRequest approved in time",
	"IssuedMismatch":     "look at the issuer: it made another certificate than was asked for",

	"Message/unreadable":      "have the device fetch GetCACert again: its message was made for a key that the RA does not have, or was changed on the way",
	"Message/undecoded":       "look for what changes requests on the way: what came was no message",
	"Message/badAlg":          "have the device use newer algorithms, or allow its own in spec.compatibility",
	"Message/badMessageCheck": "look for what changes requests on the way: the signature does not verify",
	"Message/badRequest":      "have the device make its request anew; its software writes one that is not of SCEP",
	"Message/badTime":         "put the device's clock right",
}
