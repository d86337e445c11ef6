#!/usr/bin/env bash
# pack.sh TARGET…: packs what build.sh made of these targets, into dist/VERSION, which it empties before. PHC_OUT
# names another folder.
#
# Each kind of package has a script in pack/, which is run with PHC_VERSION, PHC_TARGETS (the targets, separated by
# spaces) and PHC_OUT, and says what it leaves out, and why.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/dist/targets.sh
[ $# -gt 0 ] || { echo "usage: pack.sh TARGET…" >&2; exit 2; }
PHC_VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
export PHC_VERSION PHC_TARGETS="$*" PHC_OUT=${PHC_OUT:-$PWD/dist/$PHC_VERSION}

for target; do dist_name "$target" rust >/dev/null; done
rm -rf "$PHC_OUT"
mkdir -p "$PHC_OUT"
# checksums is last: it lists what the others made.
for kind in tarball deb gem go composer recipes source checksums; do
    echo "== $kind"
    "scripts/dist/pack/$kind.sh"
done
