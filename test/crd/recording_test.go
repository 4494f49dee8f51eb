package crd

func sinkEntry(fields string) string { return "spec: {recording: {sink: {" + fields + "}}}" }

func tracingEntry(fields string) string { return "spec: {recording: {tracing: {" + fields + "}}}" }

const (
	collector  = "otlp: {url: 'https://collector.example.com:4318/v1/logs', secretRef: {name: s}}"
	recordHook = "webhook: {url: https://audit.example.com/records, secretRef: {name: s}}"
	oneSink    = "set either otlp or webhook, not both"
)

// recordingCases are about where records and traces are sent.
var recordingCases = []ruleCase{
	{"a collector", endpoint, sinkEntry(collector), ""},
	{"a collector in the cluster", endpoint, sinkEntry("otlp: {url: 'http://collector.monitoring.svc:4318/v1/logs'}"), ""},
	{"a webhook for records", endpoint, sinkEntry(recordHook + ", onSinkFailure: Refuse, timeout: 30s, caBundleRef: {name: ca}"), ""},
	{"no sink in a sink", endpoint, sinkEntry("onSinkFailure: Refuse"), oneSink},
	{"two sinks", endpoint, sinkEntry(collector + ", " + recordHook), oneSink},
	{
		"a token in clear", endpoint, sinkEntry("otlp: {url: 'http://collector.monitoring.svc:4318/v1/logs', secretRef: {name: s}}"),
		"a token is sent over https only",
	},
	{
		"a sink that may take minutes", endpoint, sinkEntry(recordHook + ", timeout: 31s"),
		"timeout must be between 1s and 30s: with Refuse a device waits behind it",
	},
	{"traces", endpoint, tracingEntry("endpoint: 'http://collector.monitoring.svc:4318/v1/traces', ratio: '0.5', caBundleRef: {name: ca}"), ""},
	{"traces of all", endpoint, tracingEntry("endpoint: 'https://collector.example.com/v1/traces', ratio: '1.0'"), ""},
}
