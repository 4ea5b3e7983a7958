# Everything that is done with a checkout. Each target does its own set-up.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

.PHONY: help test test-rust test-node vectors-rust vectors-node lint clean

help: ## Lists what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

test: test-rust test-node ## Runs every test that needs no external server

test-rust: tools ## Runs the tests of the Rust crates
	cargo test --locked -p tracebaton --all-features
	cargo test --locked -p tracebaton-ingest -p tracebaton-sync -p tracebaton-drilldown

test-node: node-binding ## Runs the tests of the Node binding
	cd bindings-node && node --test test/*.test.mjs

vectors-rust: tools ## Runs the vectors in Rust and says how many passed
	cargo test --locked -p tracebaton --test suite vectors -- --nocapture

vectors-node: node-binding ## Runs the vectors in Node and says how many passed
	cd bindings-node && node --test test/vectors.test.mjs

lint: tools ## Checks formatting and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

clean: ## Removes everything that was built
	rm -rf target .venv .cache

.PHONY: node-binding
node-binding: tools
	cd bindings-node && TRACEBATON_PROFILE=dev node scripts/build.cjs --force

.PHONY: tools
tools:
	@for tool in cargo gcc g++ make node npm python3; do \
	  command -v $$tool >/dev/null || { echo "make: $$tool is missing: install it and try again" >&2; exit 1; }; \
	done
