# The project's habits, one word each. `make help` lists them.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

sudo := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help run build install sbom deb test interop matrix fleet simulate fuzz soak cages findings check bench compare base deploy debian13 dependencies format

# As it is shipped: optimised, with the Swift runtime inside.
release := swift build -c release --static-swift-stdlib

help: ## List these
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: packages-build ## Build, then start the broker with its embedded development tenant
	swift build --product token-broker
	@exec "$$(swift build --show-bin-path)/token-broker" dev

build: packages-build ## Build what is shipped, with the Swift runtime inside: .build/release/token-broker
	$(release) --product token-broker

PREFIX := /usr/local
# Where each shell looks for what completes a command line.
completions := bash:bash-completion/completions/token-broker zsh:zsh/vendor-completions/_token-broker \
  fish:fish/vendor_completions.d/token-broker.fish

install: ## Install what `make build` has built, its units, an example; PREFIX=/usr/local, DESTDIR= for packages
	install -D --mode 0755 .build/release/token-broker '$(DESTDIR)$(PREFIX)/bin/token-broker'
	install -D --mode 0644 --target-directory '$(DESTDIR)$(PREFIX)/lib/systemd/system' deploy/systemd/*.service deploy/systemd/*.socket
	if [ "$$(systemctl --version 2> /dev/null | sed -n '1s/systemd \([0-9]*\).*/\1/p')" -lt 253 ] 2> /dev/null; then \
	  install -D --mode 0644 --target-directory '$(DESTDIR)$(PREFIX)/lib/systemd/system/token-broker.service.d' \
	    deploy/systemd/before-253.conf; \
	fi
	sed --in-place 's#/usr/local/bin/#$(PREFIX)/bin/#' '$(DESTDIR)$(PREFIX)/lib/systemd/system/token-broker.service'
	install -D --mode 0644 --target-directory '$(DESTDIR)$(PREFIX)/share/doc/token-broker' deploy/token-broker.yaml \
	  $(wildcard .build/release/token-broker.cdx.json)
	install -D --mode 0644 LICENSE '$(DESTDIR)$(PREFIX)/share/doc/token-broker/copyright'
	for place in $(completions); do \
	  .build/release/token-broker --generate-completion-script "$${place%%:*}" \
	    | install -D --mode 0644 /dev/stdin '$(DESTDIR)$(PREFIX)/share/'"$${place#*:}"; \
	done

sbom: build ## What the binary is made of, as CycloneDX: .build/release/token-broker.cdx.json
	python3 deploy/dependencies.py .build/release/token-broker --cyclonedx > .build/release/token-broker.cdx.json

deb: sbom packages-deb ## A Debian package: .build/token-broker_VERSION_ARCHITECTURE.deb
	deploy/deb.sh .build

# With a sanitizer, instrumented and in a build of its own.
sanitized := $(if $(SANITIZE),--sanitize $(SANITIZE) --scratch-path .build-$(SANITIZE))
# Tests at once: each server and child process of a test blocks some of Dispatch's 255 threads.
width := SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=12

test: packages-build packages-test ## Build and run every test; FILTER=NAME for some, SANITIZE=thread or address under a sanitizer
	swift build --build-tests $(sanitized)
	$(if $(SANITIZE),Tests/Sanitizers/run.sh $(SANITIZE) .build-$(SANITIZE),$(width) swift test --skip-build) $(if $(FILTER),--filter '$(FILTER)')

interop: packages-build ## Put the broker before OAuth servers and Redis, behind clients, among proxies and before Prometheus; SERVER=, STORE=, CLIENT="msal_python curl", PROXY= for some
	-@$(MAKE) --no-print-directory packages-interop
	swift build --product token-broker
	/usr/bin/python3 Tests/Interop/interop.py "$$(swift build --show-bin-path)/token-broker" .build/interop $(SERVER) $(STORE) $(CLIENT) $(PROXY)
	$(if $(SERVER)$(STORE)$(CLIENT)$(PROXY),,/usr/bin/python3 Tests/Interop/examples.py "$$(swift build --show-bin-path)/token-broker")

fleet: packages-build ## Let ten brokers share a cluster that loses a primary, for a minute; STORE=valkey
	-@$(MAKE) --no-print-directory packages-interop
	$(release) --product token-broker
	/usr/bin/python3 Tests/Interop/store_figures.py "$$($(release) --show-bin-path)/token-broker" .build/interop $(STORE)

SEEDS := 100000

simulate: packages-build ## Play histories of callers and faults through the broker's core; SEEDS=100000
	swift build -c release --product simulate
	"$$(swift build -c release --show-bin-path)/simulate" $(SEEDS)

# Apart from the ordinary build: instrumented, with libFuzzer's main, and optimised for speed.
fuzz-build := swift build --scratch-path .build-fuzz --product fuzz \
  --sanitize fuzzer -Xswiftc -sanitize=fuzzer,address -Xswiftc -DFUZZING -Xswiftc -O

SECONDS := 60

fuzz: packages-build ## Fuzz what reads bytes from strangers; SECONDS=60 for each target, TARGET="http1 http2" for some
	$(fuzz-build)
	Tests/Fuzz/fuzz.sh "$$($(fuzz-build) --show-bin-path)/fuzz" .build-fuzz/fuzzing $(SECONDS) $(TARGET)

