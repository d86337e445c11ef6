#!/usr/bin/env bash
# sanitize.sh [memory|address|thread|races|faults]…: the library under the tools
# that see what a test cannot: all but faults when none is named. docs/testing.md
# says what each of them sees. Ends with `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
SINK=target/release/phc-sink
VALGRIND="valgrind --quiet --fair-sched=yes --error-exitcode=9 --suppressions=tests/sanitizers/memory.supp --num-callers=30"
# std is not instrumented: tests/sanitizers/std_locks.c makes up for it.
THREAD_FLAGS=(-Cunsafe-allow-abi-mismatch=sanitizer)
passed=0 failed=0

# check NAME COMMAND…
check() {
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
    fi
}

# must_catch KIND FAULT PATTERN: the program with this fault fails, for this reason.
must_catch() {
    local link=$1 fault=$2 pattern=$3 out
    [ "$link" != memory ] || { link=shared; local -x PHC_WRAP="$VALGRIND --leak-check=full"; }
    if out=$(PHC_FAULT=$fault tests/run-c.sh "$link" "$SINK" faults 2>&1); then
        echo "$1: nothing caught $fault"
        return 1
    fi
    grep -q "$pattern" <<<"$out" || { echo "$out"; echo "$1: $fault failed for another reason"; return 1; }
    echo "caught $fault"
}

# instrumented KIND [FLAG…]: the archive, for the C tests to link. Without
# optimisation it is built in half the time.
instrumented() {
    local kind=$1 host flags
    shift
    host=$(rustc -vV | sed -n 's/^host: //p')
    flags="CFLAGS_${host//-/_}"
    # The sanitizers are not stable in rustc, but their runtimes come with it.
    env RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=$kind $*" "$flags=-fsanitize=$kind -fno-omit-frame-pointer" \
        CARGO_PROFILE_DEV_OPT_LEVEL=0 \
        "$CARGO" rustc --locked -q -p libphc --crate-type staticlib --target "$host" --target-dir "target/sanitize/$kind"
}

# valgrind. The build for tests, for in what ships the optimiser branches on bytes
# before it knows whether they were written (and then forgets the outcome), which
# valgrind takes for an error. What ships is checked for all but that.
memory() {
    local leaks="--leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect"
    export PHC_CHAOS_EVENTS=3000 PHC_CROWD_EVENTS=100 PHC_TIMEOUT=900
    check "build, debug" "$CARGO" rustc --locked -q -p libphc --crate-type staticlib
    check "valgrind" env PHC_WRAP="$VALGRIND $leaks" tests/run-c.sh debug "$SINK" \
        misuse delivery hooks flushing crowd chaos
    check "valgrind, what ships" env PHC_WRAP="$VALGRIND $leaks --undef-value-errors=no" \
        tests/run-c.sh shared "$SINK" misuse codecs crowd
    # A forked child leaks, by design, what it inherited.
    check "valgrind, forks" env PHC_WRAP="$VALGRIND --leak-check=no" tests/run-c.sh debug "$SINK" fork exit
    unset PHC_CHAOS_EVENTS PHC_CROWD_EVENTS PHC_TIMEOUT
    check "valgrind catches a read after free" must_catch memory a_report_is_read_after_its_free "Invalid read"
    check "valgrind catches a leak" must_catch memory a_client_is_never_freed "definitely lost"
}

address() {
    check "build, address" instrumented address
    # Not threads, which measures memory: what is freed is kept back for a while.
    check "address" env PHC_CHAOS_EVENTS=20000 tests/run-c.sh address "$SINK" \
        delivery codecs batching misuse hooks flushing fork chaos crowd
    # A forked child that exits leaks, by design, what it inherited.
    check "address, exits" env PHC_LEAKS=0 tests/run-c.sh address "$SINK" exit
    check "address catches a read after free" must_catch address a_report_is_read_after_its_free heap-use-after-free
    check "address catches an overflow" must_catch address a_buffer_is_smaller_than_told heap-buffer-overflow
    check "address catches a leak" must_catch address a_client_is_never_freed "detected memory leaks"
}

thread() {
    check "build, thread" instrumented thread "${THREAD_FLAGS[@]}"
    check "thread" tests/run-c.sh thread "$SINK" crowd
    check "thread catches a race" must_catch thread a_callback_writes_without_a_lock "data race.*count_unguarded"
}

# Deliberate faults of the library, each of which must be caught; and each race
# model must catch one. Writes tests/faults/README.md.
faults() {
    local root=$PWD tree=$PWD/target/faults patch name by models rows=()
    rm -rf "$tree"
    mkdir -p "$tree"
    git ls-files -z | xargs -0 cp --parents -t "$tree"
    ln -s "$root/target" "$tree/target"
    for patch in "$root"/tests/faults/races/*.patch; do
        name=$(basename "$patch" .patch)
        by=$(with_fault "$tree" "$patch" timeout 300 "$CARGO" test --locked -q -p libphc --features race-models --lib races:: -- --nocapture 2>&1 |
            sed -n "s/^thread 'races::\([a-z_:]*\)'.* panicked at.*/\1/p" | sort -u)
        rows+=("| \`$name\` | $(sed 's/.*/`&`/' <<<"$by" | paste -sd, | sed 's/,/, /g') |")
        echo "$name: caught by $(paste -sd' ' <<<"${by:-nobody}")"
        check "caught $name" [ -n "$by" ]
    done
    models=$(sed -n '/^#\[test\]/{n;s/^fn \([a-z_]*\).*/\1/p}' src/races/*.rs)
    for name in $models; do
        check "the model $name can fail" grep -q "::$name\`" <<<"${rows[*]}"
    done
    {
        printf '# Deliberate faults in the library\n\n<!-- Made by `make sanitize PARTS=faults`. -->\n\n'
        printf 'Each patch in `races/` is one fault; every race model (`src/races/`) that then fails is named. The patch in\n'
        printf '`thread/` is a data race that ThreadSanitizer must report, with the suppressions.\n\n'
        printf '| fault | caught by |\n|---|---|\n'
        printf '%s\n' "${rows[@]}"
    } >tests/faults/README.md
    for patch in "$root"/tests/faults/thread/*.patch; do
        check "ThreadSanitizer catches $(basename "$patch" .patch)" with_fault "$tree" "$patch" thread_must_report
    done
}

# with_fault TREE PATCH COMMAND…: runs it in the tree with the patch.
with_fault() {
    local tree=$1 patch=$2
    shift 2
    (
        # As if there were no repository around it.
        export GIT_CEILING_DIRECTORIES=${tree%/*}
        cd "$tree" && git apply "$patch" || exit 1
        trap 'git apply -R "$patch"' EXIT
        "$@"
    )
}

thread_must_report() {
    local out
    instrumented thread "${THREAD_FLAGS[@]}" || return 1
    out=$(tests/run-c.sh thread "$SINK" crowd 2>&1) && { echo "$out"; return 1; }
    grep -q 'data race.*client.rs' <<<"$out" || { echo "$out"; return 1; }
}

races() {
    check "race models" "$CARGO" test --locked -q -p libphc --features race-models --lib races::
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(races memory address thread)
for part in "${parts[@]}"; do
    start=$(date +%s)
    "$part"
    echo "== $part: $(($(date +%s) - start)) s"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
