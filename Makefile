# Everything that is done with a checkout. Each target does its own set-up and builds what it needs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# One profile and one folder for all that is built here, so that nothing is built twice.
export CARGO_TARGET_DIR := $(CURDIR)/target
export TRACEBATON_BIN := $(CURDIR)/target/debug
export TRACEBATON_PROFILE := dev
export MATURIN_PEP517_ARGS := --profile dev
export npm_config_update_notifier := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON ?= python3
VENV := .venv/bin
SERVICES := -p tracebaton-ingest -p tracebaton-sync
STACK := -p tracebaton-drilldown -p tracebaton-embedded $(SERVICES)
CORE_SOURCES := Cargo.lock $(shell find rust-core/src -name '*.rs') rust-core/Cargo.toml
PYTHON_SOURCES := $(CORE_SOURCES) $(shell find bindings-python/src bindings-python/python -name '*.rs' -o -name '*.py*' -not -name '*.pyc' -not -name '*.so') \
	bindings-python/Cargo.toml bindings-python/pyproject.toml

.PHONY: help
help: ## Lists what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: demo
demo: build ## Runs the whole relay on a sample and shows what became of it (EVENTS=path, KEEP=1)
	@"$(TRACEBATON_BIN)/demo"

# ---- tests

.PHONY: test
test: test-rust test-python test-node test-e2e ## Runs every test that needs no external server

.PHONY: test-rust
test-rust: tools ## Runs the tests of the Rust crates
	@echo "== Rust"
	cargo test --locked -p tracebaton --all-features
	cargo test --locked $(STACK) -p tracebaton-demo -p tracebaton-w3c

.PHONY: test-python
test-python: $(VENV)/.ready-dev target/tls/localhost.pem ## Runs the tests of the Python binding and of raw_to_user
	@echo "== Python"
	cd bindings-python && ../$(VENV)/python -m pytest -q

