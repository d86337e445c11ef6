//! Every step of `make check`, `make test` and `make test-long`, in the order in which they run.

/// One step: a command under a time limit, with a log of its own.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// What the command line, the log and JUnit call it.
    pub name: &'static str,
    pub group: &'static str,
    /// Words without quotes; `xtask` is this program.
    pub runs: &'static str,
    /// Its time limit in seconds.
    pub limit: u64,
    /// Whether it needs the library that ships and the sink: the step `build` then runs before it.
    pub needs_build: bool,
    /// A command that runs ahead, while other steps wait, so that what the step needs is compiled. Empty for none.
    pub ahead: &'static str,
    /// Whether that command takes what the step `build` leaves, or uses the same folders.
    pub ahead_takes_build: bool,
    /// One sentence for the listing.
    pub about: &'static str,
}

/// Steps that run one after another.
pub(crate) struct Group {
    pub name: &'static str,
    /// One sentence for the listing.
    pub about: &'static str,
    /// Earlier groups whose steps may run at the same time: they share no file that one of them writes.
    pub beside: &'static [&'static str],
}

const fn group(name: &'static str, about: &'static str, beside: &'static [&'static str]) -> Group {
    Group { name, about, beside }
}

/// In the order of the listing. The bindings do not run beside `conformance`, which builds its workers from them.
#[rustfmt::skip]
pub(crate) const GROUPS: &[Group] = &[
    group("check", "what `make check` runs: form and units, under a minute once everything is built", &[]),
    group("ship", "what ships", &[]),
    group("c", "the library from C", &[]),
    group("packages", "the packages of a release", &[]),
    group("conformance", "the contract in every language", &["packages"]),
    group("tools", "the library under valgrind, the sanitizers and loom, and with the inputs of the fuzz targets", &["packages", "conformance"]),
    group("network", "TLS, proxies, names, the environment", &["packages", "conformance", "tools"]),
    group("cpp", "the C++ binding", &["packages", "conformance", "tools", "network"]),
    group("go", "the Go binding", &["packages", "tools", "network", "cpp"]),
    group("ruby", "the Ruby binding", &["packages", "tools", "network", "cpp", "go"]),
    group("php", "the PHP binding", &["packages", "tools", "network", "cpp", "go", "ruby"]),
    group("setup", "installation, and the demo", &["packages", "tools", "go", "ruby", "php"]),
    group("cost", "what a capture costs, and the size of the library", &["packages", "conformance", "tools", "network", "cpp", "go", "ruby", "php", "setup"]),
    group("long", "what `make test-long` runs, by hand: no part of `make test`", &[]),
];

/// The group that a run leaves out unless it is named.
pub(crate) const BY_HAND: &str = "long";

const fn step(
    group: &'static str,
    name: &'static str,
    runs: &'static str,
    limit: u64,
    about: &'static str,
) -> Step {
    Step { name, group, runs, limit, needs_build: false, ahead: "", ahead_takes_build: false, about }
}

/// A step that needs the library that ships, or the sink.
const fn built(
    group: &'static str,
    name: &'static str,
    runs: &'static str,
    limit: u64,
    about: &'static str,
) -> Step {
    Step { needs_build: true, ..step(group, name, runs, limit, about) }
}

/// A step with a command that runs ahead from the beginning of the run, or from the end of the step `build`.
const fn compiled_ahead(ahead: &'static str, step: Step) -> Step {
    Step { ahead, ..step }
}
const fn compiled_after_build(ahead: &'static str, step: Step) -> Step {
    Step { ahead, ahead_takes_build: true, ..step }
}

#[cfg(test)]
impl Step {
    /// One that runs this.
    pub(crate) const fn sample(runs: &'static str) -> Step {
        step("check", "a-step", runs, 60, "")
    }
}

/// The step that others need.
pub(crate) const BUILD: &str = "build";

