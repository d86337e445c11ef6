#!/usr/bin/env bash
# abi.sh SHIP SINK: what the built library shows to the outside.
set -euo pipefail
cd "$(dirname "$0")/.."
ship=$1 SINK=$2
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/checks.sh

node=$(sed -n 's/^\(LIBPHC_[0-9]*\) {$/\1/p' abi/libphc.map)
exported() {
    nm -D --defined-only "$ship/libphc.so" | awk -v node="$node" '$3 != node {print $3}' | LC_ALL=C sort |
        diff - <(sed "s/\$/@@$node/" abi/symbols.txt)
}
# Anything in the process could resolve a symbol without a version. These three are weak, of the C runtime.
self_contained() {
    ! nm -D --undefined-only "$ship/libphc.so" |
        grep -v '@GLIBC_\|@GCC_\| _ITM_\(de\|\)registerTMCloneTable$\| __gmon_start__$'
}
archived() {
    nm -g --defined-only "$ship/libphc.a" | awk 'NF == 3 {print $3}' | LC_ALL=C sort | diff - abi/symbols.txt
}
declared() {
    grep -o 'phc_[a-z_0-9]*(' include/phc.cdef.h | tr -d '(' | LC_ALL=C sort -u | diff - abi/symbols.txt
}
# They change together and only together (docs/abi.md). PHC_ABI_VERSION counts from 1, the others from 0.
numbers() {
    local abi major soname
    abi=$(sed -n 's/^#define PHC_ABI_VERSION //p' include/phc.h)
    major=$(sed -n 's/^version = "\([0-9]*\).*/\1/p' Cargo.toml | head -1)
    soname=$(readelf -d "$ship/libphc.so" | sed -n 's/.*SONAME.*\[libphc.so.\(.*\)\]/\1/p')
    echo "PHC_ABI_VERSION $abi, $node, libphc.so.$soname, package $major.x"
    [ "$node" = "LIBPHC_$abi" ] && [ "$soname" = "$major" ] && [ "$abi" -eq $((major + 1)) ]
}
nodelete() { readelf -d "$ship/libphc.so" | grep NODELETE >/dev/null; }
stripped() { ! readelf -S "$ship/libphc.so" | grep '\.symtab' >/dev/null; }
# What the README says of older systems: the newest glibc symbol that it needs.
old_enough() {
    [ "$(objdump -T "$ship/libphc.so" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)" = GLIBC_2.34 ]
}
# Every exported function is one call of the guard, so that no panic gets out, or one of its _n twin.
guarded() {
    cat src/capi/*.rs | awk '
        /^pub (unsafe )?extern "C" fn/ { match($0, /phc_[a-z_0-9]+/); name = substr($0, RSTART, RLENGTH); waiting = 1 }
        waiting && $0 ~ "guard(_or)?\\(&rules::" name "," { waiting = 0 }
        waiting && index($0, "unsafe { " name "_n(") { waiting = 0 }
        waiting && /^}/ { print "without a guard: " name; bad = 1; waiting = 0 }
        END { exit bad }'
}
headers=(include/phc.h include/phc_binding.h)
in_c() { cc -std=c99 -pedantic -Wall -Wextra -Werror -Iinclude -x c -fsyntax-only "$1"; }
in_cpp() { g++ -std=c++11 -pedantic -Wall -Wextra -Werror -Iinclude -x c++ -fsyntax-only "$1"; }
# A call of a deprecated function is a warning, which a caller can make an error. The library has none yet.
deprecation() {
    local language options=(-Wextra -Iinclude -fsyntax-only)
    printf '%s\n' '#include <phc.h>' 'PHC_DEPRECATED("use b") void a(void);' 'void b(void);' \
        'void b(void) { a(); }' >"$work/old.c"
    for language in c c++; do
        cc -x "$language" "${options[@]}" "$work/old.c" 2>"$work/said" || return 1
        grep 'use b' "$work/said" >/dev/null || { echo "no warning in $language"; return 1; }
        if cc -x "$language" -Werror=deprecated-declarations "${options[@]}" "$work/old.c" 2>/dev/null; then
            echo "no error in $language"
            return 1
        fi
    done
}
layout() { cc -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only tests/c/layout.c; }
bare() {
    ! grep -q '#' include/phc.cdef.h &&
        cc -include stdint.h -include stddef.h -x c -fsyntax-only include/phc.cdef.h
}
clash() {
    cc -O1 -Iinclude tests/c/clash.c "$ship/libphc.a" -lm -ldl -lpthread -lgcc_s -o "$work/clash" &&
        timeout 30 "$work/clash" "http://127.0.0.1:$SINK_PORT"
}
# Two plugins of one program that are linked to different ABI versions each call their own library.
apart() {
    sed "s/^$node {/LIBPHC_99 {/" abi/libphc.map >"$work/99.map"
    scripts/link.sh "$ship/libphc.a" "$work/libphc.so.0" libphc.so.0 &&
        scripts/link.sh "$ship/libphc.a" "$work/libphc.so.98" libphc.so.98 "$work/99.map" || return 1
    local library
    for library in libphc.so.0 libphc.so.98; do
        cc -shared -fPIC -DPHC_PLUGIN -Wall -Wextra -Werror -Iinclude tests/c/versions.c "$work/$library" \
            "-Wl,-rpath,$work" -o "$work/plugin-$library" || return 1
    done
    cc -Wall -Wextra -Werror -Iinclude tests/c/versions.c -ldl -o "$work/versions" &&
        "$work/versions" "$work/plugin-libphc.so.0" libphc.so.0 "$work/plugin-libphc.so.98" libphc.so.98
}

start_sink "$work" --quiet
check "the shared library exports abi/symbols.txt with the version $node, and nothing else" exported
check "the shared library needs symbols of libc, libm and libgcc only" self_contained
check "the archive exports abi/symbols.txt and nothing else" archived
check "the headers declare abi/symbols.txt" declared
check "PHC_ABI_VERSION, symbol version, SONAME and package version agree" numbers
check "two ABI versions in one process do not mix" apart
check "dlclose does not unload it" nodelete
check "it is stripped" stripped
check "it needs glibc 2.34 and nothing newer" old_enough
check "every exported function goes through the guard with its own rule" guarded
for header in "${headers[@]}"; do
    check "$header is C99" in_c "$header"
    check "$header is C++11" in_cpp "$header"
done
check "every public struct has its recorded layout" layout
check "calling a deprecated function is a warning" deprecation
check "phc.cdef.h has no preprocessor line" bare
check "the archive links beside a host's own zstd and ring" clash
stop_sink
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
