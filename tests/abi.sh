#!/usr/bin/env bash
# abi.sh SHIP SINK: what the built library shows to the outside.
set -euo pipefail
cd "$(dirname "$0")/.."
ship=$1 SINK=$2
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
check() { # check WHAT COMMAND…
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); echo "ok $what"; else failed=$((failed + 1)); echo "FAILED $what"; fi
}

exported() { nm -D --defined-only "$ship/libphc.so" | awk '{print $3}' | LC_ALL=C sort | diff - abi/symbols.txt; }
archived() { nm -g --defined-only "$ship/libphc.a" | awk 'NF == 3 {print $3}' | LC_ALL=C sort | diff - abi/symbols.txt; }
declared() { grep -o 'phc_[a-z_0-9]*(' include/phc.h | tr -d '(' | LC_ALL=C sort -u | diff - abi/symbols.txt; }
soname() { readelf -d "$ship/libphc.so" | grep 'SONAME.*\[libphc.so.0\]' >/dev/null; }
nodelete() { readelf -d "$ship/libphc.so" | grep NODELETE >/dev/null; }
stripped() { ! readelf -S "$ship/libphc.so" | grep '\.symtab' >/dev/null; }
# What the README says of older systems: the newest glibc symbol that it needs.
old_enough() { [ "$(objdump -T "$ship/libphc.so" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)" = GLIBC_2.34 ]; }
# Every exported function is one call of the guard, so that no panic gets out.
guarded() {
    cat src/capi/*.rs | awk '
        /extern "C" fn/ { name = $0; waiting = 1 }
        waiting && /guard\(/ { waiting = 0 }
        waiting && /^}/ { print "without a guard: " name; bad = 1; waiting = 0 }
        END { exit bad }'
}
c_only() { cc -std=c99 -pedantic -Wall -Wextra -Werror -Iinclude -x c -fsyntax-only include/phc.h; }
cpp_too() { g++ -std=c++11 -pedantic -Wall -Wextra -Werror -Iinclude -x c++ -fsyntax-only include/phc.h; }
bare() { ! grep -q '#' include/phc.cdef.h && cc -include stdint.h -include stddef.h -x c -fsyntax-only include/phc.cdef.h; }
clash() {
    cc -O1 -Iinclude tests/c/clash.c "$ship/libphc.a" -lm -ldl -lpthread -lgcc_s -o "$work/clash" &&
        timeout 30 "$work/clash" "http://127.0.0.1:$SINK_PORT"
}

start_sink "$work" --quiet
check "the shared library exports abi/symbols.txt and nothing else" exported
check "the archive exports abi/symbols.txt and nothing else" archived
check "the header declares abi/symbols.txt" declared
check "SONAME is libphc.so.0" soname
check "dlclose does not unload it" nodelete
check "it is stripped" stripped
check "it needs glibc 2.34 and nothing newer" old_enough
check "every exported function goes through the guard" guarded
check "phc.h is C99" c_only
check "phc.h is C++11" cpp_too
check "phc.cdef.h has no preprocessor line" bare
check "the archive links beside a host's own zstd and ring" clash
stop_sink
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
