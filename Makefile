# The one door to everything that is done with this project; `make help` lists the targets.
# What `make test` and `make lint` check, and in which order, stands in scripts/check.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Tools that scripts/setup builds for this project are found first.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
SOAK ?= 10m
ADVISORIES ?= advisories
CHECKS := fmt tidy clippy docs bench build generated unit doctest simulate e2e

.PHONY: help setup build demo test test-all bench bench-quick perf-check fuzz-smoke fuzz-long mutants soak e2e-net lint deny fmt package

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Install what is missing to build and test (Debian packages, test runner, a newer ffmpeg)
	@scripts/setup test

build: ## Build the server: target/release/jackfield
	@scripts/setup build
	cargo build --release --locked --package jackfield-cli

package: ## A package for Debian, a static tarball, their checksums, in target/package/; checks the Dockerfile
	@scripts/setup package
	scripts/package
	scripts/package-check $(TARGET_DIR)/package/*.deb

demo: ## Build, then show a live stream, its events and its hooks for half a minute
	@scripts/setup demo
	cargo build --release --locked --package jackfield-cli
	scripts/demo $(TARGET_DIR)/release/jackfield

test: ## Everything CI checks
	@scripts/setup test
	@scripts/check $(CHECKS)

test-all: export E2E_ALL = 1
test-all: ## As test, with every cell of every table; writes docs/test-matrix.md
	@scripts/setup test-all
	@scripts/check $(CHECKS) matrix

bench: ## Measure against other servers and a floor, 3 rounds (45 min); writes docs/performance.md
	@scripts/setup bench
	cargo build --release --locked --package jackfield-cli
	bench/run --server $(TARGET_DIR)/release/jackfield

bench-quick: ## Against nginx-rtmp in three minutes, on the screen only (one row: bench/run --help)
	@scripts/setup bench
	cargo build --release --locked --package jackfield-cli
	bench/run --quick --server $(TARGET_DIR)/release/jackfield

perf-check: ## Count the instructions of the hot paths; tells what moved by more than 5 %
	@scripts/setup bench
	cargo xtask perf-check

fuzz-smoke: ## Run every fuzz target for a minute
	@scripts/setup fuzz
	scripts/fuzz-smoke

fuzz-long: ## Give each fuzz target 30 minutes of processor time, over all runs; may be ended and goes on
	@scripts/setup fuzz
	scripts/fuzz-long

mutants: ## Put defects into hooks, gate, rtmp and hub, and tell which no test finds (can be ended and goes on)
	@scripts/setup mutants
	scripts/mutants gate hooks rtmp hub

soak: ## A server under load for SOAK=10m (90s, 1h …), with hooks that misbehave; goes on where it was stopped
	@scripts/setup build
	cargo build --release --locked --package jackfield-soak
	$(TARGET_DIR)/release/soak --for $(SOAK)

e2e-net: export E2E_ALL = 1
e2e-net: ## Every case of bad links: loss, delay, caps, black holes (4 minutes; most of it needs root and TUN)
	@scripts/setup test
	@scripts/check build network

lint: ## Check format, lints, documentation and the house rules
	@scripts/setup build
	@scripts/check fmt tidy clippy docs bench

deny: ## Check what is built in: licences, sources, known advisories (fetches their list; ADVISORIES= does without)
	@scripts/setup audit
	cargo deny --log-level warn check bans licenses sources $(ADVISORIES)

fmt: ## Format the code
	cargo fmt --all
	cargo fmt --all --manifest-path bench/Cargo.toml
	cargo fmt --manifest-path bench/hot_paths/Cargo.toml
