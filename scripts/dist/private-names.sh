#!/usr/bin/env bash
# private-names.sh IN.a OUT.a UNWINDER: the static library that ships for Windows: only the functions of abi/symbols.txt
# keep their names. The other global symbols of its objects get the prefix `phc_private_`, so that zstd, ring or another
# library in Rust can be linked beside it. Its debugging information is left out.
#
# scripts/localise.sh has the same purpose for ELF, where symbols are made local. LLVM's tools cannot do that in
# objects of Windows.
#
# UNWINDER is a libunwind.a. It becomes part of the library under such names, so that a program links with every
# compiler: gcc brings an unwinder of its own, zig brings one only if asked (-lunwind).
#
# Members that are not objects name what the DLLs of Windows export. They stay as they are.
#
# It fails where scripts/dist/sid.sh cannot run, which has LLVM's tools, and if another global name is left.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p target
work=$(mktemp -d "$PWD/target/private-names.XXXXXX") # in the tree: sid.sh shows no other folder
trap 'rm -rf "$work"' EXIT
cp "$1" "$work/phc.a"
cp "$3" "$work/unwinder.a"
cp abi/symbols.txt "$work/public"

# The programs of LLVM, in one call of the chroot.
cat >"$work/rename.sh" <<'RENAME'
set -euo pipefail
export LC_ALL=C
cd "$1"
objects_of() { llvm-ar t "$1" | sed 's/.*[/\\]//' | grep -E '\.(o|obj)$'; }
globals() { llvm-nm "$1" --extern-only --format=posix "${@:2}" | awk 'NF >= 2 { print $1 }' | sort -u; }

mkdir objects
for archive in phc.a unwinder.a; do
    objects_of "$archive" >"$archive.names"
    twice=$(sort "$archive.names" | uniq -d)
    [ -z "$twice" ] || { echo "two objects of $archive have the same name: $twice" >&2; exit 1; }
    xargs llvm-ar x --output objects "$archive" <"$archive.names"
done

# What an object asks of the linker: only that symbols are not exported, which the new names never are.
asked=$(llvm-readobj --coff-directives objects/* | sed -n 's/^Directive(s): *//p' | tr ' ' '\n' |
    grep -v -e '^-exclude-symbols:' -e '^$' || true)
[ -z "$asked" ] || { echo "an object asks of the linker: $asked" >&2; exit 1; }

# Sections .llvm_addrsig, a hint for LLVM's linker, name symbols by their old numbers.
globals --defined-only objects/* | comm -23 - public | awk '{ print $1, "phc_private_" $1 }' >names
for object in objects/*; do
    llvm-objcopy --redefine-syms=names --strip-debug --remove-section=.drectve --remove-section=.llvm_addrsig \
        "$object"
done
xargs llvm-ar d phc.a <phc.a.names
llvm-ar qcs phc.a objects/*

others=$(globals --defined-only objects/* | grep -v '^phc_private_' | comm -23 - public)
[ -z "$others" ] || { echo "other names are left global: $others" >&2; exit 1; }
lost=$(awk '{ print $1 }' names | sort | comm -12 - <(globals --undefined-only objects/* | sed 's/^__imp_//' | sort -u))
[ -z "$lost" ] || { echo "these are used by their old names: $lost" >&2; exit 1; }
RENAME
scripts/dist/sid.sh run bash "$work/rename.sh" "$work"
mv "$work/phc.a" "$2"
