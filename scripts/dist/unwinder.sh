#!/usr/bin/env bash
# unwinder.sh TARGET: prints the path of the static libunwind that zig links into shared libraries for TARGET, for
# localise.sh and private-names.sh. zig compiles it, and says where it is if it is asked to link verbosely.
#
# It fails if toolchain.sh was not run, or if zig names none.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/dist/targets.sh
zig=target/tools/zig/ziglang/zig
[ -x "$zig" ] || { echo "zig is missing; run scripts/dist/toolchain.sh $1" >&2; exit 1; }
# The caller's, if it has one.
export ZIG_GLOBAL_CACHE_DIR=${ZIG_GLOBAL_CACHE_DIR:-$PWD/target/tools/cache/zig}
export ZIG_LOCAL_CACHE_DIR=${ZIG_LOCAL_CACHE_DIR:-$ZIG_GLOBAL_CACHE_DIR}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'void f(void); void f(void) {}' >"$work/f.c"
"$zig" cc -target "$(dist_name "$1" zig)" -O2 -shared -fPIC "$work/f.c" -lunwind -o "$work/f.so" -v >"$work/log" 2>&1
# The path is relative if it is below the current folder.
path=$(grep -oE '[^ "]*/(libunwind\.a|unwind\.lib)' "$work/log" | sort -u | head -1 || true)
[ -f "$path" ] || { cat "$work/log" >&2; echo "zig names no libunwind.a for $1" >&2; exit 1; }
realpath "$path"
