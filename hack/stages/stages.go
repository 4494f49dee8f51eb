package main

import "time"

// stages are the checks, quick ones first. What needs a machine's programs (an API
// server, Helm) builds them once, into the user's cache directory.
var stages = []stage{
	{
		name:    "lint",
		about:   "golangci-lint, as .golangci.yml says",
		command: []string{"make", "--no-print-directory", "lint"},
		limit:   15 * time.Minute,
	},
	{
		name:    "generated",
		about:   "generated files are up to date",
		command: []string{"make", "--no-print-directory", "verify-generated"},
		limit:   5 * time.Minute,
	},
	{
		name:    "unit",
		about:   "unit tests with the race detector",
		command: []string{"make", "--no-print-directory", "unit"},
		limit:   20 * time.Minute,
	},
	{
		name:    "fuzz",
		about:   "each fuzzer: FUZZTIME for those of the protocol, a third for others",
		command: []string{"make", "--no-print-directory", "fuzz"},
		limit:   30 * time.Minute,
	},
	{
		name:    "bench",
		about:   "benchmarks of the SCEP engine, and what it takes beyond its RSA operations",
		command: []string{"make", "--no-print-directory", "bench"},
		limit:   10 * time.Minute,
	},
	{
		name:    "assets",
		about:   "build etcd, API server and kubectl, once",
		command: []string{"make", "--no-print-directory", "--silent", "assets"},
		limit:   40 * time.Minute,
		setsEnv: "KUBEBUILDER_ASSETS",
	},
	{
		name:    "controllers",
		about:   "controllers and enrolment pipeline against a real API server",
		command: []string{"make", "--no-print-directory", "controllers"},
		limit:   20 * time.Minute,
		after:   []string{"assets"},
	},
	{
		name:    "crd",
		about:   "each rule of the CRDs and of the admission policy, in a real API server",
		command: []string{"make", "--no-print-directory", "crd"},
		limit:   5 * time.Minute,
		after:   []string{"assets"},
	},
	{
		name:    "helm",
		about:   "the chart: renders, schema, pod security, same rules as config/",
		command: []string{"make", "--no-print-directory", "helm"},
		limit:   15 * time.Minute,
		after:   []string{"assets"},
	},
	{
		name:    "alerts",
		about:   "the alerts, evaluated by Prometheus' own engine",
		command: []string{"make", "--no-print-directory", "alerts"},
		limit:   10 * time.Minute,
	},
	{
		name:    "image",
		about:   "the Dockerfile: parsed, linted, its build steps run",
		command: []string{"make", "--no-print-directory", "image"},
		limit:   20 * time.Minute,
	},
	{
		name:    "cluster",
		about:   "a real Kubernetes on this machine: pods, DNS, Ingress, cert-manager, clean ends",
		command: []string{"make", "--no-print-directory", "cluster"},
		limit:   40 * time.Minute,
		after:   []string{"assets"},
	},
	{
		name:    "conformance",
		about:   "SCEP clients written elsewhere, against the protocol engine",
		command: []string{"make", "--no-print-directory", "conformance"},
		limit:   10 * time.Minute,
	},
	{
		name:    "demonstration",
		about:   "what the README's make demo does",
		command: []string{"make", "--no-print-directory", "demonstration"},
		limit:   15 * time.Minute,
		after:   []string{"assets"},
	},
	{
		name:    "e2e",
		about:   "stock SCEP clients enrol through a real cluster",
		command: []string{"make", "--no-print-directory", "e2e"},
		limit:   30 * time.Minute,
		after:   []string{"assets"},
	},
	{
		name:    "load",
		about:   "2,000 devices, races, replays and outages in a real cluster, with figures",
		command: []string{"make", "--no-print-directory", "load"},
		limit:   25 * time.Minute,
		after:   []string{"assets"},
	},
}
