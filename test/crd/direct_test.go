package crd

// directCases are about issuing with the CA's key.
var directCases = []ruleCase{
	{"Direct by name alone", endpoint, "spec: {issuance: {mode: Direct}}", ""},
	{
		"Direct with everything", endpoint,
		"spec: {issuance: {mode: Direct, direct: {replicas: 3, resources: {requests: {cpu: 100m}}, crl: {validity: 48h, urls: ['http://scep.example.com/crl']}}}}", "",
	},
	{
		"signers without Direct", endpoint, "spec: {issuance: {mode: CertificateRequest, direct: {}}}",
		"the field direct goes with mode Direct only",
	},
	{
		"a list for minutes", endpoint, "spec: {issuance: {mode: Direct, direct: {crl: {validity: 59m}}}}",
		"crl.validity must be between 1h and 720h",
	},
	{"a list for a month", endpoint, "spec: {issuance: {mode: Direct, direct: {crl: {validity: 720h}}}}", ""},
	{
		"a challenge that Direct does not store", endpoint,
		"spec: {issuance: {mode: Direct}, challenges: [{name: mdm, type: Static, static: {secretRef: {name: s, key: k}}}]}", "",
	},
}
