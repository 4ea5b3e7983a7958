# Everything that is done with a checkout. Each target does its own set-up.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

.PHONY: help test test-rust vectors-rust lint clean

help: ## Lists what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

test: test-rust ## Runs every test that needs no external server

test-rust: tools ## Runs the tests of the Rust crates
	cargo test --locked -p tracebaton --all-features
	cargo test --locked -p tracebaton-ingest -p tracebaton-sync

vectors-rust: tools ## Runs the vectors in Rust and says how many passed
	cargo test --locked -p tracebaton --test suite vectors -- --nocapture

lint: tools ## Checks formatting and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

clean: ## Removes everything that was built
	rm -rf target .venv .cache

.PHONY: tools
tools:
	@for tool in cargo gcc g++ make; do \
	  command -v $$tool >/dev/null || { echo "make: $$tool is missing: install it and try again" >&2; exit 1; }; \
	done
