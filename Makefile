# The three commands that matter: `make demo`, `make test`, `make bench`.
# What they need and cannot expect of a machine lands in .tools/, which git ignores.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

CARGO ?= cargo
export BOLTWORK_TOOLS := $(CURDIR)/.tools
export BOLTWORK_SKIPPED := $(CURDIR)/target/skipped-tests

.PHONY: help test check unit e2e tools demo bench clean-tools

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make demo    build a release, start a dev server, run an external plugin on it, kill it, read again
demo:
	@tools/demo.sh

## make test    install what the tests need, then check and test everything
test: tools check unit e2e
	@tools/report-skipped.sh

## make tools   install what the tests need into .tools/ (and say what could not be had)
tools:
	@mkdir -p target
	: > $(BOLTWORK_SKIPPED)
	tools/install.sh

## make check   format, lints, generated code, dependency rules; no test is run
check:
	@$(CARGO) fmt --all --check
	tools/check-go.sh
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) run --quiet --locked -p xtask -- proto --check
	$(CARGO) test --quiet --locked -p boltwork-rules

## make unit    the tests of every crate but the end-to-end ones
unit:
	@$(CARGO) test --locked --workspace --exclude boltwork-e2e --exclude boltwork-rules

## make e2e     the end-to-end tests; one of them: make e2e ONLY=reload_by_plugin
e2e:
	@$(CARGO) build --locked -p boltwork -p boltwork-secret-kv -p boltwork-database-postgresql \
		-p boltwork-auth-approle -p boltwork-auth-userpass -p boltwork-sdk-test
	@$(CARGO) build --locked -p boltwork-sdk --example nginx_users --example passwords
	$(CARGO) test --locked -p boltwork-e2e -- $(ONLY)

## make bench   boltwork and bao side by side, one table; takes a few minutes and stops by itself
bench: tools
	@$(CARGO) build --locked --profile dist -p boltwork -p boltwork-secret-kv
	BOLTWORK_BIN=$(CURDIR)/target/dist/boltwork BOLTWORK_SECRET_KV_BIN=$(CURDIR)/target/dist/boltwork-secret-kv \
		$(CARGO) run --locked --release -p boltwork-bench -- $(ARGS)

## make clean-tools   remove .tools/
clean-tools:
	@rm -rf .tools
