#!/usr/bin/env bash
# make bench-cpp: what a capture costs through phc.hpp next to phc.h, in instructions (counted by callgrind, which does
# not drift) and in time (which does), both as ratios to phc_capture with the text at hand.
set -euo pipefail
cd "$(dirname "$0")/.."
ship=$PWD/target/ship
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
g++ -std=c++17 -O2 -Wall -Wextra -Werror -Iinclude benches/cpp/capture.cpp "$ship/libphc.so" "-Wl,-rpath,$ship" -o "$work/capture"
"$work/capture" >"$work/times"
count=2000
while IFS=$'\t' read -r way time name; do
    valgrind --tool=callgrind --toggle-collect=measured --callgrind-out-file="$work/$way.callgrind" \
        "$work/capture" "$way" $count >"$work/out" 2>&1
    all=$(awk '/^(summary|totals):/ { print $2; exit }' "$work/$way.callgrind")
    printf '%s\t%s\t%s\n' "$((all / count))" "$time" "$name"
done <"$work/times" >"$work/rows"
awk -F'\t' '
    NR == 1 { instructions = $1; time = $2; printf "%-34s %12s %7s %8s %7s\n", "", "instructions", "ratio", "ns", "ratio" }
    { printf "%-34s %12d %7.2f %8.0f %7.2f\n", $3, $1, $1 / instructions, $2, $2 / time }' "$work/rows"
