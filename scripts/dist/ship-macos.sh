#!/usr/bin/env bash
# ship-macos.sh BUILD SHIP MAJOR: makes libphc.dylib, libphc.a and phc-sink for macOS, in SHIP, from what cargo built in
# BUILD, where build.sh names the compiler: CC="…/zig cc -O2 -target aarch64-macos".
#
# Nothing of Apple's is needed: zig has the list of what the system's libraries export. The dylib is linked by LLVM's
# linker, because zig's own exports more than its list. It signs what it links for arm64 (ad hoc), so nothing
# may change the file afterwards. The archive is one object, whose symbols are local but for those of
# abi/symbols.txt, as localise.sh makes it for ELF: zig's linker joins the objects, which LLVM's cannot do yet, and
# llvm-objcopy hides the names.
#
# It fails where scripts/dist/sid.sh cannot run, which has LLVM's tools; and if a library exports anything else than
# abi/symbols.txt. What it makes was never run: docs say so (targets.sh: unproved).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 ship=$2 major=$3
zig=${CC%% *}
triple=${CC##* }
arch=${triple%%-*}
[ "$arch" != aarch64 ] || arch=arm64
# The oldest macOS whose libraries zig knows.
oldest=13.0
work=$PWD/$ship/work # in the tree: sid.sh shows no other folder

sid() { scripts/dist/sid.sh run "$@"; }
rm -rf "$ship"
mkdir -p "$work/objects"
# Apple's C compilers put a "_" before each name.
sed 's/^/_/' abi/symbols.txt >"$work/exported"
mapfile -t roots < <(sed 's/^/-u\n/' "$work/exported")

sid ld64.lld -dylib -arch "$arch" -platform_version macos "$oldest" "$oldest" \
    -install_name "@rpath/libphc.$major.dylib" -exported_symbols_list "$work/exported" \
    -dead_strip -S -x -L"${zig%/*}/lib/libc/darwin" -lSystem "${roots[@]}" "$build/libphc.a" -o "$work/libphc.dylib"

# Members of an archive may have the same name, so each is taken out by its place.
sid llvm-ar t "$build/libphc.a" >"$work/members"
declare -A seen=()
while read -r member; do
    seen[$member]=$((${seen[$member]:-0} + 1))
    printf '%s %s\n' "${seen[$member]}" "$member"
done <"$work/members" >"$work/places"
cat >"$work/take.sh" <<'TAKE'
set -e
while read -r place member; do
    llvm-ar xN "$place" --output "$2/objects" "$1" "$member"
    mv "$2/objects/$member" "$2/objects/$place-$member"
done <"$2/places"
TAKE
sid sh "$work/take.sh" "$build/libphc.a" "$work"
"$zig" cc -target "$triple" -r "$work"/objects/* -o "$work/phc.o"
# Rust's compiler_builtins brings its bitcode along, which only a tool of the same LLVM or a newer one can read.
sid llvm-objcopy --keep-global-symbols="$work/exported" --strip-debug \
    --remove-section=__LLVM,__bitcode --remove-section=__LLVM,__cmdline "$work/phc.o"
(cd "$work" && "$zig" ar crs libphc.a phc.o)

for file in libphc.dylib libphc.a; do
    sid llvm-nm --defined-only --extern-only --format=posix "$work/$file" |
        awk 'NF >= 3 { print $1 }' | LC_ALL=C sort -u >"$work/found"
    if ! diff "$work/exported" "$work/found" >&2; then
        echo "$file for $triple does not export just what abi/symbols.txt has: > is too many, < is missing" >&2
        exit 1
    fi
    mv "$work/$file" "$ship/$file"
done
cp "$build/phc-sink" "$ship/phc-sink"
rm -rf "$work"
