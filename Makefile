# The project's habits, one word each. `make help` lists them.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

sudo := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help run test check bench format

help: ## List these
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: packages-build ## Build, then start the broker with its embedded development tenant
	swift build --product token-broker
	@exec "$$(swift build --show-bin-path)/token-broker" dev

test: packages-build packages-test ## Build and run every test
	swift build --build-tests
	swift test --skip-build

check: ## Format and lint, warnings as errors (the build itself refuses warnings)
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	@! git grep -nE '^(public |package |internal |@preconcurrency )*import Foundation$$' -- 'Sources/*.swift' \
	  || { echo 'Sources import FoundationEssentials, never Foundation: it adds 48 MB of ICU'; exit 1; }

bench: packages-build packages-bench ## Compare a cached answer with nginx's `return 200` of the same bytes
	swift build -c release --product token-broker
	python3 Benchmarks/bench.py "$$(swift build -c release --show-bin-path)/token-broker" $(ROUNDS)

format: ## Rewrite the sources in the project's format
	swift format --in-place --recursive --parallel Package.swift Sources Tests

# Installs what is missing of one group of deploy/packages.txt, the only list of Debian packages.
packages-%:
	@missing=; for package in $$(awk '/^#/ { on = $$2 == "$*:" } !/^#/ && on' deploy/packages.txt); do \
	  dpkg-query --show --showformat '$${db:Status-Status}' "$$package" 2>/dev/null | grep -qx installed \
	    || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "Installing:$$missing"; \
	  $(sudo) apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $(sudo) apt-get install -y -qq --no-install-recommends $$missing; \
	fi
