#!/usr/bin/env bash
# The library without the `brotli` feature: it builds, and is under 3.3 MB.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo rustc --locked --release -p libphc --no-default-features --crate-type cdylib --target-dir target/without-brotli
strip -o "$work/libphc.so" target/without-brotli/release/libphc.so
size=$(stat -c %s "$work/libphc.so")
echo "$size bytes without brotli"
[ "$size" -lt 3300000 ]
