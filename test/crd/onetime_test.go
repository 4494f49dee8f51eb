package crd

// oneTimeEntry is an endpoint with a one-time challenge.
func oneTimeEntry(fields string) string {
	return "spec: {challenges: [{name: a, type: OneTime, oneTime: {" + fields + "}}]}"
}

// callersByCertificate is an endpoint with an admin exposure that takes client certificates.
func callersByCertificate(names string) string {
	return "spec: {exposure: {admin: {host: mint.example.com, tls: {secretName: s}, clientCertificates: {caRef: {name: ca}, names: [" + names + "]}}}}"
}

const callerNameForm = "a name is of the form dns:…, email:…, uri:…, ip:… or upn:…, or an attribute of the subject: commonName=…"

// oneTimeCases are about challenges that this endpoint mints.
var oneTimeCases = []ruleCase{
	{"a one-time challenge", endpoint, "spec: {challenges: [{name: a, type: OneTime}]}", ""},
	{"a one-time challenge with everything", endpoint, oneTimeEntry("validity: 24h, rekeyWindow: 24h, ndes: {encoding: UTF-8, template: device}"), ""},
	{"a one-time challenge for a month", endpoint, oneTimeEntry("validity: 720h"), ""},
	{"NDES for the default hour", endpoint, oneTimeEntry("ndes: {}"), ""},
	{
		"oneTime with another type", endpoint, "spec: {challenges: [{name: a, type: Anyone, oneTime: {}}]}",
		"the field oneTime goes with type OneTime only",
	},
	{"anyone", endpoint, "spec: {challenges: [{name: a, type: Anyone}]}", ""},
	{
		"a challenge for seconds", endpoint, oneTimeEntry("validity: 59s"),
		"validity must be between 1m and 720h",
	},
	{
		"NDES for two days", endpoint, oneTimeEntry("validity: 48h, ndes: {}"),
		"with ndes the validity must be at most 24h: its 16 digits would be too easy to guess",
	},
	{
		"rekeying for longer than the challenge", endpoint, oneTimeEntry("rekeyWindow: 2h"),
		"rekeyWindow must not be longer than validity",
	},
	{
		"rekeying before the first use", endpoint, oneTimeEntry("rekeyWindow: -1s"),
		"rekeyWindow must not be negative",
	},
	{
		"NDES for a template that is not there", endpoint, oneTimeEntry("ndes: {template: absent}"),
		"oneTime.ndes.template must be the name of an entry of templates",
	},
	{"rules with names", template, "spec: {rules: [{name: a, expression: 'true', message: m}, {name: b, expression: 'true', message: m}, {expression: 'true', message: m}, {expression: 'true', message: m}]}", ""},
	{
		"two rules of one name", template, "spec: {rules: [{name: a, expression: 'true', message: m}, {name: a, expression: 'true', message: m}]}",
		"two rules have the same name: a challenge names one",
	},
	{
		"an admin exposure", endpoint,
		"spec: {exposure: {admin: {host: mint.example.com, tls: {secretName: s}, serviceType: LoadBalancer, basicAuthRef: {name: b}}}}", "",
	},
	{
		"client certificates", endpoint,
		callersByCertificate("'commonName=mdm', 'dns:mdm.example.com', 'uri:spiffe://example.com/mdm', 'ip:192.0.2.1', 'email:m@example.com', 'upn:m@example.com', 'organization=a=b'"), "",
	},
	{"a caller's name of no form", endpoint, callersByCertificate("mdm.example.com"), callerNameForm},
	{"a caller's name of an unknown attribute", endpoint, callersByCertificate("'CN=mdm'"), callerNameForm},
	{"a caller's empty name", endpoint, callersByCertificate("'dns:'"), callerNameForm},
}