#[rustfmt::skip]
pub(crate) const STEPS: &[Step] = &[
    step("check", "format", "xtask format --check", 600, "Rust, C, C++ and Go are formatted"),
    step("check", "lints", "xtask lints", 1200, "clippy and go vet have nothing to say"),
    step("check", "unit", "cargo test --locked --workspace -q", 1200, "unit and property tests of all crates"),
    step("check", "layering", "xtask layering", 300, "no module imports a higher one"),
    step("check", "vocabulary", "xtask vocabulary", 300, "one word for one thing"),
    step("check", "scripts", "xtask scripts", 600, "shellcheck, ruby -wc and php -l"),
    step("check", "generated", "xtask generated", 1200, "headers, settings page, licences and PHP declarations are up to date"),
    step("check", "contract", "xtask contract", 1200, "every rule of the contract has a case"),
    step("check", "peers-page", "conformance/peers/page.py --check", 60, "docs/conformance-peers.md is that of the last run"),
    step("check", "mutations-apply", "xtask mutations check", 300, "every mutation applies to the sources"),
    step("check", "guarantees", "xtask guarantees", 300, "every promise has its test"),
    compiled_ahead("make --no-print-directory build", step("ship", BUILD, "make --no-print-directory build programs", 1200, "what ships, and the programs of the workspace for the tests")),
    built("ship", "abi", "tests/abi.sh target/ship target/debug/phc-sink", 600, "the binary interface"),
    step("ship", "abi-changes", "tests/abi-baseline.sh", 600, "a changed field, function or number fails the comparison"),
    built("c", "c-shared", "xtask c", 1200, "black-box tests, shared library"),
    built("c", "c-archive", "xtask c --link archive delivery misuse", 600, "black-box tests, archive"),
    built("c", "spool-proofs", "xtask spool-proofs", 600, "what the spool promises, from outside: kills, errors, power cuts, a full disk, outages"),
    built("c", "soak", "xtask soak 20", 600, "a random life of a client, event by event"),
    built("c", "flags-soak", "xtask flags-soak 10", 600, "definitions that change every second, under threads and forks"),
    built("c", "panics", "xtask panics", 1200, "what a panic does, in a library that panics on demand"),
    built("c", "reload", "xtask reload", 600, "loaded, unloaded, loaded again"),
    compiled_ahead("env PHC_DIRTY=1 PHC_QUICK_PROGRAMS=1 scripts/dist/dist.sh --build x86_64-linux-gnu", built("packages", "dist", "env PHC_DIRTY=1 PHC_QUICK_PROGRAMS=1 PHC_XZ_LEVEL=1 scripts/dist/dist.sh x86_64-linux-gnu", 1800, "every package of one platform")),
    step("packages", "dist-packed", "env PHC_DIRTY=1 PHC_XZ_LEVEL=1 tests/dist-packed.sh", 900, "packed again, they have the same bytes"),
    step("packages", "dist-abi", "tests/dist-abi.sh target/dist/x86_64-linux-gnu", 300, "symbols, oldest glibc, hardening and paths of its libraries"),
    built("packages", "go-package", "tests/go-package.sh dist", 1200, "the Go module as its users get it, and its release tag"),
    built("packages", "dist-test", "scripts/dist/test.sh bookworm", 1800, "each of them in a clean Debian 12"),
    built("packages", "release", "tests/release.sh form sign refuse sbom", 900, "what a release refuses, and its bill of materials"),
    step("packages", "deny", "scripts/deny.sh", 600, "licences, bans, second versions and sources of crates"),
    built("conformance", "cases", "xtask conformance", 1200, "every vector and scenario in every language"),
    built("conformance", "bundle", "tests/conformance-bundle.sh quick", 600, "the archive for other repositories, and its templates of workers"),
    built("conformance", "adapter-c", "xtask adapter-test c", 600, "the adapter protocol by hand"),
    built("conformance", "adapter-cpp", "xtask adapter-test cpp", 600, "the adapter protocol by hand"),
    built("conformance", "adapter-go", "xtask adapter-test go", 600, "the adapter protocol by hand"),
    built("conformance", "adapter-ruby", "xtask adapter-test ruby", 600, "the adapter protocol by hand"),
    built("conformance", "adapter-php", "xtask adapter-test php", 600, "the adapter protocol by hand"),
    built("conformance", "sink-page", "tests/sink-page.sh test_ test_page", 600, "the sink's live page in a headless Chromium"),
    step("tools", "race-models", "xtask sanitize races", 1200, "every order in which threads can meet"),
    built("tools", "valgrind", "xtask sanitize memory", 1200, "black-box tests under valgrind"),
    compiled_ahead("xtask sanitize --build address", built("tools", "address", "xtask sanitize address", 1200, "black-box tests under AddressSanitizer")),
    compiled_ahead("xtask sanitize --build thread", built("tools", "thread", "xtask sanitize thread", 1200, "black-box tests under ThreadSanitizer")),
    built("tools", "fuzz-replay", "scripts/fuzz.sh replay", 600, "every committed input of the fuzz targets"),
    built("network", "environment", "xtask environment", 600, "no environment variable is read"),
    built("network", "tls", "xtask tls", 600, "what is trusted, what is refused, and how it is reported"),
    built("network", "proxies", "xtask proxies", 600, "through a proxy, and when it is in the way"),
    built("network", "addresses", "xtask addresses", 600, "IPv6, and names with several addresses"),
    built("network", "cli", "xtask cli", 1200, "phc-cli: spools, sending, the steps of a connection"),
    built("cpp", "cpp-tests", "xtask cpp", 1200, "headers under every compiler; black-box tests"),
    built("cpp", "cpp-valgrind", "xtask cpp --valgrind values tracking delivery callbacks settings misuse statuses", 1200, "black-box tests under valgrind"),
    built("cpp", "cpp-projects", "tests/cmake.sh", 1200, "find_package, add_subdirectory, pkg-config"),
    built("cpp", "cpp-guide", "tests/cpp-guide.sh target/debug/phc-sink", 600, "what docs/cpp.md shows compiles and runs"),
    built("go", "go-tests", "xtask go", 1200, "the package in every way in which it can be built"),
    built("ruby", "ruby-tests", "xtask ruby", 1200, "the gem"),
    built("ruby", "ruby-sanitizers", "xtask sanitize ruby", 1200, "its C extension under AddressSanitizer and valgrind"),
    built("ruby", "ruby-hosts", "xtask ruby-hosts", 1200, "the gem in Puma, in Resque's forks, in Rails and in Sinatra"),
    built("php", "php-tests", "xtask php", 1200, "the package"),
    built("php", "php-hosts", "xtask php-hosts", 1200, "the package in PHP-FPM behind nginx, also with a spool and workers that are killed"),
    built("setup", "install", "tests/install.sh", 600, "make install, the README's link line, make uninstall"),
    built("setup", "demo", "make --no-print-directory demo", 600, "the C example against the sink"),
    compiled_after_build("xtask guard --build", built("cost", "guard", "xtask guard", 1200, "instructions, allocations and system calls of a capture")),
    compiled_after_build("tests/size.sh", built("cost", "size", "tests/size.sh", 1200, "with and without the optional features")),
    built(BY_HAND, "dist-all", "scripts/dist/dist.sh", 7200, "every package of every platform"),
    built(BY_HAND, "dist-test-all", "scripts/dist/test.sh", 7200, "each of them in every clean system"),
    step(BY_HAND, "dist-panics", "tests/dist-panics.sh", 1800, "panics with the unwinder of a release"),
    step(BY_HAND, "dist-reproducible", "tests/dist-reproducible.sh x86_64-linux-gnu", 3600, "a second build gives the same bytes"),
    built(BY_HAND, "packages-c", "tests/packages-c.sh", 1800, "tarball, Debian packages and recipes, used as their users do"),
    built(BY_HAND, "sink-programs", "tests/sink-page.sh test_ test_programs", 600, "the programs that the sink's page shows"),
    built(BY_HAND, "windows", "tests/windows.sh", 1800, "the DLL under wine"),
    built(BY_HAND, "bundle-whole", "tests/conformance-bundle.sh", 600, "the archive for other repositories, with cases by each template"),
    step(BY_HAND, "release-version", "tests/release.sh version", 1800, "one command sets the version of every package"),
    step(BY_HAND, "release-offline", "tests/release.sh offline", 3600, "the library is built from its source package without a network"),
    built(BY_HAND, "idle", "xtask c idle", 300, "an idle client gives its descriptors back"),
    built(BY_HAND, "soak-long", "xtask soak 600", 1200, "ten minutes of a random life"),
    built(BY_HAND, "flags-soak-long", "xtask flags-soak 600", 1200, "ten minutes of definitions that change, and more than a thousand forks"),
    built(BY_HAND, "names-long", "env PHC_NAMES_FORKS=1000 make --no-print-directory test-c NAME=children_that_are_forked_during_look_ups", 1200, "a thousand children that are forked during look-ups"),
    built(BY_HAND, "ruby-hosts-full", "xtask ruby-hosts full", 3600, "the gem in its hosts, with full numbers"),
    built(BY_HAND, "ruby-rails-new", "tests/ruby-rails.sh trixie", 1800, "the example applications with the Rails and the Ruby of Debian 13"),
    built(BY_HAND, "php-hosts-full", "xtask php-hosts full", 3600, "the package in its hosts, with full numbers"),
    built(BY_HAND, "spool-proofs-long", "xtask spool-proofs --long", 10800, "the same with 200 kills a level, every system call, and half an hour of outages"),
    step(BY_HAND, "spool-long", "env PHC_SPOOL_SEEDS=1000000 cargo test --locked -p libphc --lib spool::tests::histories -q", 3600, "a million histories of processes that share a spool"),
    step(BY_HAND, "spool-simulation-long", "env PHC_SPOOL_SEEDS=100000 cargo test --locked -p libphc --lib spool_simulation -q", 3600, "a hundred thousand histories of whole processes with a spool"),
    step(BY_HAND, "fuzz-run", "scripts/fuzz.sh run 120", 3600, "each fuzz target for two minutes"),
    built(BY_HAND, "mutations-conformance", "xtask mutations run conformance", 14400, "every mutation is caught by a case"),
    step(BY_HAND, "mutations-races", "xtask mutations run races", 7200, "every mutation is caught by a race model"),
    step(BY_HAND, "mutations-unit", "xtask mutations run unit", 7200, "every mutation of the spool and of feature flags is caught by a unit test"),
    built(BY_HAND, "mutations-tsan", "xtask mutations run tsan", 3600, "every mutation is caught by ThreadSanitizer"),
];
