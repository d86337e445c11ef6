#!/usr/bin/env bash
# link.sh IN.a OUT.so SONAME [MAP]: links rustc's static library into the shared library that ships, stripped.
# MAP is the version script, by default abi/libphc.map.
#
# rustc does not link it, because it passes an anonymous version script of its own to the linker, which cannot
# be combined with one that names versions: GNU ld refuses both together, and what lld does with them depends
# on their order. The machine code is the same either way: docs/adr/0008-elf-symbol-versions.md.
#
#   CC       the compiler driver, by default cc; for another target a cross compiler, or zig:
#            CC="zig cc -target x86_64-linux-gnu.2.17"
#   LDFLAGS  its additional flags. If neither CC nor LDFLAGS is set, they select the Rust toolchain's lld, if
#            it has one: rustc links with it too, and its file is up to 10 kB smaller than GNU ld's
#   STRIP    by default strip
#   DEBUG    a folder for the debug symbols, by build id (split-debug.sh), with OBJCOPY, by default objcopy
set -euo pipefail
here=$(dirname "$0")
in=$1 out=$2 soname=$3 map=${4:-$here/../abi/libphc.map}
if [ -z "${CC-}${LDFLAGS-}" ] && command -v rustc >/dev/null; then
    lld=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/gcc-ld
    [ ! -x "$lld/ld.lld" ] || LDFLAGS="-B$lld -fuse-ld=lld"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The members of an archive are linked on demand: these demand the exported functions.
mapfile -t roots < <(sed 's/^/-Wl,-u,/' "$here/../abi/symbols.txt")
read -ra system < <(sed -n 's/^Libs.private: //p' "$here/../phc.pc.in")
read -ra compiler <<<"${CC:-cc} ${LDFLAGS-}"
# nodelete: the threads and the fork handler outlive a dlclose. defs: nothing is left for the host to resolve.
"${compiler[@]}" -shared -Wl,-soname,"$soname" -Wl,--version-script="$map" -Wl,-z,nodelete -Wl,-z,defs \
    -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--build-id=sha1 -Wl,--hash-style=gnu \
    -Wl,--gc-sections -Wl,--as-needed \
    "${roots[@]}" "$in" "${system[@]}" -o "$work/libphc.so"
if [ -n "${DEBUG-}" ]; then
    "$here/split-debug.sh" "$work/libphc.so" "$DEBUG"
else
    ${STRIP:-strip} --strip-all --remove-section=.comment "$work/libphc.so"
fi
mv "$work/libphc.so" "$out"
