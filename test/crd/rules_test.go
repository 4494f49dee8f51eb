package crd

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/scepter-pki/scepter/test/internal/manifest"
)

// ruleCase is the sample of a kind with a change, and what the API server says of it.
type ruleCase struct {
	name, kind, patch string
	// want is the whole message of the CEL rule that refuses; "" accepts.
	want string
}

var ruleCases = []ruleCase{
	{"a template as written", template, "{}", ""},
	{
		"a template's name is a label value", template, "metadata: {name: " + strings.Repeat("a", 64) + "}",
		"metadata.name must be at most 63 characters: use a shorter name",
	},
	{"a template's name of 63", template, "metadata: {name: " + strings.Repeat("a", 63) + "}", ""},
	{
		"minSize with ECDSA", template, "spec: {keys: [{algorithm: ECDSA, minSize: 2048}]}",
		"minSize belongs to RSA: for ECDSA list curves instead",
	},
	{
		"curves with RSA", template, "spec: {keys: [{algorithm: RSA, curves: [P-256]}]}",
		"curves belong to ECDSA: for RSA set minSize instead",
	},
	{"keys by algorithm alone", template, "spec: {keys: [{algorithm: RSA}, {algorithm: ECDSA}]}", ""},
	{
		"a window of seconds", template, "spec: {renewal: {window: 59s}}",
		"renewal.window must be at least 1m",
	},
	{"a window of a minute", template, "spec: {renewal: {window: 1m}}", ""},
	{
		"a window as long as the validity", template, "spec: {validity: 720h, renewal: {window: 720h}}",
		"renewal.window must be shorter than validity: a certificate could otherwise be renewed as soon as it is issued",
	},
	{
		"a window longer than the default validity", template, "spec: {validity: null, renewal: {window: 9000h}}",
		"renewal.window must be shorter than validity: a certificate could otherwise be renewed as soon as it is issued",
	},
	{
		"an IP address for a range", template, "spec: {sans: {ip: {allowedCIDRs: [10.0.0.1]}}}",
		"must be a range in CIDR notation such as 10.0.0.0/8 or fd00::/8",
	},
	{"ranges", template, "spec: {sans: {ip: {allowedCIDRs: [10.0.0.0/8, 'fd00::/8']}}}", ""},
	{
		"required but not allowed", template, "spec: {subject: {required: [country], allowed: [commonName]}}",
		"each required attribute must be allowed too: add it to allowed",
	},
	{"required alone", template, "spec: {subject: {required: [country], allowed: null}}", ""},
	{
		"minutes of validity", template, "spec: {validity: 59m, renewal: {window: 1m}}",
		"validity must be between 1h and 87600h (ten years)",
	},
	{
		"eleven years", template, "spec: {validity: 96360h}",
		"validity must be between 1h and 87600h (ten years)",
	},
	{"ten years", template, "spec: {validity: 87600h}", ""},

	{"a credential as written", credential, "{}", ""},
	{
		"a credential's name that is no label", credential, "metadata: {name: 1corp}",
		"metadata.name must be a DNS-1035 label of at most 40 characters (lower-case letters, digits and '-', a letter first): the objects made from it add suffixes",
	},
	{
		"layout for a policy module", credential, "spec: {purpose: PolicyModule}",
		"layout belongs to purpose RA: leave it out for PolicyModule",
	},
	{"a policy module", credential, "spec: {purpose: PolicyModule, layout: null, key: {algorithm: ECDSA, size: 256}}", ""},
	{
		"an ECDSA key for an RA", credential, "spec: {key: {algorithm: ECDSA, size: 256}}",
		"purpose RA needs key.algorithm RSA: devices encrypt their requests to this key",
	},
	{
		"an overlap longer than renewBefore", credential, "spec: {overlap: 721h}",
		"renewBefore must be at least the overlap: the next certificate must be there before the overlap begins",
	},
	{"an overlap as long as renewBefore", credential, "spec: {overlap: 720h}", ""},
	{"no overlap", credential, "spec: {overlap: 0s}", ""},
	{"a policy module that is to be accepted at once", credential, "spec: {purpose: PolicyModule, layout: null, acceptWithin: 0s}", ""},
	{
		"acceptance of an RA", credential, "spec: {acceptWithin: 1h}",
		"acceptWithin belongs to purpose PolicyModule",
	},
	{
		"acceptance in the past", credential, "spec: {purpose: PolicyModule, layout: null, acceptWithin: -1s}",
		"acceptWithin must not be negative",
	},
	{
		"a negative overlap", credential, "spec: {overlap: -1s}",
		"overlap must not be negative",
	},
	{
		"renewBefore as long as the duration", credential, "spec: {renewBefore: 2160h}",
		"renewBefore must be shorter than duration",
	},
	{
		"minutes of duration", credential, "spec: {duration: 59m, renewBefore: 30m, overlap: 1m}",
		"duration must be at least 1h: cert-manager issues nothing shorter",
	},
	{
		"renewBefore of seconds", credential, "spec: {renewBefore: 10s, overlap: 1s}",
		"renewBefore must be at least 5m",
	},
	{
		"an RSA key of 1024", credential, "spec: {key: {size: 1024}}",
		"size must be 2048, 3072 or 4096 for RSA and 256, 384 or 521 for ECDSA",
	},
	{
		"an issuer and Secrets of one's own", credential, "spec: {layout: null, external: {secretRefs: [{name: s, role: Combined}]}}",
		"set either issuerRef (certificates are issued and renewed) or external (Secrets of yours), not both",
	},
	{
		"neither an issuer nor Secrets", credential, "spec: {issuerRef: null}",
		"set either issuerRef (certificates are issued and renewed) or external (Secrets of yours), not both",
	},
	{
		"a layout for Secrets of one's own", credential, "spec: {issuerRef: null, external: {secretRefs: [{name: s, role: Combined}]}}",
		"with external the roles of its Secrets are the layout: leave layout out",
	},
	{
		"a pair from outside", credential,
		"spec: {issuerRef: null, layout: null, external: {secretRefs: [{name: s, role: Signing}, {name: e, role: Encryption}]}}", "",
	},
	{
		"a keyring from outside", credential, "spec: {issuerRef: null, layout: null, external: {secretRefs: [{name: k}]}}", "",
	},
	{
		"two that sign", credential,
		"spec: {issuerRef: null, layout: null, external: {secretRefs: [{name: s, role: Signing}, {name: t, role: Signing}]}}",
		"name two Secrets of the roles Signing and Encryption, or one: Combined, Client, or without a role if it is the keyring of another cluster",
	},
	{
		"a half from outside", credential, "spec: {issuerRef: null, layout: null, external: {secretRefs: [{name: s, role: Signing}]}}",
		"name two Secrets of the roles Signing and Encryption, or one: Combined, Client, or without a role if it is the keyring of another cluster",
	},
	{
		"a client certificate for an RA", credential, "spec: {issuerRef: null, layout: null, external: {secretRefs: [{name: s, role: Client}]}}",
		"role Client belongs to purpose PolicyModule, every other role to purpose RA",
	},
	{
		"a client certificate from outside", credential,
		"spec: {purpose: PolicyModule, issuerRef: null, layout: null, external: {secretRefs: [{name: s, role: Client}]}}", "",
	},
	{
		"a switch that waits for nobody", credential, "spec: {loadTimeout: 1s}",
		"loadTimeout must be at least 10s: servers need a moment to load what is new",
	},
	{
		"an ECDSA key of 2048", credential, "spec: {purpose: PolicyModule, layout: null, key: {algorithm: ECDSA}}",
		"size must be 2048, 3072 or 4096 for RSA and 256, 384 or 521 for ECDSA",
	},

	{"an endpoint as written", endpoint, "{}", ""},
	{
		"an endpoint's name that is too long", endpoint, "metadata: {name: " + strings.Repeat("a", 41) + "}",
		"metadata.name must be a DNS-1035 label of at most 40 characters (lower-case letters, digits and '-', a letter first): the objects made from it add suffixes",
	},
	{
		"an endpoint's name with a dot", endpoint, "metadata: {name: corp.scep}",
		"metadata.name must be a DNS-1035 label of at most 40 characters (lower-case letters, digits and '-', a letter first): the objects made from it add suffixes",
	},
	{"an endpoint's name of 40", endpoint, "metadata: {name: " + strings.Repeat("a", 40) + "}", ""},
	{
		"a stored challenge, not acknowledged", endpoint,
		"spec: {challenges: [{name: mdm, type: Static, static: {secretRef: {name: s, key: k}}}]}",
		"a static challenge stays readable in stored CertificateRequests: set static.acknowledgeStoredChallenge to true if that is acceptable",
	},
	{
		"CA certificates from nowhere", endpoint, "spec: {ca: {chain: {}}}",
		"set exactly one of configMapRef, secretRef and pem",
	},
	{
		"CA certificates from two places", endpoint, "spec: {ca: {next: {configMapRef: {name: a}, pem: b}}}",
		"set exactly one of configMapRef, secretRef and pem",
	},
	{"CA certificates from a Secret", endpoint, "spec: {ca: {chain: {secretRef: {name: a, key: tls.crt}}, former: Refuse}}", ""},
	{
		"a static challenge without a secret", endpoint, "spec: {challenges: [{name: mdm, type: Static}]}",
		"type Static needs the field static with a secretRef",
	},
	{
		"two templates and no default", endpoint,
		"spec: {templates: [{name: a, templateRef: {name: a}}, {name: b, templateRef: {name: b}}]}",
		"mark exactly one template with default: true",
	},
	{
		"two defaults", endpoint,
		"spec: {templates: [{name: a, templateRef: {name: a}, default: true}, {name: b, templateRef: {name: b}, default: true}]}",
		"mark exactly one template with default: true",
	},
	{"one template, not marked", endpoint, "spec: {templates: [{name: a, templateRef: {name: a}}]}", ""},
	{
		"two templates, one marked", endpoint,
		"spec: {templates: [{name: a, templateRef: {name: a}, default: true}, {name: b, templateRef: {name: b}}]}", "",
	},
	{
		"a certificate and an issuer for TLS", endpoint,
		"spec: {exposure: {hosts: [{name: a.example, tls: {secretName: s, issuerRef: {name: i}}}]}}",
		"set either issuerRef (a certificate is issued) or secretName (a Secret of yours), not both",
	},
	{
		"neither for TLS", endpoint, "spec: {exposure: {hosts: [{name: a.example, tls: {}}]}}",
		"set either issuerRef (a certificate is issued) or secretName (a Secret of yours), not both",
	},
	{"a TLS secret", endpoint, "spec: {exposure: {hosts: [{name: a.example, tls: {secretName: s}}]}}", ""},
	{
		"neither http nor tls", endpoint, "spec: {exposure: {hosts: [{name: a.example, http: Disabled}]}}",
		"with http Disabled a host needs tls: nothing would be served otherwise",
	},
	{"https alone", endpoint, "spec: {exposure: {hosts: [{name: a.example, http: Disabled, tls: {secretName: s}}]}}", ""},
	{
		"a proxy that is no range", endpoint, "spec: {exposure: {trustedProxies: [proxy.example.com]}}",
		"must be a range in CIDR notation such as 10.0.0.0/8 or fd00::/8",
	},
	{"proxies", endpoint, "spec: {exposure: {trustedProxies: [10.0.0.0/8]}}", ""},
	{
		"an Ingress without hosts", endpoint, "spec: {exposure: {hosts: []}}",
		"an Ingress or Gateway route needs at least one entry in hosts",
	},
	{
		"a Gateway without hosts", endpoint, "spec: {exposure: {hosts: null, ingress: null, gateway: {parentRefs: [{name: g}]}}}",
		"an Ingress or Gateway route needs at least one entry in hosts",
	},
	{
		"Ingress and Gateway", endpoint,
		"spec: {exposure: {gateway: {mode: TLSPassthrough, parentRefs: [{name: g, namespace: edge, sectionName: scep}]}}}", "",
	},
	{"no exposure", endpoint, "spec: {exposure: null}", ""},
	{
		"an impatient endpoint", endpoint, "spec: {issuance: {wait: 500ms}}",
		"wait must be between 1s and 60s: devices give up on an unanswered request",
	},
	{
		"a patient endpoint", endpoint, "spec: {issuance: {wait: 61s}}",
		"wait must be between 1s and 60s: devices give up on an unanswered request",
	},
	{
		"a request that nobody waits for", endpoint, "spec: {issuance: {pendingDeadline: 59s}}",
		"pendingDeadline must be between 1m and 720h (30 days): the record of the request is kept for as long",
	},
	{
		"a request for ever", endpoint, "spec: {issuance: {pendingDeadline: 721h}}",
		"pendingDeadline must be between 1m and 720h (30 days): the record of the request is kept for as long",
	},
	{
		"trials of signers", endpoint, "spec: {issuance: {mode: Direct, trial: OnChange}}",
		"trial goes with mode CertificateRequest only: signers issue whatever their templates allow",
	},
	{"trials of an issuer", endpoint, "spec: {issuance: {trial: OnChange}}", ""},
	{
		"a certificate that is missed at once", endpoint, "spec: {issuance: {collectWithin: 9s}}",
		"collectWithin must be between 10s and 720h",
	},
	{"a certificate that is missed after ten seconds", endpoint, "spec: {issuance: {collectWithin: 10s}}", ""},
	{"requests that wait for a month", endpoint, "spec: {issuance: {pendingDeadline: 720h}}", ""},
	{
		"a drain that keeps nodes waiting", endpoint, "spec: {server: {drainDelay: 301s}}",
		"drainDelay must be between 0s and 300s: nodes wait for it when they are drained",
	},
	{
		"a proxy's password for all to read", endpoint, "spec: {server: {proxy: {httpsProxy: 'http://me:secret@proxy.example.com:3128'}}}",
		"a proxy's URL must not hold a user name or a password: many can read it",
	},
	{
		"a proxy that is no URL", endpoint, "spec: {server: {proxy: {httpProxy: 'socks5://proxy.example.com'}}}",
		"a proxy is a URL with http or https, a host and perhaps a port",
	},
	{
		"no proxy at all", endpoint, "spec: {server: {proxy: {noProxy: [example.com]}}}",
		"proxy needs httpsProxy, httpProxy or both",
	},
	{"a proxy", endpoint, "spec: {server: {proxy: {httpsProxy: 'http://proxy.example.com:3128', httpProxy: 'http://192.0.2.1:3128/', noProxy: [.example.com, 192.0.2.0/24, 'hook.example.net:8443']}}}", ""},
	{
		"probes that are a load", endpoint, "spec: {probes: {interval: 1s}}",
		"interval must be between 10s and 1h",
	},
	{
		"long URLs without an end", endpoint, "spec: {probes: {urlInterval: 1m}}",
		"urlInterval must be between 5m and 24h",
	},
	{
		"canaries that are a load", endpoint, "spec: {probes: {canary: {interval: 30s}}}",
		"canary.interval must be between 1m and 24h",
	},
	{"canaries that are rare", endpoint, "spec: {probes: {canary: {level: Protocol, interval: 24h}}}", ""},
	{
		"certificates for canaries that are a load", endpoint, "spec: {probes: {canary: {level: Full, issueInterval: 10m}}}",
		"canary.issueInterval must be between 15m and 168h",
	},
	{"certificates for canaries once a week", endpoint, "spec: {probes: {canary: {level: Full, issueInterval: 168h}}}", ""},
	{"no canaries", endpoint, "spec: {probes: {canary: {level: Disabled}}}", ""},
	{"probes that are rare", endpoint, "spec: {probes: {interval: 1h, urlInterval: 24h}}", ""},
	{
		"habits of a second", endpoint, "spec: {funnel: {learning: 1s}}",
		"learning must be between 1m and 672h",
	},
	{"habits of a month", endpoint, "spec: {funnel: {learning: 672h}}", ""},
	{"no drain", endpoint, "spec: {server: {drainDelay: 0s}}", ""},
	{"legacy algorithms", endpoint, "spec: {compatibility: {legacyAlgorithms: [3DES, SHA-1, DES, MD5]}}", ""},
	{"chains as a device wants them", endpoint, "spec: {compatibility: {caChain: Issuer, replyChain: Include}}", ""},
}

