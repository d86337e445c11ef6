#!/usr/bin/env bash
# ship-windows.sh BUILD SHIP MAJOR: makes the libraries that ship for Windows, in SHIP, from the static library that
# cargo built in BUILD. build.sh calls it; scripts/ship.sh does the same for ELF.
#
#   phc.dll        exports the functions of abi/symbols.txt and nothing else, stripped
#   libphc.dll.a   its import library, for programs of MinGW (gcc, clang, zig)
#   libphc.a       the static library as rustc makes it
#   phc-sink.exe   the test server, if cargo built it
#
#   CC             the compiler driver for x86_64-windows-gnu, by default zig's: zig cc -target x86_64-windows-gnu
#
# rustc does not link the DLL, so that the same compiler driver links it that users link with. Its unwinder is zig's.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
build=$1 ship=$2
read -ra compiler <<<"${CC:-zig cc -target x86_64-windows-gnu}"
mkdir -p "$ship"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{
    echo "LIBRARY phc.dll"
    echo "EXPORTS"
    sed 's/^/    /' "$here/abi/symbols.txt"
} >"$work/phc.def"
# The libraries of Windows whose functions std and the crates call.
system=(-lws2_32 -lntdll -luserenv -lcrypt32 -lsecur32 -lbcrypt -ladvapi32 -lkernel32)
"${compiler[@]}" -shared -s "$work/phc.def" "$build/libphc.a" -Wl,--gc-sections "-Wl,--out-implib=$work/libphc.dll.a" \
    -lunwind "${system[@]}" -o "$work/phc.dll"
# The linker writes the time into the header of the file: 4 bytes at 8 behind the place that the 4 bytes at 60 name.
place=$(od -An -t u4 -j 60 -N 4 "$work/phc.dll")
printf '\0\0\0\0' | dd of="$work/phc.dll" bs=1 seek=$((place + 8)) conv=notrunc status=none
cp "$build/libphc.a" "$work/libphc.a"
for file in phc.dll libphc.dll.a libphc.a; do mv "$work/$file" "$ship/$file"; done
[ ! -f "$build/phc-sink.exe" ] || cp "$build/phc-sink.exe" "$ship/phc-sink.exe"
