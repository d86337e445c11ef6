# `make help` lists what there is. Two commands do everything on a fresh Debian
# machine: `make demo` and `make test`.

PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR    ?=
CARGO      ?= cargo

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
MAJOR   := $(firstword $(subst ., ,$(VERSION)))

# What ships is built by itself: with `rlib` among the crate types cargo would
# silently leave out link-time optimisation.
BUILD := target/release
SHIP  := target/ship
STAGE := $(CURDIR)/target/stage
SINK  := target/debug/phc-sink
XTASK := $(CARGO) run -q --locked -p xtask --

.PHONY: help
help: ## this list
	@sed -n 's/^##@ \(.*\)/\n\1/p; s/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 22

# Installs what is missing, for every target that builds something; building the library itself takes less.
.PHONY: tools tools-build
tools:
	@scripts/tools.sh
tools-build:
	@scripts/tools.sh build

##@ Build
LISTEN = 127.0.0.1:8000
# With the features that crates have in the unit tests, so that those of the two are compiled once; and the library that
# they share, target/debug/libphc.a, for the tests in C.
PROGRAMS := --workspace --lib --bins --tests
# The steps of `make test` have all programs already.
SINK_CRATES := $(if $(PHC_BUILT),$(PROGRAMS),-p phc-sink -p phc-conformance)
.PHONY: build sink programs cli sink-up demo clean
build: tools-build ## the library that ships, in target/ship
	$(CARGO) rustc --locked --release -p libphc --crate-type staticlib
	@scripts/ship.sh $(BUILD) $(SHIP) $(MAJOR)
sink: tools-build ## the test server, target/debug/phc-sink, and the conformance runner
	$(CARGO) build --locked $(SINK_CRATES)
programs: tools-build
	$(CARGO) build --locked $(PROGRAMS)
cli: tools-build ## the command-line tool, target/release/phc-cli: docs/phc-cli.md
	$(CARGO) build --locked --release -p phc-cli
sink-up: sink ## phc-sink on LISTEN=127.0.0.1:8000, with its live page; prints a program for each language
	@exec $(SINK) --listen $(LISTEN) --snippets
demo: build sink ## the C example against the sink, or against HOST=… API_KEY=…
	@$(MAKE) --no-print-directory stage
	@scripts/demo.sh $(STAGE)/usr $(SINK) "$(HOST)" "$(API_KEY)"
clean: ## removes everything that was built
	$(CARGO) clean

##@ Test
# A NAME is a test or a part of its name; without one, all of that language run.
# Not from the environment, where other programs set some of these.
STEPS   =
NAME    =
LINK    =
WRAP    =
SECONDS = 60
SEED    = 1
.PHONY: test test-long test-list test-rust test-c test-cpp test-go test-ruby test-php test-hosts test-cli test-sink-page sanitize soak fuzz
test: tools ## everything, in every language; STEPS="c go" for these steps or groups
	@$(XTASK) test $(STEPS)
test-list: tools ## the steps of make test and make test-long
	@$(XTASK) test --list $(STEPS); $(XTASK) test --list long
test-long: tools ## the long versions, by hand: hours
	@$(XTASK) test long
test-rust: tools ## NAME=values_reach_the_wire
	@$(XTASK) rust "$(NAME)"
test-c: tools ## NAME=fork or fork_when_idle, LINK=debug or address, WRAP=valgrind
	@$(XTASK) c $(if $(LINK),--link $(LINK)) $(if $(WRAP),--wrap "$(WRAP)") "$(NAME)"
test-cpp: tools ## NAME=delivery, headers or before_send_drops
	@$(XTASK) cpp "$(NAME)"
test-go: tools ## NAME=TestClose
	@$(XTASK) go "$(NAME)"
test-ruby: tools ## NAME=fork, which is a file, or test_kill
	@$(XTASK) ruby "$(NAME)"
test-php: tools ## NAME=testEventsArrive
	@$(XTASK) php "$(NAME)"
test-hosts: tools ## the bindings in their web servers and job runners, with full numbers
	@$(XTASK) test ruby-hosts-full php-hosts-full
test-cli: tools sink ## phc-cli against the sink, servers, proxies and spools
	@$(XTASK) cli
test-sink-page: tools build sink ## the sink's page in a headless Chromium: NAME=pause
	@tests/sink-page.sh "$(NAME)"
# races, memory, address, thread, ruby
PARTS =
sanitize: tools ## valgrind, AddressSanitizer, ThreadSanitizer and race models: PARTS=thread
	@$(XTASK) sanitize $(PARTS)
soak: tools ## a random life of a client for SECONDS=600, from SEED=1
	@$(XTASK) soak $(SECONDS) $(SEED)
fuzz: tools ## each fuzz target for SECONDS=60, or one: TARGET=calls
	@scripts/fuzz.sh run $(SECONDS) $(TARGET)

##@ Check
.PHONY: check format guarantees guard guard-update
check: tools ## form, lints, unit tests, layers, vocabulary: under a minute once built
	@$(XTASK) test check
format: tools ## rewrites what is not formatted
	@$(XTASK) format
guarantees: tools ## the promises that a test shows: NAME=fork_when_idle
	@$(XTASK) guarantees $(if $(NAME),--of "$(NAME)")
guard: tools ## instructions, allocations and system calls of a capture, against what is written down
	@$(XTASK) guard
