#!/usr/bin/env bash
# make test: everything. Ends with one line, `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
passed=0 failed=0 failures=()

# step NAME COMMAND…: runs it under a time limit and counts it.
step() {
    local name=$1 start
    shift
    start=$(date +%s)
    echo "== $name"
    if timeout 1200 "$@"; then
        passed=$((passed + 1))
        echo "== $name: passed in $(($(date +%s) - start)) s"
    else
        failed=$((failed + 1))
        failures+=("$name")
        echo "== $name: FAILED"
    fi
}

SINK=target/release/phc-sink
VALGRIND="valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect"

step "format" "$CARGO" fmt --all --check
step "lints" "$CARGO" clippy --locked --workspace --all-targets -q -- -D warnings
step "unit and property tests" "$CARGO" test --locked --workspace -q
step "fuzzing: committed inputs" scripts/fuzz.sh replay
step "generated files" sh -c "for what in headers settings licences; do $CARGO run --locked -q -p xtask -- \$what --check || exit 1; done"
step "every rule of the contract has a case" "$CARGO" run --locked -q -p phc-conformance -- index --check
step "deliberate faults still apply" scripts/patches.sh
step "build what ships" make --no-print-directory build sink
step "the binary interface" tests/abi.sh target/ship "$SINK"
step "without brotli" tests/size.sh
step "black-box tests, shared library" tests/run-c.sh shared "$SINK"
step "black-box tests, archive" tests/run-c.sh static "$SINK" delivery misuse
step "black-box tests, under valgrind" env PHC_WRAP="$VALGRIND" tests/run-c.sh shared "$SINK" misuse codecs
step "conformance" scripts/conformance.sh run all
step "adapter" tests/adapter.sh "$SINK"
step "no environment reads" tests/environment.sh "$SINK"
step "TLS" tests/tls.sh "$SINK"
step "install and uninstall" tests/install.sh
step "demo" make --no-print-directory demo

for name in "${failures[@]}"; do echo "FAILED: $name"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
