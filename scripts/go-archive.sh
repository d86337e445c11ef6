#!/usr/bin/env bash
# go-archive.sh [SHIP]: puts the archive and the header where the Go package
# looks for them.
set -euo pipefail
cd "$(dirname "$0")/.."
ship=${1:-target/ship}
[ -f "$ship/libphc.a" ] || { echo "there is no $ship/libphc.a; run make build" >&2; exit 1; }
# Only what has changed, so that nothing is built again without need.
put() { cmp -s "$1" "$2" || { install -m 644 "$1" "$2"; echo "$2 is new"; }; }
put "$ship/libphc.a" bindings/go/lib/linux_amd64/libphc.a
put include/phc.h bindings/go/phc.h
