#!/usr/bin/env bash
# system-libs.sh SHIP: prints the linker options that a program needs beside SHIP/libphc.a. They become Libs.private
# in phc.pc and the link libraries of phc::phc_static in phcConfig.cmake.
#
# It fails if SHIP has no libphc.a, or if nm cannot read it.
set -euo pipefail
here=$(dirname "$0") ship=$1
if [ ! -f "$ship/libphc.a" ]; then
    echo "system-libs.sh: there is no $ship/libphc.a; \`make build\` creates it in target/ship" >&2
    exit 1
fi
if [ -f "$ship/phc.dll" ]; then
    echo "-lws2_32 -lntdll -luserenv -lcrypt32 -lsecur32 -lbcrypt -ladvapi32 -lkernel32"
elif compgen -G "$ship/libphc*.dylib" >/dev/null; then
    echo "-liconv -lSystem"
else
    system=$(sed -n 's/^Libs.private: //p' "$here/../phc.pc.in")
    # The unwinder is in libgcc_s, unless the archive has one of its own, as those of a release have. That one needs the
    # table .eh_frame_hdr, which gcc leaves out of programs that it links with -static.
    undefined=$("${NM:-nm}" -u "$ship/libphc.a")
    [[ $undefined == *_Unwind_* ]] || system="${system/-lgcc_s /} -Wl,--eh-frame-hdr"
    echo "$system"
fi
