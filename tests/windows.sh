#!/usr/bin/env bash
# windows.sh [SHIP]: tries libphc for Windows under wine; SHIP is the folder that scripts/dist/ship-windows.sh filled,
# by default that of build.sh. It shows what wine can show: nothing here ran on Windows.
#
# It compiles C and C++ programs as a user of MinGW would, with zig, against the DLL and against the static library;
# runs them, tests/windows/*.c and every conformance case with the C worker under the wine of the sid chroot
# (scripts/dist/sid.sh). phc-sink and the runner of the cases run as Linux programs.
#
# Where chroots or mounts are refused it prints one line that begins with NOT RUN, and exits with 77.
#
#   SINK, RUNNER   phc-sink and phc-conformance, by default those of target/release
#   ZIG            by default the one that scripts/dist/toolchain.sh has installed
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh
. tests/checks.sh
ship=${1:-target/cross/x86_64-windows/ship}
SINK=${SINK:-$PWD/target/debug/phc-sink} RUNNER=${RUNNER:-$PWD/target/debug/phc-conformance}
zig=${ZIG:-$PWD/target/tools/zig/ziglang/zig}
export ZIG_GLOBAL_CACHE_DIR=$PWD/target/tools/cache/zig ZIG_LOCAL_CACHE_DIR=$PWD/target/tools/cache/zig
# In the tree, because the chroot sees nothing else.
work=$PWD/target/windows
for needed in "$ship/phc.dll" "$SINK" "$RUNNER" "$zig"; do
    [ -e "$needed" ] || { echo "$needed is missing; run \`make sink\` and scripts/dist/build.sh x86_64-windows" >&2; exit 1; }
done
scripts/dist/sid.sh run true || exit $?

rm -rf "$work"
mkdir -p "$work"
cp "$ship/phc.dll" "$ship/phc-sink.exe" "$work"
trap 'rm -f "$work/hold"' EXIT
start_sink "$work"

# -- the files --

exported() {
    objdump -p "$work/phc.dll" | sed -n '/Name Pointer\] Table$/,/^$/s/^\t\[.*\] //p' | LC_ALL=C sort | diff - abi/symbols.txt
}
# The archive's names, without those of the DLLs of Windows.
public_names() {
    nm --defined-only --extern-only --format=posix "$ship/libphc.a" 2>/dev/null |
        awk 'NF >= 3 && $1 ~ /^(phc|ZSTD|HUF|FSE|ring|rust|_R|_ZN|_Unwind|__unw)_?/ && !/^phc_private_/ { print $1 }' |
        LC_ALL=C sort -u | diff - abi/symbols.txt
}
# Each DLL that it needs is a part of Windows 10: no runtime of a compiler, and not the old C runtime.
imported() {
    local dll
    objdump -p "$work/phc.dll" | sed -n 's/^\tDLL Name: //p' | LC_ALL=C sort -u | while read -r dll; do
        case ${dll,,} in
        api-ms-win-crt-*.dll | api-ms-win-core-*.dll | kernel32.dll | ntdll.dll | ws2_32.dll | crypt32.dll | secur32.dll | \
            bcrypt.dll | bcryptprimitives.dll | advapi32.dll | userenv.dll) echo "$dll" ;;
        *) echo "it needs $dll"; exit 1 ;;
        esac
    done
}

# -- programs --

# The line that a user writes; the headers are as strict as everywhere.
compile() { # compile c|c++ PROGRAM SOURCE… [OPTION…]
    local driver=$1 program=$2 standard=-std=c11
    shift 2
    [ "$driver" = cc ] || standard=-std=c++17
    "$zig" "$driver" -target x86_64-windows-gnu "$standard" -O1 -Wall -Wextra -Werror -Iinclude "$@" -o "$work/$program.exe"
}
shared=(-DPHC_DLL "-L$ship" -lphc.dll)
static=("$ship/libphc.a" -lws2_32 -lntdll -luserenv -lcrypt32 -lsecur32 -lbcrypt -ladvapi32)
host=http://127.0.0.1:$SINK_PORT

# wine COMMAND…: in the chroot, whose end ends the wine server, too. Wine's own files are made once.
# shellcheck disable=SC2016 # the shell in the chroot expands it
wine() {
    scripts/dist/sid.sh run env WINEPREFIX="$PWD/target/tools/wine" WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=' \
        sh -c '[ -d "$WINEPREFIX" ] || wine64 wineboot -i >/dev/null 2>&1; "$@"' sh "$@"
}
conformance() { # conformance WORKER: every case
    wine "$RUNNER" run --level all --jobs 4 --worker "windows=wine64 $work/$1.exe"
}
# Both processes are in one chroot, whose end ends phc-sink.exe.
# shellcheck disable=SC2016 # the shell in the chroot expands it
into_its_own_sink() {
    wine sh -c 'wine64 "$1/phc-sink.exe" --listen 127.0.0.1:0 --port-file "$1/sink.port" --quiet &
        for _ in $(seq 600); do [ ! -s "$1/sink.port" ] || break; sleep 0.05; done
        wine64 "$1/quickstart.exe" "http://127.0.0.1:$(cat "$1/sink.port")" phc_key' sh "$work"
}

check_quietly "phc.dll exports what abi/symbols.txt names" exported
check_quietly "phc.dll needs parts of Windows only" imported
check_quietly "libphc.a has the names of abi/symbols.txt and private ones" public_names
check_quietly "a C program links with the DLL" compile cc quickstart examples/c/quickstart.c "${shared[@]}"
check_quietly "a C program links with the static library" compile cc quickstart-static examples/c/quickstart.c "${static[@]}"
check_quietly "a C++ program links with the DLL" compile c++ quickstart-cpp examples/cpp/quickstart.cpp "${shared[@]}"
check_quietly "the C worker links with the DLL" compile cc worker conformance/workers/c/*.c "${shared[@]}"
check_quietly "the C worker links with the static library" compile cc worker-static conformance/workers/c/*.c "${static[@]}"
check_quietly "a host with zstd and ring of its own links with the static library" compile cc clash tests/c/clash.c "${static[@]}"
check_quietly "the tests of the platform link" compile cc platform tests/windows/platform.c "${shared[@]}" -lws2_32
check_quietly "the test of the module links" compile cc pin tests/windows/pin.c
for program in quickstart quickstart-static quickstart-cpp; do
    check_quietly "$program runs" wine wine64 "$work/$program.exe" "$host" phc_key
done
check_quietly "phc-sink.exe runs, too" into_its_own_sink
check_quietly "a host's own zstd and ring are not called" wine wine64 "$work/clash.exe" "$host"
check_quietly "what differs on Windows" wine wine64 "$work/platform.exe" "http://localhost:$SINK_PORT"
check_quietly "phc.dll stays loaded" wine wine64 "$work/pin.exe" "$work/phc.dll" "$host"
for worker in worker worker-static; do
    check_quietly "all conformance cases, $worker" conformance "$worker"
    tail -n 2 "$work/out"
done
stop_sink
echo "windows, proved under wine: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
