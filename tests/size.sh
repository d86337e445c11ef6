#!/usr/bin/env bash
# The library without the `brotli` feature: it builds, is under 3.3 MB, and says
# so when brotli is asked for.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo rustc --locked --release -p libphc --no-default-features --crate-type cdylib --target-dir target/without-brotli
strip -o "$work/libphc.so" target/without-brotli/release/libphc.so
size=$(stat -c %s "$work/libphc.so")
echo "$size bytes without brotli"
[ "$size" -lt 3300000 ]

ln -s libphc.so "$work/libphc.so.0"
cc -std=c11 -D_GNU_SOURCE -O1 -Iinclude tests/c/one_event.c "$work/libphc.so" "-Wl,-rpath,$work" -o "$work/one_event"
said=$("$work/one_event" http://127.0.0.1:1 compression=br || true)
echo "$said"
[[ $said == *"built without brotli"* ]]
