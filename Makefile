# What a developer runs. `make` alone lists it.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-fast described check soak bench prepare setup

# Queries were checked against the schema when .sqlx/ was made, so that no database is needed to build.
export SQLX_OFFLINE := true
# Where rustup puts cargo, when it was installed a moment ago and the shell does not know it yet.
export PATH := $(PATH):$(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)/bin

# Where programs are built: said here, so that their paths are known.
export CARGO_TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CARGO_BUILD_TARGET_DIR),$(CURDIR)/target)

# How `make demo` starts it, such as ARGS='--traffic 200 --read-addr 127.0.0.1:9082'.
ARGS ?=
# How many rounds each fault scenario runs in `make soak`.
HIGHWATER_SOAK_ROUNDS ?= 50
# How many observations are in the logs that `make soak` replays while more arrive and readers poll.
HIGHWATER_SOAK_OBSERVATIONS ?= 10000000

WITH_POSTGRES := cargo run --quiet --package tests --bin with-postgres --

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## a private PostgreSQL, every role and a demo workspace with live traffic; ARGS='...' goes to highwater dev
	@cargo build --package highwater
	@exec "$(CARGO_TARGET_DIR)/debug/highwater" dev $(ARGS)

test: setup ## what a reviewer runs: formatting, lints, docs and every test, against a private PostgreSQL
	@./scripts/test.sh all

test-fast: setup ## a first answer in minutes: unit tests, and the log and the reads against a private PostgreSQL
	@./scripts/test.sh fast

described: setup ## whether both APIs are what their OpenAPI documents say: schemathesis asks them for a minute, and generated clients call them
	@cargo test --quiet --workspace --no-run
	@./scripts/described.sh

check: ## formatting, lints and docs, whether Cargo.lock is whole, and the dependency policy when cargo-deny is installed
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --workspace --no-deps --document-private-items
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --log-level error check; \
	else echo "cargo-deny is not installed: the dependency policy was not checked"; fi

soak: setup ## the fault scenarios of docs/testing.md, HIGHWATER_SOAK_ROUNDS rounds of each on new seeds, overload for longer, and the long stories
	cargo build --package highwater
	HIGHWATER_SOAK_ROUNDS=$(HIGHWATER_SOAK_ROUNDS) $(WITH_POSTGRES) cargo test --package tests --test faults --test overload -- --nocapture
	HIGHWATER_SOAK_ROUNDS=$(HIGHWATER_SOAK_ROUNDS) HIGHWATER_SOAK_OBSERVATIONS=$(HIGHWATER_SOAK_OBSERVATIONS) $(WITH_POSTGRES) \
		cargo test --release --package tests --test stories -- --nocapture --test-threads 1 replay_under_load a_million_lines a_million_rows large_reports
	@HIGHWATER_SOAK_ROUNDS=10 $(MAKE) --no-print-directory described

bench: setup ## measures Highwater beside its peers, in release; ARGS='...' goes to the benchmark
	@cargo run --quiet --release --package bench -- $(ARGS)

prepare: setup ## .sqlx/ again, after a query or a migration changed; needs sqlx-cli
	@cargo sqlx --version >/dev/null 2>&1 || { \
		echo "error: install it first: cargo install sqlx-cli --version 0.8.6 --no-default-features --features postgres,rustls" >&2; exit 1; }
	$(WITH_POSTGRES) env SQLX_OFFLINE=false ./scripts/prepare.sh

setup:
	@./scripts/setup.sh
