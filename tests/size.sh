#!/usr/bin/env bash
# size.sh SINK: the library without the `brotli` feature: it builds, is under
# 3.3 MB, and sends a body as it is when it cannot compress it.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo rustc --locked --release -p libphc --no-default-features --crate-type cdylib --target-dir target/without-brotli
strip -o "$work/libphc.so" target/without-brotli/release/libphc.so
size=$(stat -c %s "$work/libphc.so")
echo "$size bytes without brotli"
[ "$size" -lt 3300000 ]

ln -s libphc.so "$work/libphc.so.0"
cc -std=c11 -D_GNU_SOURCE -O1 -Iinclude tests/c/one_event.c "$work/libphc.so" "-Wl,-rpath,$work" -o "$work/one_event"
start_sink "$work" --quiet
said=$(timeout 60 "$work/one_event" "http://127.0.0.1:$SINK_PORT" compression=br)
requests=$(curl -sS "http://127.0.0.1:$SINK_PORT/_requests")
stop_sink
[[ $said == "ok "* && $requests == *'"encoding":"identity"'* && $requests != *content-encoding* ]] ||
    { echo "a body that cannot be compressed: $said, $requests"; exit 1; }
echo "a body that cannot be compressed was sent as it is"
