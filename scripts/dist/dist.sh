#!/usr/bin/env bash
# dist.sh [TARGET…]: makes every package of a release for these targets, in dist/VERSION.
#
# It runs, in this order:
#   toolchain.sh TARGET   installs the compilers for it, into target/tools
#   build.sh TARGET       builds it: an installation in target/dist/TARGET, which can be moved
#   pack/KIND.sh          makes the packages of one kind, from target/dist only
#
# A pack script is run with PHC_VERSION, PHC_TARGETS (the targets, separated by spaces) and PHC_OUT (the folder to
# write to, which is there). It says what it leaves out, and why.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/dist/targets.sh

read -ra targets <<<"${*:-$dist_default}"
PHC_VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
PHC_TARGETS="${targets[*]}"
PHC_OUT=$PWD/dist/$PHC_VERSION
export PHC_VERSION PHC_TARGETS PHC_OUT

for target in "${targets[@]}"; do dist_name "$target" rust >/dev/null; done
rm -rf "$PHC_OUT"
mkdir -p "$PHC_OUT"
for target in "${targets[@]}"; do
    scripts/dist/toolchain.sh "$target"
    scripts/dist/build.sh "$target"
done
# checksums is last: it lists what the others made.
for kind in tarball deb gem go composer recipes source checksums; do
    echo "== $kind"
    "scripts/dist/pack/$kind.sh"
done
