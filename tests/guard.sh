#!/usr/bin/env bash
# guard.sh SINK [update]: what no noise can change. Instructions of the hot pieces,
# against benches/instructions.txt; allocations and system calls of a captured
# event in the steady state, exactly. With update, writes the instructions down.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ship=$PWD/target/ship
page=benches/instructions.txt
failed=0
check() { # check WHAT CONDITION…
    local what=$1
    shift
    if [ "$@" ]; then echo "ok $what"; else echo "FAILED $what"; failed=1; fi
}

# -- instructions: a few per cent differ between processors, for libc copies by what they can
tolerance=4
guard=$(${CARGO:-cargo} build --locked --release -q -p libphc --bench guard --message-format=json |
    sed -n 's/.*"executable":"\([^"]*guard-[^"]*\)".*/\1/p' | tail -1)
instructions() { # instructions PIECE COUNT
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$guard" "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'
}
: >"$work/instructions.txt"
for piece in encode capture builder batch answer answer-mixed; do
    few=$(instructions $piece 2000) many=$(instructions $piece 12000)
    echo "$piece $(((many - few) / 10000))" >>"$work/instructions.txt"
done
if [ "${2-}" = update ]; then
    { echo "# Instructions an event, by tests/guard.sh: make guard-update"; cat "$work/instructions.txt"; } >$page
fi
while read -r piece now; do
    known=$(awk -v piece="$piece" '$1 == piece {print $2}' $page)
    check "$piece: $now instructions an event, $known are written down" "$((now * 100))" -le "$((${known:-0} * (100 + tolerance)))"
    [ "$((now * 100))" -ge "$((known * (100 - tolerance)))" ] || echo "   it has become cheaper: make guard-update"
done <"$work/instructions.txt"

# -- allocations and system calls of 6,400 captures
cc -shared -fPIC -O1 tests/c/count_malloc.c -o "$work/count_malloc.so" -ldl
cc -std=c11 -O1 -Iinclude tests/c/steady.c "$ship/libphc.so" -Wl,-rpath,"$ship" -ldl -o "$work/steady"
start_sink "$work" --quiet
host=http://127.0.0.1:$SINK_PORT
read -r allocations _ < <(LD_PRELOAD=$work/count_malloc.so timeout 120 "$work/steady" "$host/a" 100000)
check "$allocations allocations in 6,400 captures" "$allocations" -eq 0

calls() { # calls FLUSH_AT: the main thread's system calls between the marks, in $work/calls
    timeout 200 strace -f -o "$work/trace" "$work/steady" "$host/$1" "$1" >"$work/said"
    main=$(head -1 "$work/trace" | cut -d' ' -f1)
    # A call that others interrupt in the listing has two lines.
    awk -v main="$main" '$1 != main || /resumed>/ {next} /"begin"/ {inside = 1; next} /"end"/ {inside = 0} inside' \
        "$work/trace" >"$work/calls"
}
calls 100000
random=$(grep -c getrandom "$work/calls" || true)
# The first event after none wakes the sender.
other=$(grep -v getrandom "$work/calls" | grep -cv ' write(' || true)
check "$random requests for randomness in 6,400 captures, one for 256 uuids" "$random" -le 26
check "$other other system calls in 6,400 captures between two thresholds" "$other" -eq 0
[ "$other" -eq 0 ] || grep -v getrandom "$work/calls" | head -5
check "$(grep -c ' write(' "$work/calls" || true) wake-ups by them" "$(grep -c ' write(' "$work/calls" || true)" -le 1
calls 100
wakes=$(grep -c ' write(' "$work/calls" || true)
read -r _ requests <"$work/said"
check "$wakes wake-ups for $requests batches" "$wakes" -le "$requests"
stop_sink
exit $failed
