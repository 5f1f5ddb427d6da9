# Few targets; `make help` says what each does.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CACHE := $(or $(BATCH_STACK_CACHE),$(HOME)/.cache/batch-on-kafka)
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
TYPOS_VERSION := 1.52.0
TYPOS := $(CACHE)/typos-$(TYPOS_VERSION)/bin/typos
STACK := cargo run --quiet --package stack --
PEERS := $(CACHE)/peers
CHART := charts/batch-on-kafka
export PATH := $(PATH):$(CACHE)/bin:$(dir $(CARGO_DENY)):$(dir $(TYPOS))

.PHONY: help demo test verify fuzz faults memcheck bench bench-rows generate stack-up stack-down stack-status images install

help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: system-packages ## From nothing to loaded and rejected rows on the real parts, each command shown
	cargo run --package e2e --bin demo

test: system-packages ## Lint, unit, CRDs on a real API server, end-to-end on the whole stack
	.ci/test

verify: system-packages $(CARGO_DENY) $(TYPOS) ## Format, spelling, links, circles of modules, lints, rustdoc, licences, unit tests, generated files, chart
	.ci/verify

fuzz: system-packages ## Fuzz the row engine, SECONDS=600 for each target; ASAN=1: with the address sanitizer (nightly)
	.ci/fuzz $(or $(SECONDS),600) $(TARGETS)

faults: system-packages ## Loads of known content while parts are killed, stopped, cut off and filled up; SEED=1 MINUTES=10, ARGS=--help
	cargo build --quiet --release --package e2e --bin faults
	@trap '' INT; (trap - INT; exec target/release/faults $(if $(SEED),--seed $(SEED)) --minutes $(or $(MINUTES),10) --disk $(ARGS)); \
		code=$$?; target/release/faults --undo; exit $$code

memcheck: system-packages ## The row engine's unit tests under valgrind
	.ci/memcheck $(TESTS)

bench: bench-rows ## The row engine beside its peers, then the whole path beside ClickHouse's own CSV load
	cargo build --release --package e2e --bin bench
	target/release/bench $(ARGS)

bench-rows: system-packages $(PEERS)/.stamp ## The row engine beside its peers, one thread each, into docs/performance.md; MB=250 RUNS=5
	cargo build --release --package rows-check --example engine
	$(PEERS)/venv/bin/python rows/check/benches/peers/bench.py $(or $(CARGO_TARGET_DIR),target)/release/examples/engine \
		--mb $(or $(MB),250) --runs $(or $(RUNS),5) --write docs/performance.md

generate: ## Make again what is made from code: CRDs, OpenAPI, the CLI's reference, the fidelity table
	cargo run --quiet --package crds --bin crdgen -- $(CHART)/files/crds
	cargo run --quiet --package ingest-api -- openapi > docs/openapi.json
	cargo run --quiet --package cli -- reference > docs/cli.md
	cargo run --quiet --package rows-infer --example fidelity > docs/fidelity.md

stack-up: system-packages ## Start Kubernetes, Kafka and ClickHouse on this machine
	$(STACK) up

stack-down: ## Stop them and leave nothing behind (data stays)
	$(STACK) down

stack-status: ## Say of each part where it is and how it does
	$(STACK) status

images: ## Build the release binaries and the image, and import it into the local stack
	cargo run --quiet --package e2e --bin prepare -- --only-image

install: ## Install or upgrade the chart on the local stack
	cargo run --quiet --package e2e --bin prepare

# What the Rust dependencies link to, where a fresh Debian lacks it.
.PHONY: system-packages
system-packages:
	@.ci/system-packages

$(CARGO_DENY):
	cargo install --quiet --locked --no-default-features --root $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION) cargo-deny@$(CARGO_DENY_VERSION)

# PyPI has it as a program; from its source it takes minutes to build.
$(TYPOS):
	python3 -m venv --clear $(CACHE)/typos-$(TYPOS_VERSION)
	$(CACHE)/typos-$(TYPOS_VERSION)/bin/pip install --quiet --disable-pip-version-check --only-binary=:all: typos==$(TYPOS_VERSION)

$(PEERS)/.stamp: rows/check/benches/peers/requirements.txt
	python3 -m venv --clear $(PEERS)/venv
	$(PEERS)/venv/bin/pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --requirement $<
	touch $@