.PHONY: test-node
test-node: node-dev broker enrich target/tls/localhost.pem tests/w3c/node/node_modules/.package-lock.json examples/node/node_modules/.package-lock.json ## Runs the tests of the Node binding
	@echo "== Node"
	cd bindings-node && node --test test/*.test.mjs
	cd tests/w3c/node && node --test service.test.mjs
	cd examples/node && node --test
	cd examples/pipeline/enrich && npm test

.PHONY: test-node-versions
test-node-versions: node-dev broker target/tls/localhost.pem bindings-node/test/versions/node_modules/.package-lock.json bindings-node/test/clients/platformatic/node_modules/.package-lock.json ## Runs the tests of the Node binding with Node 22 and 24, and with a client that needs them
	@for node in $(CURDIR)/bindings-node/test/versions/node_modules/node-*/bin; do \
	  echo "== Node $$($$node/node --version)"; \
	  (cd bindings-node && PATH="$$node:$$PATH" node --test test/*.test.mjs test/clients/platformatic/*.test.mjs); \
	done

.PHONY: test-node-confluent
test-node-confluent: node-dev broker bindings-node/test/clients/confluentinc/node_modules/.package-lock.json ## Runs the Node binding with @confluentinc/kafka-javascript, whose native half comes from its maker or is built (minutes)
	cd bindings-node/test/clients/confluentinc && npm rebuild @confluentinc/kafka-javascript
	cd bindings-node && node --test test/clients/confluentinc/*.test.mjs

.PHONY: test-faults
test-faults: tools ## Runs outages of minutes and millions of hops, one after the other
	@echo "== Faults at full size"
	cargo test --locked -p tracebaton --all-features --test faults -- --test-threads=1 --nocapture

.PHONY: test-e2e
test-e2e: build ## Runs the whole relay under test
	@echo "== The relay, end to end"
	cargo test --locked -p tracebaton-tests -- --test-threads=3

.PHONY: wheels
wheels: tools target/tls/localhost.pem ## Builds a wheel for every CPython found (3.10 on) and tests each in a fresh environment (some minutes each)
	PIP_DISABLE_PIP_VERSION_CHECK=1 bindings-python/scripts/wheels target/python-wheels

.PHONY: vectors-rust
vectors-rust: tools ## Runs the vectors in Rust and says how many passed
	cargo test --locked -p tracebaton --all-features --test suite vectors -- --nocapture

.PHONY: vectors-python
vectors-python: $(VENV)/.ready-dev ## Runs the vectors in Python and says how many passed
	cd bindings-python && ../$(VENV)/python -m pytest -q -s tests/test_vectors.py

.PHONY: vectors-node
vectors-node: node-dev ## Runs the vectors in Node and says how many passed
	cd bindings-node && node test/vectors.test.mjs

.PHONY: differential
differential: build ## Compares what the three languages make of 100,000 random header sets
	TRACEBATON_SETS=100000 cargo test --locked -p tracebaton-tests --test suite differential -- --nocapture

# The service that the W3C Trace Context harness talks to; it runs until it is stopped.
PORT ?= 5711

.PHONY: w3c-rust
w3c-rust: tools ## Starts the service for the W3C harness in Rust (PORT=5711)
	cargo run --locked -q -p tracebaton-w3c -- $(PORT)

.PHONY: w3c-python
w3c-python: $(VENV)/.ready-dev ## … in Python
	cd tests/w3c/python && OTEL_PROPAGATORS=tracebaton OTEL_TRACES_EXPORTER=none OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none \
	  ../../../$(VENV)/opentelemetry-instrument ../../../$(VENV)/python main.py $(PORT)

.PHONY: w3c-node
w3c-node: node tests/w3c/node/node_modules/.package-lock.json ## … in Node
	cd tests/w3c/node && node service.mjs $(PORT)

# ---- benchmarks: release builds, beside the newest peers; lines go to target/bench.jsonl

.PHONY: bench
bench: bench-rust bench-python bench-node ## Measures us and the peers side by side

.PHONY: bench-rust
bench-rust: tools ## … in Rust
	cargo run --release --locked --manifest-path bench/rust/Cargo.toml --target-dir target/bench-rust

.PHONY: instructions
instructions: tools ## Counts the instructions of reading and writing a traceparent; fails above the limit (needs valgrind)
	cargo run --release --locked --manifest-path bench/instructions/Cargo.toml --target-dir target/instructions

.PHONY: bench-python
bench-python: tools ## … in Python
	$(PYTHON) -m venv .cache/bench
	MATURIN_PEP517_ARGS= .cache/bench/bin/pip install -v ./bindings-python -r bench/python/requirements.txt
	.cache/bench/bin/python bench/python/main.py

.PHONY: endure-python
endure-python: tools ## Shows that memory stays flat over 10,000,000 messages and 1,000 cycles in Python (some minutes)
	$(PYTHON) -m venv .cache/bench
	MATURIN_PEP517_ARGS= .cache/bench/bin/pip install -v ./bindings-python
	.cache/bench/bin/python bench/python/endurance.py messages 10000000
	.cache/bench/bin/python bench/python/endurance.py cycles 1000

.PHONY: bench-node
bench-node: tools bench/node/node_modules/.package-lock.json ## … in Node
	cd bindings-node && TRACEBATON_PROFILE=release node scripts/build.cjs
	cd bench/node && node --expose-gc main.mjs ../../target/bench.jsonl > /dev/null

.PHONY: endure-node
endure-node: tools ## Shows that memory stays flat over 10,000,000 messages, and 1,000 cycles and worker threads (some minutes)
	cd bindings-node && TRACEBATON_PROFILE=release node scripts/build.cjs
	cd bindings-node && for run in "messages 10000000" "cycles 1000" "workers 1000"; do node --expose-gc test/support/endurance.mjs $$run; done

.PHONY: lint
lint: tools ## Checks formatting and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	for features in "" otel otel,kafka otel,http tower log otlp config; do \
	  cargo clippy --locked -p tracebaton --no-default-features --features "$$features" -- -D warnings; \
	done

.PHONY: clean
clean: ## Removes everything that was built
	rm -rf target .venv .cache bindings-node/*.node examples/{pipeline/enrich,runner/node}/dist
	rm -rf {bindings-node,bindings-node/test/{versions,clients/*},bench/node,tests/w3c/node,examples/node,examples/pipeline/enrich,examples/runner/node,examples/embedded/clickhouse}/node_modules

# ---- what is built

.PHONY: build
build: rust python node broker clickhouse enrich runner ## Builds everything that the demo and the tests start

.PHONY: rust
rust: tools
	@echo "== building the Rust services, drilldown and the demo"
	cargo build --locked $(STACK) -p tracebaton-demo

target/tls/localhost.pem: tests/src/bin/certificate.rs | tools
	@echo "== making a certificate for the tests"
	cargo run --locked -p tracebaton-tests --bin certificate -- target/tls

.PHONY: broker
broker: tools
	@echo "== building the embedded broker (about 390 crates the first time)"
	cargo build --locked --target-dir target/broker --manifest-path examples/embedded/broker/Cargo.toml --ignore-rust-version

.PHONY: python
python: $(VENV)/.ready ## Builds the Python binding into .venv

$(VENV)/python: | tools
	@echo "== making .venv"
	$(PYTHON) -m venv .venv

PYTHON_EXAMPLES := examples/pipeline/raw_to_user/requirements.txt examples/runner/python/requirements.txt

$(VENV)/.ready: $(VENV)/python $(PYTHON_SOURCES) $(PYTHON_EXAMPLES)
	@echo "== building the Python binding (some minutes the first time)"
	$(VENV)/pip install -v ./bindings-python $(addprefix -r ,$(PYTHON_EXAMPLES))
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready bindings-python/requirements-dev.txt
	@echo "== installing what the Python tests need"
	$(VENV)/pip install -r bindings-python/requirements-dev.txt
	@touch $@

.PHONY: node
node: tools ## Builds the Node binding in its folder
	@echo "== building the Node binding"
	cd bindings-node && node scripts/build.cjs

.PHONY: node-dev
node-dev: node bindings-node/node_modules/.package-lock.json

.PHONY: clickhouse
clickhouse: examples/embedded/clickhouse/node_modules/.package-lock.json

.PHONY: enrich
enrich: node examples/pipeline/enrich/node_modules/.package-lock.json
	@echo "== building enrich"
	cd examples/pipeline/enrich && npx --no-install tsc

.PHONY: runner
runner: node examples/runner/node/node_modules/.package-lock.json
	@echo "== building the runner"
	cd examples/runner/node && npx --no-install tsc

%/node_modules/.package-lock.json: %/package-lock.json | tools
	@echo "== installing the npm packages of $*"
	cd $* && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: tools
tools:
	@./.ci/tools
