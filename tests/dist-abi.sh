#!/usr/bin/env bash
# dist-abi.sh FOLDER: what the ELF libraries of a release show to the outside: symbols, the oldest glibc that they
# load on, hardening, paths, debug symbols. FOLDER is what build.sh made, such as target/dist/x86_64-linux-gnu.
#
# It reads files only, so that it checks every processor and libc on any machine. tests/abi.sh has what must be
# compiled or run.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/dist/targets.sh
[ $# -eq 1 ] || { echo "usage: dist-abi.sh FOLDER" >&2; exit 2; }
folder=${1%/}
target=$(basename "$folder")
rust=$(dist_name "$target" rust)
shared=$(echo "$folder"/lib/libphc.so.*.*.*) archive=$folder/lib/libphc.a
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/checks.sh

# Everything is read once, by readelf, which reads the files of any processor. Columns of symbols: number, value, size,
# type, binding, visibility, section, name.
node=$(sed -n 's/^\(LIBPHC_[0-9]*\) {$/\1/p' abi/libphc.map)
major=$(sed -n 's/^version = "\([0-9]*\).*/\1/p' Cargo.toml | head -1)
readelf -W --dyn-syms "$shared" >"$work/shared"
readelf -W --symbols "$archive" >"$work/archive"
readelf -W --dynamic "$shared" >"$work/dynamic"
readelf -W --program-headers "$shared" >"$work/segments"
readelf -W --sections "$shared" >"$work/sections"
defined() { awk 'NF >= 8 && $1 ~ /^[0-9]+:$/ && $5 != "LOCAL" && $7 != "UND" { print $8 }' "$1" | LC_ALL=C sort -u; }
undefined() { awk 'NF >= 8 && $1 ~ /^[0-9]+:$/ && $5 != "LOCAL" && $7 == "UND" { print $8 }' "$1" | LC_ALL=C sort -u; }

exported() { defined "$work/shared" | grep -vx "$node" | diff - <(sed "s/\$/@@$node/" abi/symbols.txt); }
archived() { defined "$work/archive" | diff - abi/symbols.txt; }
brings_its_unwinder() { ! undefined "$work/archive" | grep '^_Unwind_\|^__register_frame\|^ZSTD_'; }
# Its own unwinder is inside; of the system it needs nothing but the C library.
needs() {
    local allowed='lib(c|m)\.so\.6|libpthread\.so\.0|libdl\.so\.2|lib(rt|util)\.so\.1|ld-linux-[a-z0-9-]*\.so\.[0-9]'
    [[ $target != *-musl ]] || allowed='libc\.so'
    ! sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" | grep -vxE "$allowed"
}
# Anything in the process could resolve a symbol without a version. These are weak: two of the C runtime, and what is
# newer than glibc 2.17, which std does without if it is not there.
versioned() {
    ! undefined "$work/shared" | grep -v '@GLIBC_\|^_ITM_\(de\|\)registerTMCloneTable$\|^__gmon_start__$' |
        grep -vxE '__cxa_thread_atexit_impl|copy_file_range|getrandom|gettid|statx'
}
glibc() { # glibc FILE: the newest version that it needs
    readelf -W --dyn-syms "$1" | grep -o '@GLIBC_[0-9.]*' | sort -uV | tail -1
}
old_enough() {
    local newest
    newest=$(glibc "$1")
    echo "    ${newest#@}"
    [ -n "$newest" ] && [ "$(printf '%s\n' "$newest" @GLIBC_2.17 | sort -V | tail -1)" = @GLIBC_2.17 ]
}
named() { grep "SONAME.*\[libphc.so.$major\]" "$work/dynamic" >/dev/null; }
linked() {
    [ "$(readlink "$folder/lib/libphc.so.$major")" = "$(basename "$shared")" ] &&
        [ "$(readlink "$folder/lib/libphc.so")" = "libphc.so.$major" ]
}
# Relocations are done at the start, and their places are read-only afterwards. No page can be both written to and run.
hardened() {
    local segments=$work/segments.$RANDOM dynamic=$work/dynamic.$RANDOM bad=0
    readelf -W --program-headers "$1" >"$segments"
    readelf -W --dynamic "$1" >"$dynamic"
    grep '^ *GNU_RELRO' "$segments" >/dev/null || { echo "no RELRO"; bad=1; }
    grep 'FLAGS_1.*NOW' "$dynamic" >/dev/null || { echo "no BIND_NOW"; bad=1; }
    grep '^ *GNU_STACK .* RW *0' "$segments" >/dev/null || { echo "not said that no stack is executable"; bad=1; }
    ! grep TEXTREL "$dynamic" || { echo "text relocations"; bad=1; }
    ! grep '^ *LOAD .* RWE' "$segments" || { echo "a segment that is writable and executable"; bad=1; }
    return $bad
}
# An archive whose objects do not say it makes the stack of the whole program executable.
stack_of_archive() { readelf -W --sections "$archive" | grep '\.note\.GNU-stack .* 00  *0 ' >/dev/null; }
nodelete() { grep 'FLAGS_1.*NODELETE' "$work/dynamic" >/dev/null; }
stripped() { ! grep '\.symtab\|\.debug_\|\.comment' "$work/sections"; }
# The machine that built it: its user, the tree, cargo's crates, and where zig and std's sources were unpacked.
pathless() {
    local file place bad=0
    for file in "$shared" "$archive" "$folder"/bin/phc-*; do
        for place in "$HOME/" "$PWD" "${CARGO_HOME:-$HOME/.cargo}" target/cross target/tools .cache/zig; do
            ! grep -aoF -m1 "$place" "$file" >/dev/null || { echo "$file: $place"; bad=1; }
        done
    done
    return $bad
}
build_id() { readelf -n "$1" 2>/dev/null | sed -n 's/^ *Build ID: //p'; }
# The debug symbols of FILE are found by its build id, as a debugger finds them, and have line numbers.
debuggable() { # debuggable FILE
    local id
    id=$(build_id "$1")
    debug=$folder.debug/.build-id/${id:0:2}/${id:2}.debug
    [ -n "$id" ] || { echo "it has no build id"; return 1; }
    [ -f "$debug" ] || { echo "there is no $debug"; return 1; }
    [ "$(build_id "$debug")" = "$id" ] || { echo "$debug has another id"; return 1; }
    readelf -W --sections "$debug" 2>/dev/null | grep '\.debug_line ' >/dev/null || { echo "no line numbers"; return 1; }
}
# The line of an exported function, by them.
lines() {
    local address
    debuggable "$shared" || return 1
    readelf -W --symbols "$debug" 2>/dev/null >"$work/symbols"
    address=$(awk '{ sub(/@.*/, "", $8) } $8 == "phc_capture_json" { print "0x" $2; exit }' "$work/symbols")
    [ -n "$address" ] || { echo "$debug does not know phc_capture_json"; return 1; }
    addr2line -e "$debug" "$address" | grep '^/libphc/src/capi/'
}
# What is in them is in the build id, too, which would depend on the folder. They are packed, and readelf unpacks them.
debug_pathless() {
    local file bad=0
    while read -r file; do
        readelf -W --debug-dump=info,rawline --dwarf-depth=1 "$file" >"$work/debug" 2>/dev/null
        ! grep -F -m3 -e "$HOME/" -e "$PWD" -e "${CARGO_HOME:-$HOME/.cargo}" "$work/debug" || { echo "in $file"; bad=1; }
    done < <(find "$folder.debug" -type f -name '*.debug')
    return $bad
}
# What a linker would make of it: nothing is missing but the C library.
links() {
    local zig=target/tools/zig/ziglang/zig
    [ -x "$zig" ] || { echo "zig is missing; run scripts/dist/toolchain.sh $target"; return 1; }
    ZIG_GLOBAL_CACHE_DIR=$PWD/target/tools/cache/zig ZIG_LOCAL_CACHE_DIR=$PWD/target/tools/cache/zig \
        "$zig" cc -target "$(dist_name "$target" zig)" -std=c11 -D_GNU_SOURCE -I"$folder/include" \
        tests/c/one_event.c "$@" -lpthread -ldl -lm -o "$work/program"
}
recorded() {
    sed -n 's/^sha256: \([0-9a-f]*\) \([^ ]*\).*/\1  \2/p' "$folder.buildinfo" >"$work/sums"
    grep libphc.a "$work/sums" >/dev/null && (cd "$folder" && sha256sum --quiet --check "$work/sums")
}
# A tool that did not start leaves its line empty.
complete() { ! grep ': *$' "$folder.buildinfo"; }

check "the shared library exports abi/symbols.txt with the version $node, and nothing else" exported
check "the archive exports abi/symbols.txt and nothing else" archived
check "the archive brings its unwinder" brings_its_unwinder
check "the shared library needs the C library only" needs
case $target in
*-gnu)
    check "it resolves every symbol by a version of glibc" versioned
    check "the shared library needs glibc 2.17 at most" old_enough "$shared"
    for program in phc-sink phc-cli; do
        check "$program needs glibc 2.17 at most" old_enough "$folder/bin/$program"
    done
    ;;
esac
check "its name is libphc.so.$major" named
check "the names of the library lead to it" linked
check "dlclose does not unload it" nodelete
check "the shared library is hardened" hardened "$shared"
for program in phc-sink phc-cli; do
    check "$program is hardened" hardened "$folder/bin/$program"
    check "$program has debug symbols" debuggable "$folder/bin/$program"
done
check "the archive needs no executable stack" stack_of_archive
check "it is stripped" stripped
check "no file names a path of the machine that built it" pathless
check "its debug symbols lead from an address to a line" lines
check "no debug symbols name a path of the machine that built them" debug_pathless
check "a program links with the archive, without libgcc" links "$archive"
check "a program links with the shared library" links "$shared"
check "BUILDINFO has the hash of every file" recorded
check "BUILDINFO names every tool that made them" complete
echo "$passed passed, $failed failed ($rust)"
[ "$failed" -eq 0 ]
