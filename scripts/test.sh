#!/usr/bin/env bash
# make test: everything. Ends with one line, `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
LOGS=target/test-logs
passed=0 failed=0 failures=() failed_logs=()
rm -rf "$LOGS"
mkdir -p "$LOGS"

# step NAME COMMAND…: runs it under a time limit and counts it. Its output is shown
# as it comes, and kept.
step() {
    local name=$1 start log shown status=0
    shift
    start=$(date +%s)
    log=$LOGS/$((passed + failed + 1))-${name//[^a-zA-Z0-9]/-}.log
    echo "== $name"
    exec 8> >(exec tee "$log")
    shown=$!
    timeout 1200 "$@" >&8 2>&1 8>&- || status=$?
    exec 8>&-
    # What a step leaves in the background holds the pipe open: that is not waited for.
    for _ in $(seq 100); do
        kill -0 "$shown" 2>/dev/null || break
        sleep 0.1
    done
    kill "$shown" 2>/dev/null
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
        echo "== $name: passed in $(($(date +%s) - start)) s"
    else
        failed=$((failed + 1))
        failures+=("$name") failed_logs+=("$log")
        echo "== $name: FAILED ($status)"
    fi
}

SINK=target/release/phc-sink
VALGRIND="valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect \
    --errors-for-leak-kinds=definite,indirect"

step "format" "$CARGO" fmt --all --check
step "lints" "$CARGO" clippy --locked --workspace --all-targets -q -- -D warnings
step "unit and property tests" "$CARGO" test --locked --workspace -q
step "fuzzing: committed inputs" scripts/fuzz.sh replay
step "generated files" sh -c "for what in headers settings licences; do $CARGO run --locked -q -p xtask -- \$what --check || exit 1; done"
step "every rule of the contract has a case" "$CARGO" run --locked -q -p phc-conformance -- index --check
step "deliberate faults still apply" scripts/patches.sh
step "every promise has its test" tests/guarantees.sh
step "build what ships" make --no-print-directory build sink
step "the binary interface" tests/abi.sh target/ship "$SINK"
step "what a capture costs, exactly" tests/guard.sh "$SINK"
step "sizes, with and without brotli" tests/size.sh
step "black-box tests, shared library" tests/run-c.sh shared "$SINK"
step "a random life" env PHC_SOAK_SECONDS=20 tests/run-c.sh shared "$SINK" soak
step "panics" tests/panics.sh "$SINK"
step "loaded, unloaded, loaded again" tests/reload.sh "$SINK"
step "black-box tests, archive" tests/run-c.sh static "$SINK" delivery misuse
step "race models" scripts/sanitize.sh races
step "black-box tests, under valgrind" scripts/sanitize.sh memory
step "black-box tests, under AddressSanitizer" scripts/sanitize.sh address
step "black-box tests, under ThreadSanitizer" scripts/sanitize.sh thread
step "conformance" scripts/conformance.sh run all
for sdk in c cpp go ruby php; do
    step "adapter for $sdk" tests/adapter.sh "$SINK" $sdk
done
step "no environment reads" tests/environment.sh "$SINK"
step "TLS" tests/tls.sh "$SINK"
step "proxies" tests/proxy.sh "$SINK"
step "IPv6 and names" tests/addresses.sh "$SINK"
step "C++" tests/cpp.sh "$SINK"
step "C++, under valgrind" env PHC_WRAP="$VALGRIND" tests/cpp.sh "$SINK" values delivery handlers misuse statuses
step "C++ projects" tests/cmake.sh
step "C++ guide" tests/cpp-guide.sh "$SINK"
step "Go" tests/go.sh "$SINK"
step "Ruby" tests/ruby.sh "$SINK"
step "Ruby in its hosts" tests/hosts-ruby.sh "$SINK"
step "PHP" tests/php.sh "$SINK"
step "PHP in its hosts" tests/hosts-php.sh "$SINK"
step "install and uninstall" tests/install.sh
step "demo" make --no-print-directory demo

# A log that is cut off shows its end: why each failed comes there, too.
for i in "${!failures[@]}"; do
    echo "== ${failures[i]}: FAILED; the end of ${failed_logs[i]}"
    tail -n 40 "${failed_logs[i]}"
    # A last line without an end must not take the next one in.
    [ -z "$(tail -c 1 "${failed_logs[i]}")" ] || echo
done
for name in "${failures[@]}"; do echo "FAILED: $name"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
