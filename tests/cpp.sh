#!/usr/bin/env bash
# cpp.sh SINK [PROGRAM…]: the C++ binding: its headers under every compiler, standard and way of compiling, and its
# black-box tests against the sink. If programs are named (`headers` is one), only these.
#   PHC_SHIP   the folder of the library, target/ship by default
#   PHC_WRAP   a command to run each program under, such as valgrind
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
shift
. scripts/common.sh
ship=${PHC_SHIP:-$PWD/target/ship}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror)
quiet=(-fno-exceptions -fno-rtti)
wanted=" $* " passed=0 failed=0
chosen() { [ "$wanted" = "  " ] || [[ $wanted == *" $1 "* ]]; }
check() { # check WHAT COMMAND…
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); echo "ok $what"; else failed=$((failed + 1)); echo "FAILED $what"; fi
}

# -- headers --

headers_alone() { # each header by itself, in any order
    local header
    for header in phc.hpp $(cd include && echo phc/*.hpp); do
        echo "#include <$header>" | g++ -std=c++17 "${strict[@]}" -Iinclude -fsyntax-only -x c++ - || return 1
    done
}
compiles() { "$@" "${strict[@]}" -Iinclude -fsyntax-only; }
refuses_cpp14() { ! echo '#include <phc.hpp>' | g++ -std=c++14 -Iinclude -fsyntax-only -x c++ - 2>"$work/out" && grep -q 'phc.hpp needs C++17' "$work/out"; }
if chosen headers; then
    check "each header stands alone" headers_alone
    check "C++14 is refused with a reason" refuses_cpp14
    for compiler in g++ clang++; do
        command -v "$compiler" >/dev/null || continue
        for standard in 17 20; do
            check "$compiler, C++$standard" compiles "$compiler" -std=c++$standard tests/cpp/values.cpp
            check "$compiler, C++$standard, without exceptions and RTTI" \
                compiles "$compiler" -std=c++$standard "${quiet[@]}" tests/cpp/statuses.cpp
            check "$compiler, C++$standard, PHC_CPP_NO_THROW" \
                compiles "$compiler" -std=c++$standard -DPHC_CPP_NO_THROW tests/cpp/statuses.cpp
        done
    done
fi

# -- programs: name, source, options --

programs() {
    cat <<'LIST'
values              values    -std=c++17
values-20           values    -std=c++20
values-older        values    -std=c++17 -DPHC_CPP_NO_TO_CHARS
delivery            delivery  -std=c++17
settings            settings  -std=c++17
callbacks           callbacks -std=c++20
fork                fork      -std=c++17
misuse              misuse    -std=c++17
statuses            statuses  -std=c++17 -fno-exceptions -fno-rtti
statuses-no-throw   statuses  -std=c++20 -DPHC_CPP_NO_THROW
mismatch            mismatch  -std=c++17
mismatch-no-throw   mismatch  -std=c++17 -fno-exceptions -fno-rtti
modes               modes     -std=c++17
LIST
}

build() { # build NAME SOURCE OPTION…
    local name=$1 source=$2 parts=("$work/harness.o")
    shift 2
    if [ "$source" = modes ]; then
        g++ "$@" "${strict[@]}" -Iinclude -DMODE_ENTRY=throwing -c tests/cpp/mode.cpp -o "$work/throwing.o"
        g++ "$@" "${strict[@]}" -Iinclude -DMODE_ENTRY=no_throw -DPHC_CPP_NO_THROW -c tests/cpp/mode.cpp -o "$work/no_throw.o"
        g++ "$@" "${strict[@]}" -Iinclude -DMODE_ENTRY=without_exceptions "${quiet[@]}" -c tests/cpp/mode.cpp -o "$work/without.o"
        parts=("$work/throwing.o" "$work/no_throw.o" "$work/without.o")
    fi
    g++ "$@" "${strict[@]}" -O1 -g -Iinclude "tests/cpp/$source.cpp" "${parts[@]}" \
        "$ship/libphc.so" "-Wl,-rpath,$ship" -lpthread -o "$work/$name"
}

cc -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Iinclude -c tests/c/harness.c -o "$work/harness.o"
start_sink "$work" --quiet
export PHC_SINK=127.0.0.1:$SINK_PORT
while read -r name source options; do
    chosen "$name" || continue
    # shellcheck disable=SC2086 # several words
    build "$name" "$source" $options
    # shellcheck disable=SC2086 # several words
    timeout 300 ${PHC_WRAP-} "$work/$name" >"$work/out" 2>&1 </dev/null || echo "FAILED $name ended with $?" >>"$work/out"
    cat "$work/out"
    passed=$((passed + $(grep -c '^ok ' "$work/out" || true)))
    failed=$((failed + $(grep -c '^FAILED ' "$work/out" || true)))
done < <(programs)
stop_sink
echo "C++${PHC_WRAP:+, under ${PHC_WRAP%% *}}: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
