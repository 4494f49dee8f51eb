package crd

// contentCases are about what a template says of the content of requests.
var contentCases = []ruleCase{
	{
		"every digest, usages by key, purposes by OID", template,
		"spec: {signatureDigests: [SHA-256, SHA-384, SHA-512, SHA-1], keys: [{algorithm: ECDSA, usages: [digital signature, key agreement]}, {algorithm: RSA}], extendedKeyUsages: [1.3.6.1.4.1.311.20.2.2]}", "",
	},
	{
		"a purpose that has a name", template, "spec: {extendedKeyUsages: [1.3.6.1.5.5.7.3.2]}",
		"this extended key usage has a name: list it in usages",
	},
	{
		"OCSP signing", template, "spec: {extendedKeyUsages: [1.3.6.1.5.5.7.3.9]}",
		"OCSP signing is never granted: whoever holds such a certificate can answer for the CA",
	},
	{"a purpose below one that has a name", template, "spec: {extendedKeyUsages: [1.3.6.1.5.5.7.3.21, 1.3.6.1.5.5.7.3.14]}", ""},
	{"backdating by a day", template, "spec: {backdate: 24h}", ""},
	{"backdating by seconds", template, "spec: {backdate: 59s}", "backdate must be between 1m and 720h"},
	{"backdating by years", template, "spec: {backdate: 721h}", "backdate must be between 1m and 720h"},
	{"a SID ignored", template, "spec: {microsoftSID: Ignore}", ""},
	{
		"attributes by values and pattern", template,
		"spec: {subject: {required: [commonName], allowed: [commonName, organization], attributes: [{name: organization, values: [Example Ltd]}, {name: commonName, pattern: 'd-[0-9]{4}'}]}}", "",
	},
	{
		"an attribute with values and pattern", template,
		"spec: {subject: {attributes: [{name: commonName, values: [a], pattern: a}]}}",
		"set either values or pattern",
	},
	{"an attribute with neither", template, "spec: {subject: {attributes: [{name: commonName}]}}", "set either values or pattern"},
	{
		"values of an attribute that is not allowed", template,
		"spec: {subject: {allowed: [commonName], attributes: [{name: country, values: [CH]}]}}",
		"each attribute whose values are limited must be allowed too: add it to allowed",
	},
	{
		"names of the rarer types", template,
		"spec: {sans: {otherNames: [{oid: 1.3.6.1.5.5.7.8.5, pattern: '.*@example[.]com'}, {oid: 1.3.6.1.5.5.7.8.9}], directoryName: {required: [organization]}, registeredID: {allowedOIDs: [1.3.6.1.4.1.99999]}}}", "",
	},
	{
		"an other name with values and pattern", template,
		"spec: {sans: {otherNames: [{oid: 1.2.3, values: [a], pattern: a}]}}",
		"set values or pattern, not both",
	},
	{
		"a user principal name as an other name", template,
		"spec: {sans: {otherNames: [{oid: 1.3.6.1.4.1.311.20.2.3}]}}",
		"this is the user principal name: set sans.upn instead",
	},
}
