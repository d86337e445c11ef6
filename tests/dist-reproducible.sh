#!/usr/bin/env bash
# dist-reproducible.sh TARGET: builds the committed tree again, from a clone in another folder, and compares each file
# that holds machine code, and the debug symbols, with target/dist/TARGET, which scripts/dist/build.sh made from the same
# commit.
#
# It takes as long as a release build from nothing: minutes. It fails if a hash differs, and if target/dist/TARGET
# is of another commit or of a tree with changes.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 1 ] || { echo "usage: dist-reproducible.sh TARGET" >&2; exit 2; }
target=$1
first=$PWD/target/dist/$target.buildinfo
[ -f "$first" ] || { echo "$first is missing; run scripts/dist/build.sh $target" >&2; exit 1; }
grep -x "commit: $(git rev-parse HEAD)" "$first" || {
    echo "target/dist/$target is not of this commit; commit, and run scripts/dist/build.sh $target" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
clone=$work/a-folder-with-another-path/phc
git clone -q . "$clone"
# The same tools under another path, without what they have built for the first tree.
mkdir -p "$clone/target/tools"
for folder in zig rust binutils; do
    [ ! -d "target/tools/$folder" ] || cp -a "target/tools/$folder" "$clone/target/tools/"
done
"$clone/scripts/dist/build.sh" "$target"
diff <(grep '^sha256' "$first") <(grep '^sha256' "$clone/target/dist/$target.buildinfo")
[ ! -d "target/dist/$target.debug" ] || diff -rq "target/dist/$target.debug" "$clone/target/dist/$target.debug"
echo "the same bytes from both folders: $(grep -c '^sha256' "$first") files"
