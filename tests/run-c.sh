#!/usr/bin/env bash
# run-c.sh LINK SINK [PROGRAM…]: builds and runs the black-box tests in C.
#   LINK       shared (target/ship/libphc.so), static (target/ship/libphc.a), debug
#              (target/debug/libphc.a), or address or thread: what scripts/sanitize.sh
#              has built for that sanitizer
#   PHC_SHIP   the folder of the library, target/ship by default
#   PHC_TIMEOUT  seconds that a program may take, 300 by default
#   PHC_WRAP   a command to run each program under, such as valgrind
set -euo pipefail
cd "$(dirname "$0")/.."
link=$1 SINK=$2
shift 2
. scripts/common.sh
. tests/sanitizers/link.sh
ship=${PHC_SHIP:-$PWD/target/ship}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
system=(-lgcc_s -lutil -lrt -lpthread -lm -ldl) instrument=()
case $link in
shared) library=("$ship/libphc.so" "-Wl,-rpath,$ship") ;;
static) library=("$ship/libphc.a" "${system[@]}") ;;
debug) library=(target/debug/libphc.a "${system[@]}") ;;
address | thread) sanitized "$link" ;;
esac
programs=("$@")
[ ${#programs[@]} -gt 0 ] || {
    programs=(delivery codecs batching misuse reports hooks flushing threads fork exit chaos others crowd)
    # These measure memory and time, which is worth it for what ships only.
    [ "$link" != shared ] || programs+=(network deadlines memory)
}

start_sink "$work" --quiet
export PHC_SINK=127.0.0.1:$SINK_PORT
passed=0 failed=0
for program in "${programs[@]}"; do
    objects=()
    for source in "$program" harness hostile; do
        cc -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Iinclude "${instrument[@]}" \
            -c "tests/c/$source.c" -o "$work/$source.o"
        objects+=("$work/$source.o")
    done
    cc "${objects[@]}" "${library[@]}" -lpthread -o "$work/$program"
    # shellcheck disable=SC2086 # several words
    timeout "${PHC_TIMEOUT:-300}" ${PHC_WRAP-} "$work/$program" >"$work/out" 2>&1 || echo "FAILED $program ended with $?" >>"$work/out"
    cat "$work/out"
    passed=$((passed + $(grep -c '^ok ' "$work/out" || true)))
    failed=$((failed + $(grep -c '^FAILED ' "$work/out" || true)))
done
stop_sink
echo "C, $link${PHC_WRAP:+, under ${PHC_WRAP%% *}}: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
