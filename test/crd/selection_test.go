package crd

// selectionCases are about which template serves a request, and how its certificates are renewed.
var selectionCases = []ruleCase{
	{
		"a template per key usage", endpoint,
		"spec: {templates: [{name: a, templateRef: {name: a}, keyUsage: Signature, default: true}, {name: b, templateRef: {name: b}, keyUsage: Encryption}, {name: c, templateRef: {name: c}, keyUsage: GeneralPurpose}, {name: d, templateRef: {name: d}}]}", "",
	},
	{
		"two templates for one key usage", endpoint,
		"spec: {templates: [{name: a, templateRef: {name: a}, keyUsage: Signature, default: true}, {name: b, templateRef: {name: b}, keyUsage: Signature}]}",
		"two entries have the same keyUsage: a request could match either",
	},
	{"a Microsoft template by name", template, "spec: {microsoft: {name: WorkstationAuthentication}}", ""},
	{"a Microsoft template by OID", template, "spec: {microsoft: {oid: 1.3.6.1.4.1.311.21.8.1.2, aliases: [Old Workstation, 1.3.6.1.4.1.311.21.8.1.1]}}", ""},
	{
		"a Microsoft template with aliases only", template, "spec: {microsoft: {aliases: [Workstation]}}",
		"microsoft needs name, oid or both: nothing could name the template otherwise",
	},
	{"renewal in every detail", template, "spec: {renewal: {key: New, afterExpiry: 720h, revoked: Refuse, staleRevocation: 48h}, maxPerSubject: 2, context: User}", ""},
	{
		"renewal years after expiry", template, "spec: {renewal: {afterExpiry: 8761h}}",
		"renewal.afterExpiry must be between 1m and 8760h",
	},
	{
		"renewal seconds after expiry", template, "spec: {renewal: {afterExpiry: 59s}}",
		"renewal.afterExpiry must be between 1m and 8760h",
	},
	{
		"revocation that is stale for months", template, "spec: {renewal: {revoked: Refuse, staleRevocation: 721h}}",
		"renewal.staleRevocation must be between 1m and 720h",
	},
	{
		"revocation that is stale for seconds", template, "spec: {renewal: {revoked: Refuse, staleRevocation: 59s}}",
		"renewal.staleRevocation must be between 1m and 720h",
	},
}
