#!/usr/bin/env bash
# ship.sh BUILD SHIP MAJOR: makes the libraries that ship, in SHIP, from the static library that cargo built
# in BUILD. A file that is newer than everything it is made from is left alone.
#
# The environment names the tools for another target: CC, LDFLAGS and STRIP (link.sh), LD, OBJCOPY and AR
# (localise.sh). For glibc 2.17, for example:
#   CC="zig cc -target x86_64-linux-gnu.2.17" scripts/ship.sh target/release dist/gnu217 0
set -euo pipefail
here=$(dirname "$0")
build=$1 ship=$2 major=$3
mkdir -p "$ship"
current() { # current FILE INPUT…
    local file=$1 input
    shift
    for input in "$@"; do [ "$file" -nt "$input" ] || return 1; done
}
inputs=("$build/libphc.a" "$here/../abi/symbols.txt")
current "$ship/libphc.so" "${inputs[@]}" "$here/../abi/libphc.map" "$here/link.sh" ||
    "$here/link.sh" "$build/libphc.a" "$ship/libphc.so" "libphc.so.$major"
ln -sf libphc.so "$ship/libphc.so.$major"
current "$ship/libphc.a" "${inputs[@]}" "$here/localise.sh" ||
    "$here/localise.sh" "$build/libphc.a" "$ship/libphc.a"
