#!/usr/bin/env bash
# The size of the library that ships, in target/ship, and of the one without its
# optional features, brotli, flags and spool, which is built here and says so when brotli is asked for.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
at_most() { # at_most BYTES FILE WHAT
    local size
    size=$(stat -c %s "$2")
    echo "$3: $size bytes, at most $1"
    [ "$size" -le "$1" ] || { echo "FAILED: $3 is $((size - $1)) bytes too large"; failed=1; }
}
[ -f target/ship/libphc.so ] || { echo "there is no target/ship/libphc.so; run make build" >&2; exit 1; }
# Crates of others are those that `make build` has compiled: from cargo 1.91 on, which knows this variable.
CARGO_BUILD_BUILD_DIR=target cargo rustc --locked --release -p libphc --no-default-features --crate-type staticlib \
    --target-dir target/without-features
scripts/link.sh target/without-features/release/libphc.a "$work/libphc.so" libphc.so.0
at_most 5060000 target/ship/libphc.so "with brotli, flags and spool"
at_most 3390000 "$work/libphc.so" "without them"

ln -s libphc.so "$work/libphc.so.0"
cc -std=c11 -D_GNU_SOURCE -O1 -Iinclude tests/c/one_event.c "$work/libphc.so" "-Wl,-rpath,$work" -o "$work/one_event"
said=$("$work/one_event" http://127.0.0.1:1 compression=br || true)
echo "$said"
[[ $said == *"built without brotli"* ]]
exit $failed
