# `make help` lists what there is. Two commands do everything on a fresh Debian
# machine: `make demo` and `make test`.

PREFIX  ?= /usr/local
DESTDIR ?=
CARGO   ?= cargo

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
MAJOR   := $(firstword $(subst ., ,$(VERSION)))

# What ships is built by itself: with `rlib` among the crate types cargo would
# silently leave out link-time optimisation.
BUILD := target/release
SHIP  := target/ship
STAGE := $(CURDIR)/target/stage
SINK  := $(BUILD)/phc-sink

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: tools
tools:
	@scripts/tools.sh

.PHONY: build
build: tools ## the library that ships, in target/ship
	$(CARGO) rustc --locked --release -p libphc --crate-type cdylib,staticlib
	@mkdir -p $(SHIP)
	@[ $(SHIP)/libphc.so -nt $(BUILD)/libphc.so ] || strip -o $(SHIP)/libphc.so $(BUILD)/libphc.so
	@ln -sf libphc.so $(SHIP)/libphc.so.$(MAJOR)
	@[ $(SHIP)/libphc.a -nt $(BUILD)/libphc.a ] || scripts/localise.sh $(BUILD)/libphc.a $(SHIP)/libphc.a

.PHONY: sink
sink: tools ## the local server, target/release/phc-sink
	$(CARGO) build --locked --release -p phc-sink -p phc-conformance

.PHONY: demo
demo: build sink ## the C example against the local sink, or against HOST=… API_KEY=…
	@$(MAKE) --no-print-directory stage
	@scripts/demo.sh $(STAGE)/usr $(SINK) "$(HOST)" "$(API_KEY)"

.PHONY: test
test: tools ## everything, in every language
	@scripts/test.sh

# c, or all
SDK  ?= all
PORT ?= 8080

.PHONY: conformance adapter mutants
conformance: build sink ## every vector and scenario against SDK=c|all
	@scripts/conformance.sh run $(SDK) $(ARGS)
adapter: build sink ## SDK=c PORT=8080 COMPRESSION=gzip: for the official harness
	@scripts/conformance.sh adapter $(SDK) $(PORT)
mutants: tools ## deliberate faults, each of which a vector or scenario must catch
	@scripts/mutants.sh $(ARGS)

.PHONY: headers docs
headers: tools ## include/phc.h and phc.cdef.h, from src/capi
	$(CARGO) run --locked -q -p xtask -- headers
docs: tools ## docs/settings.md from src/config/table.rs, docs/third-party from Cargo.lock
	$(CARGO) run --locked -q -p xtask -- settings
	$(CARGO) run --locked -q -p xtask -- licences
	$(CARGO) run --locked -q -p phc-conformance -- index

.PHONY: bench
bench: tools ## what a capture and the whole way cost
	$(CARGO) bench --locked -p libphc --bench capture

.PHONY: fuzz
SECONDS ?= 60
fuzz: tools ## each fuzz target for SECONDS=60, or one: TARGET=calls (docs/fuzzing.md)
	@scripts/fuzz.sh run $(SECONDS) $(TARGET)

.PHONY: install uninstall stage
install: ## into PREFIX, below DESTDIR
	@[ -f $(SHIP)/libphc.so ] || $(MAKE) --no-print-directory build
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 755 $(SHIP)/libphc.so $(DESTDIR)$(PREFIX)/lib/libphc.so.$(VERSION)
	ln -sf libphc.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libphc.so.$(MAJOR)
	ln -sf libphc.so.$(MAJOR) $(DESTDIR)$(PREFIX)/lib/libphc.so
	install -m 644 $(SHIP)/libphc.a $(DESTDIR)$(PREFIX)/lib/libphc.a
	install -m 644 include/phc.h include/phc.cdef.h $(DESTDIR)$(PREFIX)/include
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' phc.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/phc.pc

uninstall: ## what install put there
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,lib/libphc.so.$(VERSION) lib/libphc.so.$(MAJOR) lib/libphc.so \
	  lib/libphc.a lib/pkgconfig/phc.pc include/phc.h include/phc.cdef.h)

stage: # an installation that examples and tests are built against
	@$(MAKE) -s install PREFIX=/usr DESTDIR=$(STAGE)

.PHONY: clean
clean: ## everything that was built
	$(CARGO) clean
