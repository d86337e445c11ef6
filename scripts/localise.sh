#!/usr/bin/env bash
# localise.sh IN.a OUT.a: an archive whose only global symbols are those of abi/symbols.txt.
#
# rustc's static library exports hundreds of symbols of zstd and ring, which
# clash with a host's own copies. So its members are linked into one object,
# which keeps what the exported functions reach, and all other symbols become
# local.
#
# LD, OBJCOPY and AR name the tools; for another target those of its binutils.
# SYMBOLS names another list than abi/symbols.txt, for a build for tests.
# UNWINDER names a libunwind.a that becomes part of it, local as the rest. Without one, the functions
# _Unwind_* are left to the linker of the host, which not every compiler has by default: zig cc does not, and
# gcc's own needs glibc.
set -euo pipefail
in=$(realpath "$1") out=$2
symbols=$(realpath "${SYMBOLS:-$(dirname "$0")/../abi/symbols.txt}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t roots < <(sed 's/^/--undefined=/' "$symbols")
${LD:-ld} -r --gc-sections "${roots[@]}" --whole-archive "$in" --no-whole-archive ${UNWINDER:+"$UNWINDER"} \
    -o "$work/phc.o"
# std's objects carry bitcode, which linkers do not need and some archivers
# reject.
${OBJCOPY:-objcopy} --keep-global-symbols="$symbols" --strip-debug \
    --remove-section=.llvmbc --remove-section=.llvmcmd "$work/phc.o"
(cd "$work" && ${AR:-ar} crs libphc.a phc.o)
mv "$work/libphc.a" "$out"
