package crd

import (
	"strings"
	"testing"
)

const (
	hook     = "url: https://hook.example.com/x, authentication: [Signature], secretRef: {name: s}"
	noSecret = "authentication needs a secretRef, unless all it needs comes from clientCertificateRef"
	app      = "tenantID: t, clientID: c, authentication: ClientSecret, secretRef: {name: s}"
)

func webhookEntry(fields string) string {
	return "spec: {challenges: [{name: a, type: Webhook, webhook: {" + fields + "}}]}"
}

func intuneEntry(fields string) string {
	return "spec: {challenges: [{name: a, type: Intune, intune: {" + fields + "}}]}"
}

// outsideCases are about challenges that ask a service.
var outsideCases = []ruleCase{
	{"a webhook", endpoint, webhookEntry(hook), ""},
	{
		"a webhook with everything", endpoint,
		webhookEntry(hook + ", id: hook-1, timeout: 30s, caBundleRef: {name: ca}, notification: {required: true, " + hook + "}"), "",
	},
	{
		"a webhook with an RACredential", endpoint,
		webhookEntry("url: https://hook.example.com, authentication: [ClientCertificate], clientCertificateRef: {name: policy}"), "",
	},
	{
		"a webhook with an RACredential and a token", endpoint,
		webhookEntry("url: https://hook.example.com, authentication: [ClientCertificate, Bearer], clientCertificateRef: {name: policy}, secretRef: {name: s}"), "",
	},
	{
		"an RACredential that is not shown", endpoint, webhookEntry(hook + ", clientCertificateRef: {name: policy}"),
		"clientCertificateRef goes with authentication ClientCertificate",
	},
	{
		"a webhook with an RACredential that is asked for by POST", endpoint,
		webhookEntry("url: https://hook.example.com, authentication: [ClientCertificate], clientCertificateRef: {name: policy}, clientProbe: Post"), "",
	},
	{
		"asking for an RACredential that is not there", endpoint, webhookEntry(hook + ", clientProbe: None"),
		"clientProbe goes with clientCertificateRef",
	},
	{"a webhook without a Secret", endpoint, webhookEntry("url: https://hook.example.com, authentication: [Signature]"), noSecret},
	{
		"a token without a Secret", endpoint,
		webhookEntry("url: https://hook.example.com, authentication: [ClientCertificate, Bearer], clientCertificateRef: {name: policy}"), noSecret,
	},
	{
		"a Secret for nothing", endpoint,
		webhookEntry("url: https://hook.example.com, authentication: [ClientCertificate], clientCertificateRef: {name: policy}, secretRef: {name: s}"), noSecret,
	},
	{
		"a webhook without its field", endpoint, "spec: {challenges: [{name: a, type: Webhook}]}",
		"type Webhook needs the field webhook, and it goes with no other type",
	},
	{
		"a webhook of another type", endpoint, "spec: {challenges: [{name: a, type: OneTime, webhook: {" + hook + "}}]}",
		"type Webhook needs the field webhook, and it goes with no other type",
	},
	{
		"two Authorization headers", endpoint,
		webhookEntry("url: https://hook.example.com, authentication: [Basic, Bearer], secretRef: {name: s}"),
		"a request has one Authorization header: choose Bearer or Basic",
	},
	{
		"a webhook that takes a minute", endpoint, webhookEntry(hook + ", timeout: 60s"),
		"timeout must be between 1s and 30s: a device waits behind it",
	},
	{"Intune", endpoint, intuneEntry(app), ""},
	{"Intune without a secret", endpoint, intuneEntry("tenantID: t, clientID: c, authentication: WorkloadIdentity"), ""},
	{
		"Intune without its field", endpoint, "spec: {challenges: [{name: a, type: Intune}]}",
		"type Intune needs the field intune, and it goes with no other type",
	},
	{
		"Intune by a secret that is not named", endpoint, intuneEntry("tenantID: t, clientID: c, authentication: ClientCertificate"),
		"ClientSecret and ClientCertificate need a secretRef; WorkloadIdentity must not have one",
	},
	{
		"Intune by workload identity and a secret", endpoint,
		intuneEntry("tenantID: t, clientID: c, authentication: WorkloadIdentity, secretRef: {name: s}"),
		"ClientSecret and ClientCertificate need a secretRef; WorkloadIdentity must not have one",
	},
	{
		"Intune in no time", endpoint, intuneEntry(app + ", timeout: 0s"),
		"timeout must be between 1s and 30s: a device waits behind it",
	},
}

// URLs that a server would send secrets to are held to https, without user names.
func TestURLsOfServices(t *testing.T) {
	entries := map[string]func(url string) string{
		"webhook": func(url string) string {
			return webhookEntry("url: '" + url + "', authentication: [Bearer], secretRef: {name: s}")
		},
		"authority": func(url string) string { return intuneEntry(app + ", urls: {authority: '" + url + "'}") },
		"graph":     func(url string) string { return intuneEntry(app + ", urls: {graph: '" + url + "'}") },
	}
	ns := namespace(t)
	for field, entry := range entries {
		for url, ok := range map[string]bool{
			"https://a.example.com":             true,
			"https://a.example.com:8443/":       true,
			"https://a.example.com/path?q=1":    field == "webhook",
			"http://a.example.com":              false,
			"https://user:password@a.example":   false,
			"https://a.example.com/x#part":      false,
			"https://":                          false,
			"a.example.com":                     false,
			"https://a.example.com/with spaces": false,
		} {
			object := sample(t, endpoint, ns)
			change(t, object, entry(url))
			err := tryCreate(object)
			if (err == nil) != ok {
				t.Errorf("%s %q: %v", field, url, err)
			}
			if err != nil && !strings.Contains(err.Error(), field) && !strings.Contains(err.Error(), "url") {
				t.Errorf("%s %q: refused for another reason: %v", field, url, err)
			}
		}
	}
}