matrix: packages-build packages-matrix ## Put the release binary on newer libcurl, OpenSSL and nghttp2; LIBRARIES="debian curl-8.23" for some
	$(release) --product token-broker
	$(release) --product tenant
	@bin="$$($(release) --show-bin-path)"; \
	/usr/bin/python3 Tests/Matrix/matrix.py "$$bin/token-broker" "$$bin/tenant" .build/matrix $(LIBRARIES)

MINUTES := 5
# However it ends, no process and no mount is left. The Python is Debian's, which has httpx.
contained := unshare --mount --pid --fork --kill-child --mount-proc

soak: packages-build packages-test packages-bench ## Let brokers live with everything going wrong around them; MINUTES=5, SEED=1 for the same again
	$(release) --product token-broker
	$(release) --product tenant
	bin="$$($(release) --show-bin-path)"; \
	$(sudo) $(contained) /usr/bin/python3 Tests/Soak/soak.py "$$bin/token-broker" "$$bin/tenant" \
	  --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

check: packages-check ## Everything in Tests/Checks: format, what may import what, lengths, links, what documents say, shell scripts
	@failed=; for check in Tests/Checks/*.sh Tests/Checks/*.py; do \
	  echo "== $$check"; "$$check" || failed="$$failed $$check"; \
	done; \
	[ -z "$$failed" ] || { echo "Failed:$$failed"; exit 1; }

cages: packages-build packages-test ## Put the broker into cages that lack memory, threads, /proc and the like, and before clocks that are set; CAGE="memory clock_steps" for some
	$(release) --product token-broker
	$(release) --product tenant
	bin="$$($(release) --show-bin-path)"; \
	$(sudo) $(contained) /usr/bin/python3 Tests/Cages/cages.py "$$bin/token-broker" "$$bin/tenant" $(CAGE)

findings: ## Run all of findings/, without the product: which of the surprises are none any more
	@gone=; missing=; for finding in findings/*.sh; do \
	  echo "== $$finding"; "$$finding"; \
	  case $$? in 0) ;; 75) missing="$$missing $$finding" ;; *) gone="$$gone $$finding" ;; esac; \
	done; \
	[ -z "$$missing" ] || echo "Not run:$$missing"; \
	[ -z "$$gone" ] || { echo "No longer so:$$gone"; exit 1; }

bench: packages-build packages-bench base ## Compare with nginx, a Go broker and BASE=51a2d49; BENCH="--rounds 3 load" for a part, BENCH=--help
	$(release) --product token-broker
	$(release) --product tenant
	@bin="$$($(release) --show-bin-path)"; peers="$$bin/bench-peers"; mkdir -p "$$peers"; \
	(cd Benchmarks/Peers; \
	GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$$peers/go-cache" go build -o "$$peers/go-broker" ./go-broker; \
	clang -O2 -shared -fPIC -o "$$peers/count-allocations.so" count_allocations.c); \
	$(run-bench) $(BENCH)

compare: packages-build packages-bench base ## What a cached answer costs, to what it cost at another revision; BASE=HEAD~10
	@test -n '$(BASE)' || { echo 'Which revision? BASE=HEAD~10'; exit 64; }
	$(release) --product token-broker
	$(release) --product tenant
	@bin="$$($(release) --show-bin-path)"; $(run-bench) --rounds 15 $(BENCH) base

# Another revision, built from what git has of it beside this one.
base-build = .build/base/$(shell git rev-parse --short=12 '$(BASE)^{commit}' 2> /dev/null)
base-release = $(release) --package-path $(base-build)/source --scratch-path $(base-build)/build
run-bench = python3 Benchmarks/bench.py "$$bin/token-broker" "$$bin/tenant" "$$bin/bench-peers" \
  $(if $(BASE),--base "$$($(base-release) --show-bin-path)/token-broker")

base: packages-build
ifneq ($(BASE),)
	@git rev-parse --quiet --verify '$(BASE)^{commit}' > /dev/null || { echo 'git has no revision $(BASE)'; exit 64; }
	@mkdir -p $(base-build)/source; git archive '$(BASE)' | tar --extract --directory $(base-build)/source
	$(base-release) --product token-broker
endif

deploy: packages-build packages-deploy ## Build and run the image, boot the units, validate the manifests: as root, with kubectl, a network and 15 GB
	package="$$($(MAKE) --silent --no-print-directory deb | tail -n 1)"; \
	Tests/Deploy/validate.sh .build/release/token-broker; Tests/Deploy/systemd.sh "$$package"; Tests/Deploy/image.sh

debian13: packages-debian13 ## Build and test on Debian 13, in one of debootstrap's in .build/debian13: as root or by sudo; FILTER=NAME for some tests
	$(sudo) Tests/Deploy/debian13.sh "$$(command -v swift)" test build $(if $(FILTER),FILTER='$(FILTER)')

dependencies: packages-build ## Write deploy/dependencies.md: what the broker is made of, with versions and licences
	swift build --product token-broker
	list="$$(python3 deploy/dependencies.py "$$(swift build --show-bin-path)/token-broker")"; \
	echo "$$list" > deploy/dependencies.md

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