// updateCases change an object that exists, whose rules compare with what was.
var updateCases = []ruleCase{
	{
		"another purpose", credential, "spec: {purpose: PolicyModule, layout: null}",
		"purpose cannot be changed: make another RACredential",
	},
	{"another layout", credential, "spec: {layout: Combined}", ""},
}

func TestRules(t *testing.T) {
	ns := namespace(t)
	for _, c := range slices.Concat(ruleCases, outsideCases, oneTimeCases, directCases, contentCases, selectionCases, recordingCases, exposureCases) {
		t.Run(c.kind+"/"+c.name, func(t *testing.T) {
			object := sample(t, c.kind, ns)
			change(t, object, c.patch)
			checkMessage(t, tryCreate(object), c.want)
		})
	}
}

func TestRulesOnUpdate(t *testing.T) {
	for _, c := range updateCases {
		t.Run(c.kind+"/"+c.name, func(t *testing.T) {
			object := sample(t, c.kind, namespace(t))
			if err := server.Client.Create(context.Background(), object); err != nil {
				t.Fatal(err)
			}
			change(t, object, c.patch)
			checkMessage(t, server.Client.Update(context.Background(), object), c.want)
		})
	}
}

// TestEveryRuleIsTested compares the messages in the CRDs with those in the tables.
func TestEveryRuleIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range slices.Concat(ruleCases, outsideCases, oneTimeCases, directCases, contentCases, selectionCases, recordingCases, exposureCases, updateCases) {
		if c.want != "" {
			tested[c.kind+": "+c.want] = true
		}
	}
	declared := map[string]bool{}
	for kind, schema := range schemas(t) {
		walk("", schema, func(_ string, s *apiextensionsv1.JSONSchemaProps) {
			for _, rule := range s.XValidations {
				declared[kind+": "+rule.Message] = true
			}
		})
	}
	for _, message := range slices.Sorted(maps.Keys(declared)) {
		if !tested[message] {
			t.Errorf("no case for the rule %q", message)
		}
	}
	for _, message := range slices.Sorted(maps.Keys(tested)) {
		if !declared[message] {
			t.Errorf("no rule has the message %q", message)
		}
	}
}

// schemas are the OpenAPI schemas of the generated CRDs, by kind.
func schemas(t *testing.T) map[string]*apiextensionsv1.JSONSchemaProps {
	t.Helper()
	found := map[string]*apiextensionsv1.JSONSchemaProps{}
	for _, object := range crds(t) {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &crd); err != nil {
			t.Fatal(err)
		}
		found[crd.Spec.Names.Kind] = crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	return found
}

func crds(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifest.Read(filepath.Join(server.Root, "config/crd/scepter.dev_*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// walk calls visit for a schema and all within it. A path reads as in a
// message: ".spec.keys[0].algorithm".
func walk(path string, s *apiextensionsv1.JSONSchemaProps, visit func(string, *apiextensionsv1.JSONSchemaProps)) {
	visit(path, s)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		walk(path+"."+name, &property, visit)
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk(path+"[0]", s.Items.Schema, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walk(path+".*", s.AdditionalProperties.Schema, visit)
	}
}
