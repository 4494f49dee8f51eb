# Scepter. "make" alone lists the targets.

GO ?= go
GOLANGCI_LINT = $(GO) tool -modfile=hack/tools/lint/go.mod golangci-lint
LOGS ?= dist/logs
# STAGES="lint unit" runs these only.
STAGES ?=
# How long each fuzzer runs, and each benchmark.
FUZZTIME ?= 5s
BENCHTIME ?= 1s
# Where "make images" puts them.
REGISTRY ?= scepter-pki
TAG ?= dev
# These never believe an earlier result: what other programs read is an input too.
REAL = -count=1
# Tests that want a real API server, and tests with a stage of their own; all others are unit tests.
NEED_API_SERVER = ./controllers/... ./internal/apply/... ./internal/ra/... ./cmd/operator/... ./cmd/kubectl-scep/...
OWN_STAGE = ./test/cluster/... ./test/conformance/... ./test/crd/... ./test/e2e/... ./test/helm/... ./test/load/...
# The directory with etcd, kube-apiserver and kubectl; built when first used.
ASSETS = KUBEBUILDER_ASSETS="$${KUBEBUILDER_ASSETS:-$$($(MAKE) --no-print-directory --silent assets)}"

.DEFAULT_GOAL := help
.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it
.PHONY: demo demo-down
demo: ## Bring up a cluster, install Scepter, enrol stock SCEP clients (root; Debian).
	$(GO) run ./hack/demo

demo-down: ## Take the demo away.
	$(GO) run ./hack/demo down

##@ Check
.PHONY: test lint lint-fix generated verify-generated unit fuzz bench controllers crd helm image cluster demonstration conformance e2e load failures alerts
test: ## Everything, a stage at a time, with a summary (STAGES="lint unit": these only).
	$(GO) run ./hack/stages -logs $(LOGS) $(STAGES)

lint: ## Lint (golangci-lint at the version of hack/tools/lint).
	$(GOLANGCI_LINT) run ./...
	cd test/image && $(GO) tool -modfile=../../hack/tools/lint/go.mod golangci-lint run ./...
	cd test/alerts && $(GO) tool -modfile=../../hack/tools/lint/go.mod golangci-lint run ./...
	cd test/stock/modules && $(GO) tool -modfile=../../../hack/tools/lint/go.mod golangci-lint run ./...

lint-fix: ## Lint, and fix what can be fixed.
	$(GOLANGCI_LINT) run --fix ./...

verify-generated: ## Report generated files that are not up to date.
	$(GO) run ./hack/generate -check

unit: ## Unit tests with the race detector.
	$(GO) test -race -timeout 19m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(NEED_API_SERVER) $(OWN_STAGE))")

fuzz: ## Every fuzzer: FUZZTIME for those of the protocol, a third for others; what breaks one stays in testdata/fuzz.
	$(GO) run ./hack/fuzz -time $(FUZZTIME) -thorough /internal/scep

bench: ## Benchmarks of the SCEP engine; fails if it takes much longer than its RSA operations.
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) ./internal/scep/...

controllers: ## Controllers and enrolment pipeline against a real API server.
	$(ASSETS) $(GO) test -race -timeout 19m $(NEED_API_SERVER)

crd: ## Rules of the CRDs and of the admission policy in a real API server.
	$(ASSETS) $(GO) test $(REAL) ./test/crd/...

helm: ## The chart: renders, schema, pod security, same rules as config/.
	$(ASSETS) $(GO) test $(REAL) ./test/helm/...

alerts: ## The alerts, evaluated by Prometheus' own engine.
	cd test/alerts && $(GO) test $(REAL) ./...

image: ## The Dockerfile: parse, lint, run its build steps.
	cd test/image && $(GO) test $(REAL) -timeout 19m ./...

cluster: ## The test cluster's own tests (root; Debian).
	$(GO) test $(REAL) -timeout 38m ./test/cluster/...

demonstration: ## What "make demo" does, without keeping its cluster (root; Debian).
	@$(GO) run ./hack/demo; ended=$$?; $(GO) run ./hack/demo down; exit $$ended

conformance: ## SCEP clients written elsewhere against the protocol engine (root; Debian).
	$(GO) test $(REAL) -parallel 8 ./test/conformance/...

# One test only rests, for ten minutes, and takes a place.
e2e: ## Stock SCEP clients against a real cluster (root; Debian; CLUSTER=current: yours).
	$(GO) test $(REAL) -parallel 3 -timeout 29m ./test/e2e/...

.PHONY: test-e2e
test-e2e: e2e ## The same, by the name that operators' projects have for it.

load: ## 2,000 devices and every outage in a real cluster, with figures (root; Debian).
	$(GO) test $(REAL) -v -timeout 24m ./test/load/...

failures: ## The failure catalogue's tests in a real cluster; then docs/failures.md with what they measured (root; Debian).
	$(GO) test $(REAL) -v -timeout 29m -run '^TestF[0-9][0-9]' ./test/e2e -args -update
	$(GO) run ./hack/generate

##@ Make
.PHONY: generate build images assets
generate: ## Make deepcopy, apply configurations, CRDs, RBAC, chart files, generated docs.
	$(GO) run ./hack/generate

build: ## Build the programs into bin/.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o bin/ ./cmd/...

images: ## Build the images with Docker (REGISTRY=…, TAG=…, PUSH=--push).
	docker buildx build --target operator -t $(REGISTRY)/operator:$(TAG) $(PUSH) .
	docker buildx build --target ra -t $(REGISTRY)/ra:$(TAG) $(PUSH) .

assets: ## Build etcd, kube-apiserver and kubectl for tests, and print their directory.
	@$(GO) run ./test/cluster assets

##@ A cluster on this machine (root; Debian)
.PHONY: cluster-up cluster-down
cluster-up: ## Bring up Kubernetes with cert-manager and Traefik.
	$(GO) run ./test/cluster up --with cert-manager,traefik

cluster-down: ## Take it away.
	$(GO) run ./test/cluster down
