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
	@scripts/ship.sh $(BUILD) $(SHIP) $(MAJOR)

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

# memory, address, thread, races; faults, which proves that they can fail
PARTS ?=
.PHONY: sanitize
sanitize: build sink ## valgrind, AddressSanitizer, ThreadSanitizer and race models: PARTS=thread
	@scripts/sanitize.sh $(PARTS)

.PHONY: test-hosts
test-hosts: build sink ## the bindings in their web servers and job runners, with full numbers
	@scripts/test-hosts.sh

# c, cpp, go, ruby, php, or all
SDK  ?= all
PORT ?= 8080

.PHONY: conformance adapter mutants
conformance: build sink ## every vector and scenario against SDK=c|cpp|go|ruby|php|all
	@scripts/conformance.sh run $(SDK) $(ARGS)
adapter: build sink ## SDK=c PORT=8080 COMPRESSION=gzip: for the official harness
	@scripts/conformance.sh adapter $(SDK) $(PORT)
mutants: tools ## deliberate faults, each of which a vector or scenario must catch
	@scripts/mutants.sh $(ARGS)

.PHONY: go go-bench
go: build ## archive and header for the Go package, into bindings/go
	@scripts/go-archive.sh
go-bench: go ## what an Enqueue costs, here and in posthog-go
	cd bindings/go/bench && go run .

.PHONY: headers docs
headers: tools ## include/phc.h and phc.cdef.h, from src/capi
	$(CARGO) run --locked -q -p xtask -- headers
docs: tools ## docs/settings.md from src/config/table.rs, docs/third-party from Cargo.lock
	$(CARGO) run --locked -q -p xtask -- settings
	$(CARGO) run --locked -q -p xtask -- licences
	$(CARGO) run --locked -q -p phc-conformance -- index

SECONDS ?= 60
SEED    ?= 1
.PHONY: soak
soak: build sink ## a random life for SECONDS=600, from SEED=1, held against the sink event by event
	@PHC_SOAK_SECONDS=$(SECONDS) PHC_SOAK_SEED=$(SEED) PHC_TIMEOUT=$$(($(SECONDS) + 180)) tests/run-c.sh shared $(SINK) soak

.PHONY: bench bench-cpp
bench: build ## libphc beside its peers, docs/benchmarks.md; BENCH_QUICK=1 for a quick look
	@benches/run.py
bench-cpp: build ## what a capture costs through phc.hpp, next to phc.h
	@benches/cpp.sh

# What stands in the package files. The system libraries are those of phc.pc.in.
SYSTEM_LIBS = $(subst $(SPACE),;,$(strip $(shell sed -n 's/^Libs.private: //p' phc.pc.in)))
SPACE       = $(subst ,, )
FILL = sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@MAJOR@|$(MAJOR)|; s|@SYSTEM_LIBS@|$(SYSTEM_LIBS)|; \
  s|@POINTER_BYTES@|8|'

.PHONY: guard guard-update
guard: build sink ## instructions, allocations and system calls of a capture, against what is written down
	@tests/guard.sh $(SINK)
guard-update: build sink ## writes the instructions down
	@tests/guard.sh $(SINK) update

.PHONY: fuzz
SECONDS ?= 60
fuzz: tools ## each fuzz target for SECONDS=60, or one: TARGET=calls (docs/fuzzing.md)
	@scripts/fuzz.sh run $(SECONDS) $(TARGET)

.PHONY: install uninstall stage
install: ## into PREFIX, below DESTDIR
	@[ -f $(SHIP)/libphc.so ] || $(MAKE) --no-print-directory build
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,lib/pkgconfig lib/cmake/phc include/phc)
	install -m 755 $(SHIP)/libphc.so $(DESTDIR)$(PREFIX)/lib/libphc.so.$(VERSION)
	ln -sf libphc.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libphc.so.$(MAJOR)
	ln -sf libphc.so.$(MAJOR) $(DESTDIR)$(PREFIX)/lib/libphc.so
	install -m 644 $(SHIP)/libphc.a $(DESTDIR)$(PREFIX)/lib/libphc.a
	install -m 644 include/phc.h include/phc_binding.h include/phc.cdef.h include/phc.hpp $(DESTDIR)$(PREFIX)/include
	install -m 644 include/phc/*.hpp $(DESTDIR)$(PREFIX)/include/phc
	$(FILL) phc.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/phc.pc
	for file in phcConfig.cmake phcConfigVersion.cmake; do \
	  $(FILL) cmake/$$file.in > $(DESTDIR)$(PREFIX)/lib/cmake/phc/$$file || exit 1; done

uninstall: ## what install put there
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,lib/libphc.so.$(VERSION) lib/libphc.so.$(MAJOR) lib/libphc.so \
	  lib/libphc.a lib/pkgconfig/phc.pc $(wildcard include/*.h include/*.hpp include/phc/*.hpp))
	rm -rf $(DESTDIR)$(PREFIX)/lib/cmake/phc
	-@rmdir $(DESTDIR)$(PREFIX)/include/phc

stage: # an installation that examples and tests are built against
	@$(MAKE) -s install PREFIX=/usr DESTDIR=$(STAGE)

.PHONY: clean
clean: ## everything that was built
	$(CARGO) clean