guard-update: tools ## writes the instructions down
	@$(XTASK) guard --update

##@ Conformance
# c, cpp, go, ruby, php, php-extension, or all
SDK  = all
PORT = 8080
KIND =
ARGS =
.PHONY: test-conformance conformance-peers conformance-bundle adapter mutations
test-conformance: tools ## every vector and scenario: SDK=c NAME=retry-after
	@$(XTASK) conformance --sdk $(SDK) "$(NAME)" $(if $(ARGS),-- $(ARGS))
conformance-peers: sink ## official SDKs against the suite, docs/conformance-peers.md
	@scripts/conformance-peers.sh
conformance-bundle: tools-build ## the suite as one archive for other repositories, in dist/
	@scripts/conformance-bundle.sh
adapter: tools ## the adapter protocol for the official harness: SDK=c PORT=8080 COMPRESSION=gzip
	@$(XTASK) adapter $(SDK) $(PORT)
mutations: tools ## faults that a test must catch: KIND=conformance, races, tsan or unit; NAME=413-is-final
	@$(XTASK) mutations run $(KIND) $(NAME)

##@ Bench
# Checkouts of posthog-go, posthog-ruby and posthog-php; without one the page says "not run".
PEER_GO =
PEER_RUBY =
PEER_PHP =
.PHONY: bench bench-spool bench-go bench-php
bench: build ## libphc beside its peers, docs/benchmarks.md; BENCH_QUICK=1 for a quick look, PEER_GO=dir, PEER_RUBY=dir, PEER_PHP=dir
	@PEER_GO='$(PEER_GO)' PEER_RUBY='$(PEER_RUBY)' PEER_PHP='$(PEER_PHP)' benches/run.py
bench-spool: build ## events on disk, by libphc and by SQLite: a section of docs/benchmarks.md; BENCH_QUICK=1
	@benches/spool/run.py
bench-php: build ## what a capture costs in PHP, by the extension, FFI and posthog-php: PEER_PHP=/path/to/posthog-php
	@benches/php/compare.sh "$(PEER_PHP)"
bench-go: build ## what an Enqueue costs, here and in posthog-go: PEER_GO=/path/to/posthog-go
	@scripts/go-archive.sh
	@benches/go/enqueue/run.sh "$(PEER_GO)"

##@ Packages
# What these are: scripts/dist/targets.sh and suites.sh
TARGETS =
SUITES  =
TESTS   =
.PHONY: dist dist-test
dist: tools ## every package of a release, in dist/VERSION: TARGETS=x86_64-linux-gnu
	@scripts/dist/dist.sh $(TARGETS)
dist-test: ## each package in a clean system: SUITES="bookworm trixie" TESTS="deb go"
	@TESTS="$(TESTS)" scripts/dist/test.sh $(SUITES) || [ $$? -eq 77 ]

##@ Docs
.PHONY: headers docs sink-page-picture go
headers: tools ## include/*.h, docs/callbacks.md, from src/capi
	@$(XTASK) headers
docs: tools ## docs/settings.md, docs/third-party, conformance/INDEX.md
	@$(XTASK) settings
	@$(XTASK) licences
	$(CARGO) run --locked -q -p phc-conformance -- index
sink-page-picture: tools sink ## docs/sink-page.png, the page with what the tests send to it
	@python3 tests/sink-page/picture.py docs/sink-page.png
go: build ## archive and header for the Go package, into bindings/go
	@scripts/go-archive.sh

##@ Install
# The names of GNU: make install PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu DESTDIR=package. SHIP is the folder of
# the built libraries; RELOCATABLE=0 writes PREFIX, LIBDIR and INCLUDEDIR into phc.pc.
RELOCATABLE ?= 1
INSTALL = PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DESTDIR='$(DESTDIR)' SHIP='$(SHIP)' \
  RELOCATABLE='$(RELOCATABLE)' VERSION='$(VERSION)' MAJOR='$(MAJOR)' scripts/install.sh
.PHONY: install uninstall install-cli uninstall-cli stage
install: ## into PREFIX, LIBDIR and INCLUDEDIR, below DESTDIR
	@[ -f $(SHIP)/libphc.a ] || $(MAKE) --no-print-directory build
	@$(INSTALL) install
uninstall: ## removes what install put there
	@$(INSTALL) uninstall
install-cli: cli ## phc-cli, its man pages and completions, into PREFIX
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install-cli.sh install $(BUILD)/phc-cli
uninstall-cli: ## removes what install-cli put there
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install-cli.sh uninstall

stage: # an installation that examples and tests are built against
	@$(MAKE) -s install PREFIX=/usr LIBDIR=/usr/lib INCLUDEDIR=/usr/include DESTDIR=$(STAGE) >/dev/null

##@ Release
# A dry run without TAG=1. docs/releasing.md has the order, and what a human decides.
KEY =
TAG =
.PHONY: version release
version: tools ## the version of every package: VERSION=0.2.0
	@scripts/dist/version.sh "$(if $(filter command line,$(origin VERSION)),$(VERSION))"
release: tools sink ## packages, tests, signature, rehearsal: VERSION=0.2.0 KEY=~/libphc.key; TAG=1 for the tags
	@scripts/dist/release.sh $(if $(TAG),--tag) "$(VERSION)" "$(KEY)"
