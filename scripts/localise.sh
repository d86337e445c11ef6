#!/usr/bin/env bash
# localise.sh IN.a OUT.a: an archive whose only global symbols are phc_*.
#
# rustc's static library exports hundreds of symbols of zstd and ring, which
# clash with a host's own copies. So its members become one object from which
# only what phc_* reaches is kept, and everything else is made local.
set -euo pipefail
in=$(realpath "$1") out=$2
symbols=$(realpath "$(dirname "$0")/../abi/symbols.txt")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t roots < <(sed 's/^/--undefined=/' "$symbols")
ld -r --gc-sections "${roots[@]}" --whole-archive "$in" -o "$work/phc.o"
# std's own objects carry bitcode, which is of no use to a linker and which some
# archivers choke on.
objcopy --wildcard --keep-global-symbol='phc_*' --strip-debug \
    --remove-section=.llvmbc --remove-section=.llvmcmd "$work/phc.o"
(cd "$work" && ar crs libphc.a phc.o)
mv "$work/libphc.a" "$out"
