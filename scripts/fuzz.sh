#!/usr/bin/env bash
# fuzz.sh run SECONDS [TARGET…]:   each target for that long, one after the other; new inputs
#                                  go to target/fuzz/corpus, what fails to fuzz/regressions
# fuzz.sh build [TARGET…]:         builds them
# fuzz.sh minimise [TARGET…]:      leaves in fuzz/corpus a few inputs that reach all basic blocks
#                                  which fuzz/corpus and target/fuzz/corpus reach
# fuzz.sh replay [TARGET…]:        every committed input once, without libFuzzer
# fuzz.sh coverage [TARGET…]:      the same, and how much of each target's files it reaches
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
out=$PWD/target/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
wrapper=$PWD/fuzz/rustc.sh

# target, sanitizer (address where raw pointers are handed over), most bytes of an
# input, and the files of src/ that it is for.
table() {
    cat <<'TABLE'
properties   none    4096 json/ event/properties.rs event/rules.rs event/encoder.rs event/super_properties.rs
capture_json address 4096 json/ event/ capi/capture.rs capi/text.rs
builder      address 1024 event/builder.rs event/members.rs event/encoder.rs event/timestamp.rs capi/event.rs
exception    address 2048 exception/ capi/exception.rs
config_set   none    1024 config/ capi/config.rs
flags        address 8192 flags/ capi/flags.rs capi/flag_values.rs capi/flags_query.rs json/
flag_response none   4096 flags/remote/response.rs flags/called.rs flags/snapshot.rs flags/found.rs flags/tree.rs json/
response     none    4096 json/ protocol/response.rs protocol/decide.rs protocol/verdict.rs protocol/statuses.rs
retry_after  none     256 protocol/retry_after.rs protocol/backoff.rs
segment      none    4096 spool/record.rs spool/segment.rs spool/contents.rs
calls        address  256 capi/ client/ delivery/ runtime/ transport/
TABLE
}

# rows [TARGET…]: their rows of the table, or all.
rows() {
    [ $# -gt 0 ] || { table; return; }
    local target
    for target; do
        table | grep "^$target " || { echo "there is no target '$target'" >&2; exit 2; }
    done
}

# KIND is a sanitizer (none, address), or `blocks`: there every basic block is counted,
# not every edge between two blocks.
build() { # TARGET KIND
    local level=4
    unset RUSTC_BOOTSTRAP RUSTFLAGS
    case $2 in
    # The runtime ships with stable Rust; only the option is kept for nightly.
    address) export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address ;;
    blocks) level=2 ;;
    esac
    local flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=$level
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
        -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0"
    PHC_FUZZ_FLAGS=$flags RUSTC_WRAPPER=$wrapper "$CARGO" build --locked -q --profile fuzz -p phc-fuzz \
        --features libfuzzer --target "$host" --target-dir "$out/$2" --bin "$1"
}

binary() { echo "$out/$2/$host/fuzz/$1"; } # TARGET KIND

# options TARGET BYTES: sets OPTIONS to those of libFuzzer.
options() {
    OPTIONS=("-max_len=$2" -timeout=30 -rss_limit_mb=2048 "-artifact_prefix=fuzz/regressions/$1/")
    [ ! -f "fuzz/$1.dict" ] || OPTIONS+=("-dict=fuzz/$1.dict")
}

run() { # SECONDS TARGET SANITIZER BYTES
    local folders=("$out/corpus/$2" "fuzz/corpus/$2" "fuzz/seeds/$2" "fuzz/regressions/$2")
    mkdir -p "${folders[@]}"
    build "$2" "$3"
    echo "== $2: $1 seconds, sanitizer $3"
    options "$2" "$4"
    ASAN_OPTIONS=detect_leaks=${PHC_FUZZ_LEAKS:-1} "$(binary "$2" "$3")" "${OPTIONS[@]}" -max_total_time="$1" \
        -print_final_stats=1 "${folders[@]}"
}

what=${1-}
shift || true
case $what in
run)
    seconds=$1
    shift
    rows "$@" | while read -r target sanitizer bytes _; do run "$seconds" "$target" "$sanitizer" "$bytes" </dev/null; done
    ;;
build) rows "$@" | while read -r target sanitizer _; do build "$target" "$sanitizer" </dev/null; done ;;
minimise)
    rows "$@" | while read -r target _ bytes _; do
        mkdir -p "$out/corpus/$target" "fuzz/corpus/$target" "$out/minimal"
        rm -rf "$out/minimal/$target" && mkdir "$out/minimal/$target"
        build "$target" blocks </dev/null
        # Without counters, inputs that run the same blocks more or fewer times are equal.
        "$(binary "$target" blocks)" -set_cover_merge=1 -use_counters=0 -max_len="$bytes" \
            "$out/minimal/$target" "fuzz/corpus/$target" "$out/corpus/$target" </dev/null
        # The inputs that are left out remain on this machine, for further runs.
        find "fuzz/corpus/$target" -type f -exec cp -t "$out/corpus/$target" {} +
        rm -rf "fuzz/corpus/$target" && cp -r "$out/minimal/$target" "fuzz/corpus/$target"
    done
    ;;
replay)
    # The steps of `make test` have it already.
    [ "${PHC_BUILT:-}" = 1 ] || "$CARGO" build --locked -q -p phc-fuzz --bin replay
    target/debug/replay "$@"
    ;;
coverage)
    version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    command -v "llvm-cov-$version" >/dev/null || { echo "llvm-cov-$version is needed (Debian: llvm-$version)" >&2; exit 2; }
    replay=$out/coverage/debug/replay
    PHC_FUZZ_FLAGS=-Cinstrument-coverage RUSTC_WRAPPER=$wrapper "$CARGO" build --locked -q -p phc-fuzz --bin replay \
        --target-dir "$out/coverage"
    rows "$@" | while read -r target _ _ files; do
        rm -f "$out/$target.profraw"
        LLVM_PROFILE_FILE=$out/$target.profraw "$replay" "$target" </dev/null
        "llvm-profdata-$version" merge -sparse "$out/$target.profraw" -o "$out/$target.profdata"
        read -ra files <<<"$files"
        (cd src && "llvm-cov-$version" report "$replay" -instr-profile="$out/$target.profdata" "${files[@]}")
    done
    ;;
*) sed -n '2,9s/^# //p' "$0" >&2; exit 2 ;;
esac
