#!/usr/bin/env bash
# ship.sh BUILD SHIP MAJOR: what cargo built in BUILD, made ready to ship in SHIP; what is there already stays.
set -euo pipefail
build=$1 ship=$2 major=$3
mkdir -p "$ship"
[ "$ship/libphc.so" -nt "$build/libphc.so" ] || strip -o "$ship/libphc.so" "$build/libphc.so"
ln -sf libphc.so "$ship/libphc.so.$major"
[ "$ship/libphc.a" -nt "$build/libphc.a" ] || "$(dirname "$0")/localise.sh" "$build/libphc.a" "$ship/libphc.a"
