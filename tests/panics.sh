#!/usr/bin/env bash
# panics.sh SINK: what a panic in each room does, in a library that panics on demand.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
${CARGO:-cargo} rustc --locked -q -p libphc --features fault-injection --crate-type cdylib
mkdir -p target/faults
cp target/debug/libphc.so target/faults/libphc.so
ln -sf libphc.so target/faults/libphc.so.0
RUST_BACKTRACE=0 PHC_SHIP=$PWD/target/faults tests/run-c.sh shared "$SINK" panics
