#!/usr/bin/env bash
# dist-panics.sh: panics, with the unwinder that the libraries of a release have: zig's libunwind, local in both.
#
# It links the build for tests, which panics on demand, as scripts/dist/build.sh links the release for this machine,
# and runs tests/c/panics.c and tests/cpp/exceptions.cpp with the shared library and with the archive. It needs
# what scripts/dist/toolchain.sh x86_64-linux-gnu installs.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/dist/targets.sh
target=x86_64-linux-gnu
out=target/dist-panics
mkdir -p "$out"
export ZIG_GLOBAL_CACHE_DIR=$PWD/target/tools/cache/zig ZIG_LOCAL_CACHE_DIR=$PWD/target/tools/cache/zig
zig=$PWD/target/tools/zig/ziglang/zig
[ -x "$zig" ] || { echo "zig is missing; run scripts/dist/toolchain.sh $target" >&2; exit 1; }

cargo rustc --locked -q -p libphc --features failpoints --crate-type staticlib
{ cat abi/symbols.txt; echo phc_failpoint_arm; } >"$out/symbols.txt"
unwinder=$(scripts/dist/unwinder.sh "$target")
CC="$zig cc -O2 -target $(dist_name "$target" zig)" LDFLAGS=-Wl,-u,phc_failpoint_arm \
    scripts/link.sh target/debug/libphc.a "$out/libphc.so" libphc.so.0
ln -sf libphc.so "$out/libphc.so.0"
SYMBOLS=$out/symbols.txt UNWINDER=$unwinder scripts/localise.sh target/debug/libphc.a "$out/libphc.a"

failed=0
for link in shared archive; do
    case $link in
    shared) library=("$out/libphc.so" "-Wl,-rpath,$PWD/$out") file=libphc.so ;;
    archive) library=("$out/libphc.a" -lpthread -ldl -lm) file=libphc.a ;;
    esac
    echo "== $link"
    RUST_BACKTRACE=0 cargo run -q --locked -p xtask -- c --link "$link" --library "$PWD/$out/$file" panics || failed=1
    c++ -std=c++11 -O1 -Wall -Wextra -Werror -Iinclude tests/cpp/exceptions.cpp "${library[@]}" -o "$out/exceptions-$link"
    RUST_BACKTRACE=0 timeout 120 "$out/exceptions-$link" 2>/dev/null || { echo "FAILED exceptions, $link"; failed=1; }
done
exit $failed
