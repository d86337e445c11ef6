#!/usr/bin/env bash
# dist-conformance.sh FOLDER [OPTION…]: the conformance cases against the shared library of a release, by the worker in
# C, which zig compiles and links. FOLDER is what build.sh made, such as target/dist/aarch64-linux-gnu; an OPTION
# is one of `phc-conformance run`.
#
# A library for arm64 runs in qemu, with the C library of Debian; scripts/dist/toolchain.sh installs both.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/dist/targets.sh
folder=$(realpath "$1") target=$(basename "$1") tools=$PWD/target/tools
shift
runner=target/debug/phc-conformance
[ -x "$runner" ] || { echo "$runner is missing; run make sink" >&2; exit 1; }
case $target in
x86_64-linux-gnu) emulator=() ;;
aarch64-linux-gnu) emulator=("$tools/qemu/usr/bin/qemu-aarch64" -L "$tools/sysroot/$target") ;;
*) echo "$target does not run here; scripts/dist/test.sh has a system for it" >&2; exit 2 ;;
esac
export ZIG_GLOBAL_CACHE_DIR=$tools/cache/zig ZIG_LOCAL_CACHE_DIR=$tools/cache/zig
zig=$tools/zig/ziglang/zig
[ -x "$zig" ] || { echo "zig is missing; run scripts/dist/toolchain.sh $target" >&2; exit 1; }
worker=$PWD/target/dist-conformance/$target
mkdir -p "$(dirname "$worker")"
"$zig" cc -target "$(dist_name "$target" zig)" -std=c11 -D_GNU_SOURCE -O1 -I"$folder/include" \
    conformance/workers/c/*.c "$folder/lib/libphc.so" "-Wl,-rpath,$folder/lib" -o "$worker"
"$runner" run --level all --worker "c=${emulator[*]} $worker" "$@"
