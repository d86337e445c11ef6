#!/usr/bin/env bash
# ship-windows.sh BUILD SHIP MAJOR: makes the libraries that ship for Windows, in SHIP, from the static library that
# cargo built in BUILD. build.sh calls it; scripts/ship.sh does the same for ELF.
#
#   libphc.a       the static library, with its unwinder, and with no global names but those of abi/symbols.txt and
#                  private ones (private-names.sh)
#   phc.dll        linked from that; exports the functions of abi/symbols.txt and nothing else, stripped
#   libphc.dll.a   its import library, for programs of MinGW (gcc, clang, zig)
#   phc-sink.exe   the test server, stripped
#
#   CC             the compiler driver for x86_64-windows-gnu: zig's, as build.sh has it
#
# rustc does not link the DLL, so that the same compiler driver links it that users link with. It fails where
# scripts/dist/sid.sh cannot run, which has LLVM's tools.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 ship=$2
read -ra compiler <<<"$CC"
mkdir -p "$ship"
work=$(mktemp -d "$PWD/target/ship-windows.XXXXXX") # in the tree: sid.sh shows no other folder
trap 'rm -rf "$work"' EXIT

scripts/dist/private-names.sh "$build/libphc.a" "$work/libphc.a" "$(scripts/dist/unwinder.sh x86_64-windows)"
{
    echo "LIBRARY phc.dll"
    echo "EXPORTS"
    sed 's/^/    /' abi/symbols.txt
} >"$work/phc.def"
# The libraries of Windows whose functions std and the crates call.
system=(-lws2_32 -lntdll -luserenv -lcrypt32 -lsecur32 -lbcrypt -ladvapi32 -lkernel32)
"${compiler[@]}" -shared -s "$work/phc.def" "$work/libphc.a" -Wl,--gc-sections "-Wl,--out-implib=$work/libphc.dll.a" \
    "${system[@]}" -o "$work/phc.dll"
cp "$build/phc-sink.exe" "$work/phc-sink.exe"
scripts/dist/sid.sh run llvm-strip --strip-all "$work/phc-sink.exe"
for file in phc.dll phc-sink.exe; do
    # The linker writes the time into the header of the file: 4 bytes at 8 behind the place that the 4 bytes at 60 name.
    place=$(od -An -t u4 -j 60 -N 4 "$work/$file")
    printf '\0\0\0\0' | dd of="$work/$file" bs=1 seek=$((place + 8)) conv=notrunc status=none
done
for file in libphc.a phc.dll libphc.dll.a phc-sink.exe; do mv "$work/$file" "$ship/$file"; done
