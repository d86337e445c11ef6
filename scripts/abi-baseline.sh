#!/usr/bin/env bash
# abi-baseline.sh check|update [--incompatible] [CDEF [ABI]]: compares the header with the recorded binary
# interface, or records it. docs/abi.md has the rules.
#
# It compares an object that has debug information for every type of the header: a stub for each function
# that include/phc.cdef.h declares. It needs no build of the library, and no internal type gets into it.
#
#   check                  fails on any difference, and says whether it is an addition or incompatible
#   update                 records additions; refuses anything else
#   update --incompatible  records what it finds: before the first release, or with a new PHC_ABI_VERSION
#   CDEF, ABI              include/phc.cdef.h and abi/, unless a test gives others
set -euo pipefail
cd "$(dirname "$0")/.."
action=${1-} incompatible=no
[ $# -eq 0 ] || shift
[ "${1-}" != --incompatible ] || { incompatible=yes; shift; }
cdef=${1:-include/phc.cdef.h} abi=${2:-abi}
case $action:$incompatible in
check:no | update:*) ;;
*) echo "usage: abi-baseline.sh check|update [--incompatible] [CDEF [ABI]]" >&2; exit 2 ;;
esac
for tool in abidw abidiff; do
    command -v $tool >/dev/null || { echo "$tool is missing: install abigail-tools from Debian" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One declaration a line; those of functions become definitions.
tr '\n' ' ' <"$cdef" | sed 's/  */ /g' | awk '{
    depth = 0; text = ""
    for (i = 1; i <= length($0); i++) {
        c = substr($0, i, 1); text = text c
        if (c == "{") depth++
        if (c == "}") depth--
        if (c == ";" && depth == 0) { sub(/^ /, "", text); print text; text = "" }
    }
}' >"$work/declarations"
{
    echo '#include <stddef.h>'
    echo '#include <stdint.h>'
    sed '/^typedef/!s/);$/) { __builtin_trap(); }/' "$work/declarations"
} >"$work/stubs.c"
${CC:-cc} -std=c11 -g -O0 -fPIC -shared -nostdlib -w "$work/stubs.c" -o "$work/stubs.so"
# Names of types and functions only: no paths, and no lines of the header.
abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --no-architecture \
    --type-id-style hash "$work/stubs.so" >"$work/libphc.abi"
# Constants are part of the interface but not of debug information. Those of the version change by release.
sed -n 's/^enum { \(.*\) };$/\1/p' "$work/declarations" | tr ',' '\n' |
    sed -n 's/^ *\(PHC_[A-Z0-9_]*\) = \([0-9]*\).*/\1 \2/p' | grep -v '^PHC_VERSION' | LC_ALL=C sort >"$work/constants.txt"
[ -s "$work/constants.txt" ] || { echo "no constant was found in $cdef" >&2; exit 2; }

broken=no added=no
if [ -f "$abi/libphc.abi" ] && [ -f "$abi/constants.txt" ]; then
    # New functions are allowed, and so is growth at the end of a struct that is passed with its size. (For
    # such a struct abidiff 2.2 suppresses changed members as well; the run without suppressions finds them.)
    old=$abi/libphc.abi new=$work/libphc.abi status=0
    abidiff --no-added-syms --suppressions "$abi/growth.suppr" "$old" "$new" >"$work/breaks" || status=$?
    [ $((status & 3)) -eq 0 ] || { cat "$work/breaks" >&2; exit 2; }
    abidiff --no-added-syms "$old" "$new" >"$work/changes" || true
    if [ $status -ne 0 ] || grep -q 'data member changes\?:' "$work/changes"; then
        broken=yes
        cat "$work/changes"
    fi
    LC_ALL=C comm -23 "$abi/constants.txt" "$work/constants.txt" >"$work/gone"
    if [ -s "$work/gone" ]; then
        broken=yes
        sed 's/^/changed or removed: /' "$work/gone"
    fi
    if [ $broken = no ]; then
        # Changes that do not affect existing programs (a const, say) must be recorded as well.
        abidiff --harmless "$old" "$new" >"$work/additions" || { added=yes; cat "$work/additions"; }
        LC_ALL=C comm -13 "$abi/constants.txt" "$work/constants.txt" >"$work/new"
        if [ -s "$work/new" ]; then
            added=yes
            sed 's/^/added: /' "$work/new"
        fi
    fi
else
    echo "there is no baseline in $abi"
    added=yes
fi

if [ "$action" = check ]; then
    if [ $broken = yes ]; then
        echo "$cdef is incompatible with the interface recorded in $abi; docs/abi.md says what may change" >&2
        exit 1
    elif [ $added = yes ]; then
        echo "$abi does not record all of $cdef: run scripts/abi-baseline.sh update and commit both" >&2
        exit 1
    fi
    functions=$(grep -c '<elf-symbol ' "$abi/libphc.abi") constants=$(wc -l <"$abi/constants.txt")
    echo "$cdef matches the interface recorded in $abi: $functions functions, $constants constants"
    exit 0
fi
if [ $broken = yes ] && [ $incompatible = no ]; then
    echo "not recorded: this is an incompatible change. Before the first release, or together with a new" >&2
    echo "PHC_ABI_VERSION, run scripts/abi-baseline.sh update --incompatible" >&2
    exit 1
fi
nm --defined-only "$work/stubs.so" | awk '$2 == "T" {print $3}' | LC_ALL=C sort >"$work/symbols.txt"
cp "$work/libphc.abi" "$work/constants.txt" "$work/symbols.txt" "$abi"
echo "$abi/libphc.abi, $abi/constants.txt and $abi/symbols.txt written"
