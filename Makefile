# Narthex. `make run` to try it, `make test` to test it, `make help` for the rest.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: help run test bench lint build deps real-peers clean

CARGO ?= cargo

help: ## What there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: build ## Build and start the gateway with gateway.yaml (or CONFIG=…) and a demo MCP server
	@CONFIG=$(CONFIG) scripts/run-demo.sh

test: deps real-peers ## Run all tests (installs the real peers they need)
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace --no-fail-fast

bench: deps ## Compare CPU, latency and memory with a bare Pingora proxy
	$(CARGO) build --release -p narthex
	$(CARGO) build --release -p narthex-bench
	target/release/bench $(BENCH_ARGS)

lint: deps ## Formatting, lints, licences and advisories
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; \
	 else echo 'cargo-deny is not installed: licences and sources not checked'; fi

build: deps ## Build the release binaries
	$(CARGO) build --release -p narthex -p narthex-demo

deps: ## Install what the build needs (a C compiler and cmake)
	@scripts/install-deps.sh build

real-peers: ## Install the identity provider, servers and clients that tests drive
	@scripts/install-deps.sh test
	@tests/real/setup.sh

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf .narthex tests/real/.venv* tests/real/node_modules
